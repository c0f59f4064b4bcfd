import Consensus
import Primitives
import Testing

/// Thesis §3.10: "transferring leadership".
@Suite struct TransferTests {
    private func led(_ count: Int = 3) -> Cluster {
        let cluster = Cluster(count)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        return cluster
    }

    @Test("The target's election does not wait for an election timeout (§3.10)")
    func theTargetCampaignsAtOnce() {
        let cluster = led()
        let term = cluster.raft(1).term
        #expect(cluster.transfer(to: 2, at: 1) == .begun(to: ReplicaID(2)))
        cluster.settle()
        #expect(cluster.leaders == [2])
        #expect(cluster.raft(2).term == term.next)
        // Nobody was asked beforehand, and the voters did hear a leader.
        #expect(cluster.sent { if case .preVoteRequest = $0 { true } else { false } }.count == 2)
        #expect(
            cluster[1].transfersEnded == [.done(leader: ReplicaID(2), term: term.next)])
        cluster.propose("b", at: 2)
        cluster.settle()
        #expect(cluster.commands(at: 3) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }

    @Test("The prior leader fully updates the target server's log (§3.10, step 2)")
    func theTargetIsBroughtUpToDateFirst() {
        let cluster = led()
        cluster.isolate(2)
        for i in 0..<5 { cluster.propose("\(i)", at: 1) }
        cluster.settle()
        #expect(cluster.transfer(to: 2, at: 1) == .begun(to: ReplicaID(2)))
        cluster.settle()
        #expect(cluster.sent { $0 == .timeoutNow }.isEmpty)
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.leaders == [2])
        #expect(cluster.commands(at: 2) == ["a", "0", "1", "2", "3", "4"])
        #expect(cluster.checker.violations == [])
    }

    @Test("The prior leader stops accepting new client requests (§3.10, step 1)")
    func proposalsAreRefusedMeanwhile() {
        let cluster = led()
        cluster.isolate(2)
        cluster.transfer(to: 2, at: 1)
        #expect(
            cluster.propose("b", at: 1) == .refused(.transferInProgress(to: ReplicaID(2))))
        #expect(
            cluster.transfer(to: 3, at: 1) == .refused(.transferInProgress(to: ReplicaID(2))))
        // "If leadership transfer does not complete after about an election timeout, the prior
        // leader aborts the transfer and resumes accepting client requests."
        for _ in 0..<9 {
            cluster.tick(1)
            cluster.settle()
        }
        #expect(cluster[1].transfersEnded == [])
        cluster.tick(1)
        cluster.settle()
        #expect(cluster[1].transfersEnded == [.timedOut])
        #expect(cluster.leaders == [1])
        guard case .accepted = cluster.propose("b", at: 1) else {
            Issue.record("still refused")
            return
        }
        cluster.settle()
        #expect(cluster.commands(at: 3) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }

    @Test func refusalsSayWhy() {
        let cluster = led()
        #expect(cluster.transfer(to: 2, at: 3) == .refused(.notLeader(leader: ReplicaID(1))))
        #expect(cluster.transfer(to: 1, at: 1) == .refused(.ineligible(ReplicaID(1))))
        #expect(cluster.transfer(to: 9, at: 1) == .refused(.ineligible(ReplicaID(9))))
        let alone = Cluster(1)
        alone.elect(1)
        #expect(alone.transfer(to: nil, at: 1) == .refused(.noTarget))
        // Those that have been silent for an election timeout are no targets either.
        cluster.isolate(2)
        for _ in 0..<11 {
            cluster.tick(1)
            cluster.settle()
        }
        cluster.isolate(3)
        for _ in 0..<10 { cluster.tick(1) }
        #expect(cluster.raft(1).role == .leader)
        #expect(cluster.transfer(to: nil, at: 1) == .refused(.noTarget))
    }

    @Test func learnersWitnessesAndOutgoingVotersAreIneligible() throws {
        let configuration = Configuration(
            voters: JointConfiguration(
                incoming: [1, 2, 3].map(ReplicaID.init), outgoing: [1, 2, 4].map(ReplicaID.init)),
            learners: [ReplicaID(5)], members: [Member(ReplicaID(3), isWitness: true)])
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(1),
            settings: RaftSettings(registersStarts: false),
            restored: RestoredState(
                hardState: HardState(), configuration: configuration, log: .empty,
                appliedIndex: .zero, incarnation: 1),
            seed: 1)
        func answer(_ kind: RaftMessage.Kind, term: UInt64, _ raft: inout RaftGroup) -> Effects {
            var effects = Effects()
            for voter in [2, 4] as [UInt64] {
                let next = raft.received(
                    RaftMessage(
                        group: .defaultKeyspace, from: ReplicaID(voter), to: ReplicaID(1),
                        term: Term(term), kind: kind))
                if next.append != nil { effects = next }
            }
            return effects
        }
        while raft.role == .follower { _ = raft.ticked() }
        let campaign = answer(.preVoteResponse(granted: true), term: 1, &raft)
        _ = raft.appended(try #require(campaign.append).ticket)
        _ = answer(.voteResponse(granted: true), term: 1, &raft)
        #expect(raft.role == .leader)
        for id in [3, 4, 5] as [UInt64] {
            #expect(
                raft.transferRequested(to: ReplicaID(id)).0
                    == .refused(.ineligible(ReplicaID(id))))
        }
        #expect(raft.transferRequested(to: ReplicaID(2)).0 == .begun(to: ReplicaID(2)))
    }

    @Test func withoutATargetTheBestIsTaken() {
        let cluster = Cluster(4, members: [Member(ReplicaID(3), priority: 7)])
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.tick(1, times: 2)
        cluster.settle()
        // The preferred has less: "most caught up" comes first.
        cluster.isolate(3)
        cluster.propose("b", at: 1)
        cluster.settle()
        #expect(cluster.transfer(to: nil, at: 1) == .begun(to: ReplicaID(2)))
        let level = Cluster(4, members: [Member(ReplicaID(3), priority: 7)])
        level.elect(1)
        level.settle()
        #expect(level.transfer(to: nil, at: 1) == .begun(to: ReplicaID(3)))
        level.settle()
        #expect(level.leaders == [3])
    }

    @Test func aLostTimeoutNowIsRepeatedWithinTheLimit() {
        let cluster = led()
        cluster.transfer(to: 2, at: 1)
        cluster.network = []
        cluster.tickAll(times: 2)
        #expect(cluster.leaders == [2])
        #expect(cluster.checker.violations == [])
    }

    @Test func aStaleTimeoutNowIsHarmless() throws {
        let cluster = led()
        let term = cluster.raft(1).term
        func timeoutNow(from: UInt64, term: Term) -> RaftMessage {
            RaftMessage(
                group: .defaultKeyspace, from: ReplicaID(from), to: ReplicaID(2), term: term,
                kind: .timeoutNow)
        }
        cluster.deliver(timeoutNow(from: 1, term: Term(0)))
        #expect(cluster.raft(2).role == .follower)
        // From one that does not lead this term: a breach.
        var raft = cluster.raft(2)
        let effects = raft.received(timeoutNow(from: 3, term: term))
        #expect(
            effects.faults
                == [.secondLeader(from: ReplicaID(3), known: ReplicaID(1), term: term)])
        #expect(raft.role == .follower)
        // After the handover a copy of what started it changes nothing.
        cluster.transfer(to: 2, at: 1)
        let first = try #require(cluster.sent { $0 == .timeoutNow }.last)
        cluster.settle()
        let now = cluster.raft(2).term
        cluster.deliver(first)
        cluster.settle()
        #expect(cluster.leaders == [2] && cluster.raft(2).term == now)
        #expect(cluster.checker.violations == [])
    }

    @Test func aLeaderThatFallsMeanwhileSaysSo() {
        let cluster = led(5)
        cluster.isolate(2)
        cluster.transfer(to: 2, at: 1)
        cluster.isolate(1)
        cluster.elect(3)
        cluster.cut = cluster.cut.filter { $0.from == ReplicaID(2) || $0.to == ReplicaID(2) }
        for _ in 0..<4 {
            cluster.tick(3)
            cluster.settle()
        }
        #expect(cluster[1].transfersEnded == [.leadershipLost])
        #expect(cluster.checker.violations == [])
    }

    @Test("Reads in flight across a transfer stay linearizable (§6.4)")
    func readsInFlight() {
        let cluster = led()
        cluster.read(1, at: 1)
        cluster.read(2, at: 3)
        cluster.transfer(to: 2, at: 1)
        // The leader's round has left; the answers come after another leader has committed.
        let late = cluster.network.filter { $0.from == ReplicaID(1) && $0.kind != .timeoutNow }
        cluster.network.removeAll { $0.kind != .timeoutNow }
        cluster.settle()
        #expect(cluster.leaders == [2])
        cluster.propose("b", at: 2)
        cluster.settle()
        for message in late { cluster.deliver(message) }
        cluster.settle()
        cluster.tickAll(times: 12)
        // The checker compares each answer with what was committed when the read came.
        #expect(cluster.checker.openReads == 0)
        #expect(cluster[1].readsRefused == [ReadRefused(token: 1, reason: .leadershipLost)])
        #expect(cluster.checker.violations == [])
    }
}
