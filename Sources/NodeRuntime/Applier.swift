import Consensus
import MultiRaft
import Primitives
import RecordModel
import RecordStore
import ReplicatedLog

/// Committed entries of a group on their way to its state machine.
struct ApplyWork: Sendable {
    var group: GroupID
    var range: CommittedRange
}

/// The thread that applies committed entries: in order, in batches, one engine write each; then it
/// answers this node's clients.
final class Applier: Sendable {
    /// Payload bytes read from the log at once when a start replays it.
    private static let replayBytes = 4 << 20

    private let stores: [GroupID: RecordStore]
    private let log: ReplicatedLog
    private let mailbox: Mailbox<ApplyWork>
    private let consensus: Mailbox<NodeEvent>
    private let leases: Mailbox<LeaseEvent>
    private let completions: CompletionTable
    private let remover: Remover
    private let own: NodeID
    private let incarnation: UInt64
    private let metrics: NodeMetrics
    private let watchFeed: WatchFeed
    private let fatal: @Sendable (String) -> Void

    init(
        stores: [GroupID: RecordStore], log: ReplicatedLog, mailbox: Mailbox<ApplyWork>,
        consensus: Mailbox<NodeEvent>, leases: Mailbox<LeaseEvent>,
        completions: CompletionTable, remover: Remover, own: NodeID, incarnation: UInt64,
        metrics: NodeMetrics, watchFeed: WatchFeed,
        fatal: @escaping @Sendable (String) -> Void
    ) {
        self.stores = stores
        self.log = log
        self.mailbox = mailbox
        self.consensus = consensus
        self.leases = leases
        self.completions = completions
        self.remover = remover
        self.own = own
        self.incarnation = incarnation
        self.metrics = metrics
        self.watchFeed = watchFeed
        self.fatal = fatal
    }

    /// The thread's body: returns when the mailbox is closed and empty, or after a failure: a state
    /// machine that could not apply an entry must not go on to the next.
    func run() {
        var batch: [ApplyWork] = []
        while mailbox.take(into: &batch, until: nil) {
            var index = 0
            while index < batch.count {
                // Ranges of one group that follow each other become one batch for the engine.
                let group = batch[index].group
                var entries: [LogEntry] = []
                while index < batch.count, batch[index].group == group,
                    let more = batch[index].range.entries
                {
                    entries.append(contentsOf: more)
                    index += 1
                }
                if !entries.isEmpty {
                    guard apply(entries, to: group) else { return }
                } else {
                    guard replay(batch[index]) else { return }
                    index += 1
                }
            }
        }
    }

    private func replay(_ work: ApplyWork) -> Bool {
        var next = work.range.first
        while next <= work.range.through {
            let entries: [LogEntry]
            do throws(LogError) {
                entries = try log.entries(
                    of: work.group, from: next, through: work.range.through,
                    maxBytes: Self.replayBytes)
            } catch {
                fatal("group \(work.group): committed entries cannot be read back: \(error)")
                return false
            }
            guard let last = entries.last else {
                fatal("group \(work.group): the log returned no entries from \(next)")
                return false
            }
            guard apply(entries, to: work.group) else { return false }
            next = last.index.next
        }
        return true
    }

    private func apply(_ entries: [LogEntry], to group: GroupID) -> Bool {
        guard let last = entries.last else { preconditionFailure("no entries for group \(group)") }
        guard let store = stores[group] else {
            // A group without records (`NodeConfiguration.idleGroups`): nothing takes its entries.
            consensus.postRegardless(
                .applied(AppliedReport(group: group, through: last.index, term: last.term)))
            return true
        }
        var rest = entries[...]
        while !rest.isEmpty {
            let applied: [AppliedEntry]
            let start = monotonicNanoseconds()
            do throws(RecordStoreError) {
                let changes: ShardChanges
                (applied, changes) = try store.applySome(
                    rest, capturing: watchFeed.isWatched(group))
                // Before any client is answered: what it has been told of is no news to its
                // watchers.
                watchFeed.post(changes, of: group)
            } catch {
                fatal(
                    "group \(group): entry \(last.index) or one before it cannot be applied: \(error)"
                )
                return false
            }
            metrics.engineCommit.observe(nanoseconds: monotonicNanoseconds() - start)
            answer(applied, of: group, store)
            rest = rest.drop { $0.index <= store.appliedIndex }
        }
        return true
    }

    private func answer(_ applied: [AppliedEntry], of group: GroupID, _ store: RecordStore) {
        // Before anybody is answered: a keep-alive may follow a grant at once.
        let leaseChanges = applied.flatMap(\.leaseChanges)
        if !leaseChanges.isEmpty { leases.postRegardless(.changed(group, leaseChanges)) }
        var sequences: [UInt64] = []
        for entry in applied {
            if case .success(.compacted)? = entry.outcome?.result { remover.floorRose(in: group) }
            guard let id = entry.proposalID, let outcome = entry.outcome, id.node == own,
                id.incarnation == incarnation
            else { continue }
            sequences.append(id.sequence)
            completions.take(id.sequence)?(.success(outcome))
        }
        consensus.postRegardless(
            .applied(
                AppliedReport(
                    group: group, through: store.appliedIndex, term: store.appliedTerm,
                    sequences: sequences,
                    newestStamp: store.newestTimestamp.microseconds &+ 1)))
    }
}
