import Consensus
import Primitives
import ReplicatedLog
import StorageEngine
import Synchronization
import Testing

@testable import MultiRaft
@testable import NodeRuntime

@Suite struct GroupCommitterTests {
    private static let group = GroupID(1)

    /// An answer to a message that waited for the disk must not overtake the news that the disk has
    /// it: a replica that is told of an acknowledgement which it does not know it gave takes its own
    /// disk for one that has forgotten, and stops for good.
    @Test func theReplicaKnowsWhatIsDurableBeforeAnyPeerHearsOfIt() throws {
        let log = try ReplicatedLog.open(
            device: MemoryLogDevice(),
            identity: LogIdentity(cluster: ClusterID(1), node: NodeID(2)),
            settings: LogSettings(segmentBytes: 64 << 10)
        ).log
        let consensus = Mailbox<NodeEvent>(capacity: 10)
        let batches = Mailbox<AppendBatch>(capacity: 10)
        let heard = Mutex<[(to: NodeID, known: [InGroup<AppendTicket>])]>([])
        let committer = GroupCommitter(
            log: log, mailbox: batches, consensus: consensus, metrics: NodeMetrics(),
            send: { batch in
                var events: [NodeEvent] = []
                _ = consensus.take(into: &events, until: 1)
                let known: [InGroup<AppendTicket>] = events.flatMap { event in
                    guard case .durable(let tickets) = event else {
                        return [InGroup<AppendTicket>]()
                    }
                    return tickets
                }
                heard.withLock { $0.append((to: batch.to, known: known)) }
            }, fatal: { Issue.record("\($0)") })

        let entry = LogEntry(
            term: Term(1), index: LogIndex(1), timestamp: HybridTimestamp(microseconds: 1),
            payload: .command([1]))
        var batch = AppendBatch()
        batch.append(
            AppendWork(
                ticket: AppendTicket(1), hardState: HardState(term: Term(1)), replacedFrom: nil,
                entries: [entry], messagesAfterDurable: []), of: Self.group)
        var acknowledgement = NodeMessages(incarnation: 1)
        acknowledgement.append(
            RaftMessage(
                group: Self.group, from: ReplicaID(2), to: ReplicaID(1), term: Term(1),
                kind: .staleTerm))
        batch.send([NodeBatch(to: NodeID(1), messages: acknowledgement)])
        batches.postRegardless(batch)
        batches.close()
        committer.run()

        let sent = heard.withLock { $0 }
        #expect(sent.map(\.to) == [NodeID(1)])
        #expect(sent.first?.known == [InGroup(Self.group, AppendTicket(1))])
        #expect(log.bounds(of: Self.group).last == LogIndex(1))
    }
}
