import Consensus
import Primitives
import RecordStore
import ReplicatedLog

enum ReadWork: Sendable {
    /// Reads that may be answered from the state as it is now.
    case read(GroupID, [ReadWaiter])
    /// Entries that a leader needs from its log for a follower far behind.
    case fetch(GroupID, FetchRequest)
}

/// The threads that read from the engine and the log, so that neither the consensus thread nor an
/// event loop waits for the disk.
final class ReadPool: Sendable {
    private let stores: [GroupID: RecordStore]
    private let log: ReplicatedLog
    private let mailbox: Mailbox<ReadWork>
    private let consensus: Mailbox<NodeEvent>

    init(
        stores: [GroupID: RecordStore], log: ReplicatedLog, mailbox: Mailbox<ReadWork>,
        consensus: Mailbox<NodeEvent>
    ) {
        self.stores = stores
        self.log = log
        self.mailbox = mailbox
        self.consensus = consensus
    }

    /// A thread's body. Takes everything that waits: reads are short, and one wake-up serves all.
    func run() {
        var batch: [ReadWork] = []
        while mailbox.take(into: &batch, until: nil) {
            for work in batch {
                switch work {
                case .read(let group, let waiters): read(group, waiters)
                case .fetch(let group, let request): fetch(group, request)
                }
            }
        }
    }

    private func read(_ group: GroupID, _ waiters: [ReadWaiter]) {
        guard let store = stores[group] else { preconditionFailure("no group \(group)") }
        do throws(RecordStoreError) {
            let reader = try store.makeReader()
            for waiter in waiters { waiter.run(.success(reader)) }
        } catch {
            for waiter in waiters { waiter.run(.failure(.storage("\(error)"))) }
        }
    }

    private func fetch(_ group: GroupID, _ request: FetchRequest) {
        // A log that cannot be read answers nil: the follower is tried again, and the log's own
        // errors stop the node where it writes.
        let entries = try? log.entries(
            of: group, from: request.first, through: request.through, maxBytes: request.maxBytes)
        consensus.postRegardless(
            .fetched(group, FetchedEntries(request: request, entries: entries)))
    }
}
