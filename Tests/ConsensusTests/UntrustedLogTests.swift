import Consensus
import Primitives
import Testing

/// Decision 0007: a replica that does not know what it has lost is quarantined. What else its disk
/// says need not fit a log that has forgotten: it starts all the same, so that its peers hear of it
/// and the other groups of its node go on.
@Suite struct UntrustedLogTests {
    private let voters = [ReplicaID(1), ReplicaID(2), ReplicaID(3)]

    private func start(
        _ disk: SimulatedDisk, applied: UInt64 = 0, isUntrusted: Bool = true
    ) throws -> RaftGroup {
        var restored = RestoredState(
            hardState: disk.hardState, configuration: Configuration(voters: voters),
            log: disk.summary, appliedIndex: LogIndex(applied), incarnation: 2)
        restored.logIsUntrusted = isUntrusted
        return try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(1), settings: RaftSettings(),
            restored: restored, seed: 1)
    }

    /// It tells its peers at once, says nothing else, and hands nothing out.
    private func expectQuarantine(_ raft: inout RaftGroup, told term: Term) {
        let effects = raft.started()
        #expect(effects.quarantined == .untrustedLog)
        #expect(raft.standing == .quarantined && raft.role == .follower)
        let told = effects.messages.compactMap { message -> Registration? in
            if case .registration(let own) = message.kind { own } else { nil }
        }
        #expect(told.count == 2 && told.allSatisfy { $0.isQuarantined && $0.term == term })
        var handedOut = effects.committed.count
        for _ in 0..<100 { handedOut += raft.ticked().committed.count }
        #expect(handedOut == 0)
        #expect(raft.checkInvariants() == [])
    }

    @Test func aCommitIndexBehindItsEndIsNoReasonToRefuse() throws {
        // Entries 4 and 5 are gone, and the record of what was committed is not.
        var disk = ReplicationTests.disk(terms: [1, 1, 2])
        disk.hardState.commitIndex = LogIndex(5)
        #expect(
            throws: RestoreFailure.committedEntriesMissing(
                commitIndex: LogIndex(5), lastIndex: LogIndex(3))
        ) { try start(disk, isUntrusted: false) }
        var raft = try start(disk)
        expectQuarantine(&raft, told: Term(2))
    }

    /// In doubt is what replaced entry 3, too: that the disk knows 3 to be committed is not about
    /// the entry that this log has there.
    @Test func nothingOfItIsHandedOut() throws {
        var disk = ReplicationTests.disk(terms: [1, 1, 2])
        disk.hardState.commitIndex = LogIndex(3)
        var raft = try start(disk, applied: 1)
        expectQuarantine(&raft, told: Term(2))
        #expect(raft.appliedIndex == LogIndex(1) && raft.commitIndex == LogIndex(1))
    }

    @Test func aStateAheadOfItIsNoReasonToRefuse() throws {
        let disk = ReplicationTests.disk(terms: [1, 1, 2])
        #expect(
            throws: RestoreFailure.appliedAheadOfLog(
                appliedIndex: LogIndex(5), lastIndex: LogIndex(3))
        ) { try start(disk, applied: 5, isUntrusted: false) }
        var raft = try start(disk, applied: 5)
        // The state machine goes on saying where it is.
        #expect(raft.persisted(through: LogIndex(5)).append == nil)
        expectQuarantine(&raft, told: Term(2))
    }

    @Test func aTermThatItHasForgottenIsThatOfItsLog() throws {
        let disk = ReplicationTests.disk(terms: [1, 1, 3], term: 2)
        #expect(
            throws: RestoreFailure.logAheadOfTerm(lastTerm: Term(3), term: Term(2))
        ) { try start(disk, isUntrusted: false) }
        var raft = try start(disk)
        expectQuarantine(&raft, told: Term(3))
        // Whom it voted for in that term is as unknown.
        #expect(raft.term == Term(3) && raft.vote == ReplicaID(1))
    }
}
