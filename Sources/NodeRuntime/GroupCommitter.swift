import Consensus
import MultiRaft
import Primitives
import ReplicatedLog

/// The thread that writes the log: it takes all work that waits, writes it, syncs once, and only
/// then lets the messages go that speak of it (thesis §3.8; DESIGN, decision 7).
final class GroupCommitter: Sendable {
    private let log: ReplicatedLog
    private let mailbox: Mailbox<AppendBatch>
    private let send: @Sendable (NodeBatch) -> Void
    private let consensus: Mailbox<NodeEvent>
    private let metrics: NodeMetrics
    private let fatal: @Sendable (String) -> Void

    init(
        log: ReplicatedLog, mailbox: Mailbox<AppendBatch>, consensus: Mailbox<NodeEvent>,
        metrics: NodeMetrics, send: @escaping @Sendable (NodeBatch) -> Void,
        fatal: @escaping @Sendable (String) -> Void
    ) {
        self.log = log
        self.mailbox = mailbox
        self.consensus = consensus
        self.metrics = metrics
        self.send = send
        self.fatal = fatal
    }

    /// The thread's body: returns when the mailbox is closed and empty, or after a failure, which
    /// is never retried: what a failed sync has left on the disk is not known.
    func run() {
        var waiting: [AppendBatch] = []
        while mailbox.take(into: &waiting, until: nil) {
            guard var batch = waiting.first else { continue }
            for later in waiting.dropFirst() { batch.follow(with: later) }
            do throws(LogError) {
                try write(batch)
            } catch {
                fatal("the log cannot be written: \(error)")
                return
            }
        }
        do throws(LogError) { try log.seal() } catch {
            fatal("the log cannot be sealed: \(error)")
        }
    }

    private func write(_ batch: AppendBatch) throws(LogError) {
        if !batch.works.isEmpty {
            try log.append(batch.works.map { GroupAppend($0.value, of: $0.group) })
            let start = monotonicNanoseconds()
            try log.sync()
            metrics.logSync.observe(nanoseconds: monotonicNanoseconds() - start)
        }
        // First: what comes back from a peer would find a replica that does not know yet what it has
        // acknowledged, and takes that for a disk that has forgotten.
        consensus.postRegardless(.durable(batch.tickets))
        for messages in batch.messagesAfterDurable { send(messages) }
    }
}

extension GroupAppend {
    init(_ work: AppendWork, of group: GroupID) {
        self.init(
            group: group, start: work.start, hardState: work.hardState,
            replaceFrom: work.replacedFrom, entries: work.entries[...], repaired: work.repaired,
            peers: work.peers)
    }
}
