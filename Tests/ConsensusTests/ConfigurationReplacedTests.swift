import Consensus
import Primitives
import Testing

/// "a server always uses the latest configuration in its log, regardless of whether the entry is
/// committed" (thesis §4.1), and so the one before when that entry is replaced.
@Suite struct ConfigurationReplacedTests {
    private let settings = RaftSettings(registersStarts: false)

    private func message(_ request: AppendRequest, from: UInt64, term: UInt64) -> RaftMessage {
        RaftMessage(
            group: .defaultKeyspace, from: ReplicaID(from), to: ReplicaID(2), term: Term(term),
            kind: .appendRequest(request))
    }

    private func entry(
        _ index: UInt64, term: UInt64, _ configuration: Configuration?
    ) -> LogEntry {
        LogEntry(
            term: Term(term), index: LogIndex(index),
            timestamp: HybridTimestamp(microseconds: 1_000 * index),
            payload: configuration.map { .configuration($0.encoded()) } ?? .empty)
    }

    /// One append replaces an uncommitted configuration and brings another: what it must follow is
    /// what stands before the replaced one.
    @Test func oneAppendReplacesAConfigurationByAnother() throws {
        let voters = (1...3).map { ReplicaID($0) }
        let settled = Configuration(voters: voters, learners: [ReplicaID(4)])
        let joint = Configuration(
            voters: JointConfiguration(incoming: voters + [ReplicaID(5)], outgoing: voters),
            learners: [ReplicaID(4)])
        let next = Configuration(voters: voters + [ReplicaID(4)])
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(2), settings: settings,
            restored: RestoredState(
                hardState: HardState(), configuration: Configuration(voters: voters), log: .empty,
                appliedIndex: .zero, incarnation: 1),
            seed: 1)
        _ = raft.received(
            message(
                AppendRequest(
                    previousIndex: .zero, previousTerm: .zero,
                    entries: [entry(1, term: 1, settled), entry(2, term: 1, joint)],
                    commitIndex: LogIndex(1)),
                from: 1, term: 1))
        #expect(raft.configuration == joint)

        let effects = raft.received(
            message(
                AppendRequest(
                    previousIndex: LogIndex(1), previousTerm: Term(1),
                    entries: [entry(2, term: 2, nil), entry(3, term: 2, next)],
                    commitIndex: LogIndex(1)),
                from: 3, term: 2))

        #expect(effects.faults.isEmpty)
        #expect(raft.configuration == next)
        #expect(effects.append?.replacedFrom == LogIndex(2))
    }
}
