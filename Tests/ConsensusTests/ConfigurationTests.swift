import Consensus
import Primitives
import Testing

@Suite struct ConfigurationTests {
    static func replicas(_ ids: UInt64...) -> [ReplicaID] { ids.map(ReplicaID.init) }

    @Test("Agreement requires separate majorities from both configurations (§4.3)")
    func quorumsAgainstTheirDefinition() {
        var chance = SeededGenerator(seed: 4)
        for _ in 0..<2_000 {
            let incoming = Self.anyVoters(&chance, atLeast: 1)
            let outgoing = Self.anyVoters(&chance, atLeast: 0)
            let voters = JointConfiguration(incoming: incoming, outgoing: outgoing)
            let values = (0..<8).map { _ in chance.next() % 6 }
            func value(_ replica: ReplicaID) -> UInt64 { values[Int(replica.rawValue)] }
            func isMajority(_ set: [ReplicaID], _ holds: (ReplicaID) -> Bool) -> Bool {
                set.isEmpty || 2 * set.count(where: holds) > set.count
            }
            let agreed = (0..<6 as Range<UInt64>).last { candidate in
                [incoming, outgoing].allSatisfy { isMajority($0) { value($0) >= candidate } }
            }
            #expect(voters.agreed(value) == agreed, "\(voters) \(values)")

            func vote(_ replica: ReplicaID) -> Bool? {
                switch value(replica) {
                case 0...1: nil
                case 2...3: false
                default: true
                }
            }
            let won = [incoming, outgoing].allSatisfy { isMajority($0) { vote($0) == true } }
            let possible = [incoming, outgoing].allSatisfy {
                isMajority($0) { vote($0) != false }
            }
            #expect(voters.outcome(vote) == (won ? .won : possible ? .pending : .lost))
        }
    }

    static func anyVoters(_ chance: inout SeededGenerator, atLeast: Int) -> [ReplicaID] {
        let voters = (0..<8).filter { _ in chance.next() % 2 == 0 }.map { ReplicaID(UInt64($0)) }
        return voters.count >= atLeast ? voters : [ReplicaID(1)]
    }

    @Test func aJointGroupElectsAndCommitsWithBothMajorities() throws {
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(1),
            settings: RaftSettings(registersStarts: false),
            restored: RestoredState(
                hardState: HardState(),
                configuration: Configuration(
                    voters: JointConfiguration(
                        incoming: Self.replicas(1, 2, 3), outgoing: Self.replicas(1, 4, 5)),
                    learners: Self.replicas(6)),
                log: .empty, appliedIndex: .zero, incarnation: 1),
            seed: 1)
        func from(_ voter: UInt64, _ kind: RaftMessage.Kind, term: Term) -> RaftMessage {
            RaftMessage(
                group: .defaultKeyspace, from: ReplicaID(voter), to: ReplicaID(1), term: term,
                kind: kind)
        }
        for _ in 0..<100 where raft.role == .follower { _ = raft.ticked() }
        for voter: UInt64 in [2, 3] {
            _ = raft.received(from(voter, .preVoteResponse(granted: true), term: raft.term.next))
        }
        #expect(raft.role == .preCandidate)
        var effects = raft.received(
            from(4, .preVoteResponse(granted: true), term: raft.term.next))
        #expect(raft.role == .candidate)
        _ = raft.appended(try #require(effects.append).ticket)
        for voter: UInt64 in [4, 5] {
            _ = raft.received(from(voter, .voteResponse(granted: true), term: raft.term))
        }
        #expect(raft.role == .candidate)
        effects = raft.received(from(2, .voteResponse(granted: true), term: raft.term))
        #expect(raft.role == .leader)
        // The learner gets the log too.
        #expect(effects.messages.map(\.to) == Self.replicas(2, 3, 4, 5, 6))
        _ = raft.appended(try #require(effects.append).ticket)
        let accepted = RaftMessage.Kind.appendResponse(.accepted(matchIndex: LogIndex(1)))
        for voter: UInt64 in [2, 3, 6] { _ = raft.received(from(voter, accepted, term: raft.term)) }
        #expect(raft.commitIndex == .zero)
        _ = raft.received(from(5, accepted, term: raft.term))
        #expect(raft.commitIndex == LogIndex(1))
        #expect(raft.checkInvariants() == [])
    }
}
