import Consensus
import Primitives
import RecordStore
import ReplicatedLog

/// Reads that may be answered from the state as it is now.
struct ReadWork: Sendable {
    var group: GroupID
    var waiters: [ReadWaiter]
}

/// The threads that read from the engine, so that neither the consensus thread nor an event loop
/// waits for the disk.
final class ReadPool: Sendable {
    private let stores: [GroupID: RecordStore]
    private let mailbox: Mailbox<ReadWork>
    private let fatal: @Sendable (String) -> Void

    init(
        stores: [GroupID: RecordStore], mailbox: Mailbox<ReadWork>,
        fatal: @escaping @Sendable (String) -> Void
    ) {
        self.stores = stores
        self.mailbox = mailbox
        self.fatal = fatal
    }

    /// A thread's body. Takes one batch at a time, so that a long scan holds up its own batch and
    /// the other threads go on with the rest.
    func run() {
        while let work = mailbox.takeOne() {
            guard let store = stores[work.group] else {
                preconditionFailure("no group \(work.group)")
            }
            do throws(RecordStoreError) {
                let reader = try store.makeReader()
                for waiter in work.waiters {
                    // Nobody waits for it any more; a scan would only hold up the others.
                    if waiter.deadline <= monotonicNanoseconds() {
                        waiter.run(.failure(.readTimedOut))
                    } else {
                        waiter.run(.success(reader))
                    }
                }
            } catch {
                fatal("group \(work.group): the state cannot be read: \(error)")
                for waiter in work.waiters { waiter.run(.failure(.storage("\(error)"))) }
            }
        }
    }
}

/// Entries that a leader needs from its log for a follower far behind.
struct FetchWork: Sendable {
    var group: GroupID
    var request: FetchRequest
}

/// The thread that reads the log for followers.
final class LogFetcher: Sendable {
    private let log: ReplicatedLog
    private let mailbox: Mailbox<FetchWork>
    private let consensus: Mailbox<NodeEvent>
    private let fatal: @Sendable (String) -> Void

    init(
        log: ReplicatedLog, mailbox: Mailbox<FetchWork>, consensus: Mailbox<NodeEvent>,
        fatal: @escaping @Sendable (String) -> Void
    ) {
        self.log = log
        self.mailbox = mailbox
        self.consensus = consensus
        self.fatal = fatal
    }

    /// The thread's body. What cannot be read because it is rotten stops the node: a log that does
    /// not hold what was acknowledged must not lead.
    func run() {
        while let work = mailbox.takeOne() {
            let request = work.request
            var entries: [LogEntry]?
            do throws(LogError) {
                entries = try log.entries(
                    of: work.group, from: request.first, through: request.through,
                    maxBytes: request.maxBytes)
            } catch {
                // A suffix that was replaced meanwhile: the answer nil has it tried again.
                guard case .unavailable = error else {
                    fatal("group \(work.group): the log cannot be read back: \(error)")
                    return
                }
            }
            consensus.postRegardless(
                .fetched(work.group, FetchedEntries(request: request, entries: entries)))
        }
    }
}
