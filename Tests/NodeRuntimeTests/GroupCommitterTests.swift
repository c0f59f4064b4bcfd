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

    private static func open(_ device: MemoryLogDevice) throws -> ReplicatedLog {
        try ReplicatedLog.open(
            device: device, identity: LogIdentity(cluster: ClusterID(1), node: NodeID(2)),
            settings: LogSettings(segmentBytes: 64 << 10)
        ).log
    }

    /// One entry, and a message that may leave once it is durable.
    private static func acknowledgedAppend() -> AppendBatch {
        let entry = LogEntry(
            term: Term(1), index: LogIndex(1), timestamp: HybridTimestamp(microseconds: 1),
            payload: .command([1]))
        var batch = AppendBatch()
        batch.append(
            AppendWork(
                ticket: AppendTicket(1), hardState: HardState(term: Term(1)), replacedFrom: nil,
                entries: [entry], messagesAfterDurable: []), of: group)
        var acknowledgement = NodeMessages(incarnation: 1)
        acknowledgement.append(
            RaftMessage(
                group: group, from: ReplicaID(2), to: ReplicaID(1), term: Term(1),
                kind: .staleTerm))
        batch.send([NodeBatch(to: NodeID(1), messages: acknowledgement)])
        return batch
    }

    /// An answer to a message that waited for the disk must not overtake the news that the disk has
    /// it: a replica that is told of an acknowledgement which it does not know it gave takes its own
    /// disk for one that has forgotten, and stops for good.
    @Test func theReplicaKnowsWhatIsDurableBeforeAnyPeerHearsOfIt() throws {
        let log = try Self.open(MemoryLogDevice())
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

        batches.postRegardless(Self.acknowledgedAppend())
        batches.close()
        committer.run()

        let sent = heard.withLock { $0 }
        #expect(sent.map(\.to) == [NodeID(1)])
        #expect(sent.first?.known == [InGroup(Self.group, AppendTicket(1))])
        #expect(log.bounds(of: Self.group).last == LogIndex(1))
    }

    /// The device has lost the last write that it acknowledged. With nothing behind it that would
    /// look like a write that a crash tore; the node has been idle for a while, though.
    @Test func whatTheDeviceLostIsNotTakenForTornOnceTheLogHasBeenIdle() async throws {
        let device = MemoryLogDevice()
        let log = try Self.open(device)
        let segment = SegmentNumber(1)
        let opened = device.contents(of: segment)
        let batches = Mailbox<AppendBatch>(capacity: 10)
        let appended = Mutex<Bytes>([])
        let committer = GroupCommitter(
            log: log, mailbox: batches, consensus: Mailbox(capacity: 10), metrics: NodeMetrics(),
            send: { _ in appended.withLock { $0 = device.contents(of: segment) } },
            fatal: { Issue.record("\($0)") }, idleNanoseconds: 1_000_000)
        let thread = DedicatedThread(name: "committer") { committer.run() }
        batches.postRegardless(Self.acknowledgedAppend())
        for _ in 0..<60_000
        where appended.withLock({ $0.isEmpty || device.contents(of: segment) == $0 }) {
            try await Task.sleep(for: .milliseconds(1))
        }
        // A crash now: the node is still running.
        let written = appended.withLock { $0 }
        let disk = device.copy()
        batches.close()
        thread.join()

        for offset in opened.indices where opened[offset] != written[offset] {
            disk.overwrite(segment, at: offset, [opened[offset]])
        }
        #expect(throws: LogError.self) { try Self.open(disk) }
    }
}
