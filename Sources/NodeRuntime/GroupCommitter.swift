import Consensus
import MultiRaft
import Primitives
import ReplicatedLog

/// The thread that writes the log: it takes all work that waits, writes it, syncs once, and only
/// then lets the messages go that speak of it (thesis §3.8; DESIGN, decision 7).
final class GroupCommitter: Sendable {
    /// After so much silence the log is sealed: from then on a write that the device lost at its end
    /// is not taken for one that a crash tore (docs/formats/log-segment.md, "What cannot be told").
    private let idleNanoseconds: UInt64

    private let log: ReplicatedLog
    private let mailbox: Mailbox<AppendBatch>
    private let send: @Sendable (NodeBatch) -> Void
    private let consensus: Mailbox<NodeEvent>
    private let metrics: NodeMetrics
    private let fatal: @Sendable (String) -> Void

    init(
        log: ReplicatedLog, mailbox: Mailbox<AppendBatch>, consensus: Mailbox<NodeEvent>,
        metrics: NodeMetrics, send: @escaping @Sendable (NodeBatch) -> Void,
        fatal: @escaping @Sendable (String) -> Void, idleNanoseconds: UInt64 = 1_000_000_000
    ) {
        self.log = log
        self.mailbox = mailbox
        self.consensus = consensus
        self.metrics = metrics
        self.send = send
        self.fatal = fatal
        self.idleNanoseconds = idleNanoseconds
    }

    /// The thread's body: returns when the mailbox is closed and empty, or after a failure, which
    /// is never retried: what a failed sync has left on the disk is not known.
    func run() {
        do throws(LogError) {
            var waiting: [AppendBatch] = []
            var sealAt: UInt64?
            while mailbox.take(into: &waiting, until: sealAt) {
                if var batch = waiting.first {
                    for later in waiting.dropFirst() { batch.follow(with: later) }
                    if try write(batch) { sealAt = monotonicNanoseconds() + idleNanoseconds }
                }
                if let time = sealAt, monotonicNanoseconds() >= time {
                    try log.seal()
                    sealAt = nil
                }
            }
            try log.seal()
        } catch {
            fatal("the log cannot be written: \(error)")
        }
    }

    /// - Returns: whether anything went to the log.
    private func write(_ batch: AppendBatch) throws(LogError) -> Bool {
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
        return !batch.works.isEmpty
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
