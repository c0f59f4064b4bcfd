import Consensus
import Logging
import Primitives
import ReplicatedLog

/// What the groups of one turn of the consensus thread want durable.
typealias LogWork = [(group: GroupID, work: AppendWork)]

/// The thread that writes the log: it takes all work that waits, writes it, syncs once, and only
/// then lets the messages go that speak of it (thesis §3.8; DESIGN, decision 7).
final class GroupCommitter: Sendable {
    private let log: ReplicatedLog
    private let mailbox: Mailbox<LogWork>
    private let transport: PeerTransport
    private let consensus: Mailbox<NodeEvent>
    private let metrics: NodeMetrics
    private let fatal: @Sendable (String) -> Void

    init(
        log: ReplicatedLog, mailbox: Mailbox<LogWork>, transport: PeerTransport,
        consensus: Mailbox<NodeEvent>, metrics: NodeMetrics,
        fatal: @escaping @Sendable (String) -> Void
    ) {
        self.log = log
        self.mailbox = mailbox
        self.transport = transport
        self.consensus = consensus
        self.metrics = metrics
        self.fatal = fatal
    }

    /// The thread's body: returns when the mailbox is closed and empty, or after a failure, which
    /// is never retried: what a failed sync has left on the disk is not known.
    func run() {
        var batch: [LogWork] = []
        while mailbox.take(into: &batch, until: nil) {
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

    private func write(_ batch: [LogWork]) throws(LogError) {
        var order: [GroupID] = []
        var appends: [GroupID: GroupAppend] = [:]
        var messages: [RaftMessage] = []
        var tickets: [GroupID: AppendTicket] = [:]
        for (group, work) in batch.joined() {
            messages.append(contentsOf: work.messagesAfterDurable)
            tickets[group] = work.ticket
            if work.hardState == nil && work.replacedFrom == nil && work.entries.isEmpty {
                continue
            }
            if appends[group] == nil { order.append(group) }
            appends[group, default: GroupAppend(group: group)].follow(with: work)
        }
        if !order.isEmpty {
            try log.append(order.compactMap { appends[$0] })
            let start = monotonicNanoseconds()
            try log.sync()
            metrics.logSync.observe(nanoseconds: monotonicNanoseconds() - start)
        }
        transport.send(messages)
        consensus.postRegardless(.durable(tickets))
    }
}

extension GroupAppend {
    /// Makes one append of this one and a later one of the same group: what the later one replaces
    /// need not be written at all.
    mutating func follow(with work: AppendWork) {
        precondition(work.entries.first.map { $0.index == (work.replacedFrom ?? $0.index) } ?? true)
        if let state = work.hardState { hardState = state }
        guard let from = work.replacedFrom else {
            entries.append(contentsOf: work.entries)
            return
        }
        if let first = entries.first, from > first.index {
            entries = entries.prefix { $0.index < from }
        } else {
            entries = []
            replaceFrom = replaceFrom.map { min($0, from) } ?? from
        }
        entries.append(contentsOf: work.entries)
    }
}
