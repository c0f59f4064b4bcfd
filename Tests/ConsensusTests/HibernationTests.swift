import Consensus
import Primitives
import Testing

/// A group that has nothing to do costs nothing, and wakes for whatever happens.
@Suite struct HibernationTests {
    static let settings = RaftSettings(heartbeatTicks: 2, hibernationTicks: 6)

    private func asleep(_ count: Int = 3, registers: Bool = false) -> Cluster {
        let cluster = Cluster(count, settings: Self.settings, registers: registers)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.fallAsleep()
        cluster.sent = []
        return cluster
    }

    @Test func anIdleGroupFallsSilent() {
        let cluster = asleep()
        #expect(cluster.asleep == [1, 2, 3])
        cluster.tickAll(times: 1_000)
        #expect(cluster.sent == [])
        #expect(cluster.leaders == [1] && cluster.raft(2).leader == ReplicaID(1))
        #expect(cluster.raft(2).leaderNode == NodeID(1))
        #expect(cluster.checker.violations == [])
    }

    @Test func aGroupOfOneSleepsToo() {
        #expect(asleep(1).asleep == [1])
    }

    @Test func aBusyGroupStaysAwake() {
        let cluster = Cluster(3, settings: Self.settings)
        cluster.elect(1)
        for i in 0..<30 {
            cluster.read(UInt64(i), at: i % 2 == 0 ? 1 : 2)
            cluster.tickAll(times: 4)
            #expect(cluster.asleep == [])
        }
    }

    @Test func whoeverIsNotDoneKeepsTheGroupAwake() {
        let cluster = Cluster(3, settings: Self.settings)
        cluster.elect(1)
        cluster[3].diskIsStuck = true
        cluster.propose("a", at: 1)
        for _ in 0..<40 {
            cluster.tick(1)
            cluster.settle()
        }
        #expect(cluster.asleep == [])
        cluster[3].diskIsStuck = false
        cluster[1].applyIsStuck = true
        cluster.propose("b", at: 1)
        cluster.tickAll(times: 40)
        #expect(cluster.asleep == [])
        cluster[1].applyIsStuck = false
        #expect(cluster.fallAsleep())
        #expect(cluster.checker.violations == [])
    }

    @Test func aLostLullabyIsSungAgain() {
        let cluster = Cluster(3, settings: Self.settings)
        cluster.elect(1)
        cluster.settle()
        var lost = 0
        for _ in 0..<40 where cluster.asleep != [1, 2, 3] {
            for id in cluster.running { cluster.tick(id) }
            cluster.deliverAll()
            // The first five answers of sleepers are lost.
            cluster.network.removeAll { message in
                guard case .heartbeatResponse(_, hibernates: true) = message.kind, lost < 5 else {
                    return false
                }
                lost += 1
                return true
            }
            cluster.settle()
            #expect(lost < 5 || !cluster.leaders.isEmpty)
        }
        #expect(lost == 5)
        #expect(cluster.asleep == [1, 2, 3])
        #expect(cluster.checker.violations == [])
    }

    @Test func aProposalWakesEveryone() {
        let cluster = asleep()
        guard case .accepted = cluster.propose("b", at: 1) else {
            Issue.record("refused")
            return
        }
        cluster.settle()
        #expect(cluster.asleep == [])
        #expect(cluster.commands(at: 3) == ["a", "b"])
        #expect(cluster.fallAsleep())
    }

    @Test("Waking confirms leadership before any read")
    func aReadOfAWokenLeaderWaitsForAQuorum() {
        let cluster = asleep()
        cluster.read(1, at: 1)
        #expect(cluster[1].readsReady == [])
        cluster.settle()
        #expect(cluster[1].readsReady.map(\.token) == [1])
        // One that slept through its own deposition answers nothing.
        cluster.fallAsleep()
        cluster.isolate(1)
        cluster.wake(2, .nodeLost(NodeID(1)))
        cluster.wake(3, .nodeLost(NodeID(1)))
        cluster.elect(2)
        cluster.propose("b", at: 2)
        cluster.settle()
        #expect(cluster.raft(1).isHibernating && cluster.leaders == [1, 2])
        cluster.read(2, at: 1)
        cluster.tick(1, times: 9)
        #expect(cluster[1].readsReady.map(\.token) == [1])
        // Its check of the quorum began when it woke.
        cluster.tick(1)
        #expect(cluster.leaders == [2])
        #expect(
            cluster[1].readsRefused == [ReadRefused(token: 2, reason: .leadershipLost)])
        #expect(cluster.checker.violations == [])
    }

    @Test func aFollowersReadWakesTheLeader() {
        let cluster = asleep()
        cluster.read(1, at: 3)
        cluster.settle()
        #expect(cluster[3].readsReady.map(\.token) == [1])
        #expect(cluster.asleep == [])
        let told = asleep()
        told.wake(3, .request)
        told.settle()
        #expect(told.asleep == [])
        #expect(told.leaders == [1])
    }

    @Test func theLossOfTheLeadersNodeElectsAnotherWithinAnElectionTimeout() {
        for seed in 0..<20 {
            let cluster = Cluster(3, settings: Self.settings, seed: UInt64(seed))
            cluster.elect(1)
            cluster.fallAsleep()
            #expect(cluster.asleep == [1, 2, 3])
            cluster.crash(1)
            // Said an election timeout after the last sign of life.
            cluster.wake(2, .nodeLost(NodeID(1)))
            cluster.settle()
            cluster.tickAll(times: 2)
            cluster.wake(3, .nodeLost(NodeID(1)))
            var ticks = 2
            while cluster.leaders.isEmpty && ticks < 100 {
                cluster.tickAll()
                ticks += 1
            }
            // Two candidates at once may share the vote, once.
            #expect(ticks <= 12 || cluster.raft(2).term > Term(2), "seed \(seed): \(ticks)")
            #expect(cluster.checker.violations == [], "seed \(seed)")
        }
    }

    @Test func theLossOfAFollowersNodeMakesTheLeaderCheckItsQuorum() {
        let cluster = asleep()
        cluster.wake(2, .nodeLost(NodeID(3)))
        #expect(cluster.raft(2).isHibernating)
        cluster.crash(3)
        cluster.wake(1, .nodeLost(NodeID(3)))
        cluster.settle()
        #expect(cluster.asleep == [])
        // With a quorum it goes to sleep again, without the lost one; without, it steps down.
        #expect(cluster.fallAsleep())
        #expect(cluster.leaders == [1])
        cluster.crash(2)
        cluster.wake(1, .nodeLost(NodeID(2)))
        cluster.tick(1, times: 10)
        #expect(cluster.leaders == [])
    }

    @Test func aFalseAlarmUnseatsNobody() {
        let cluster = asleep()
        let term = cluster.raft(1).term
        cluster.wake(2, .nodeLost(NodeID(1)))
        cluster.tickAll(times: 30)
        #expect(cluster.leaders == [1] && cluster.raft(1).term == term)
        #expect(cluster.raft(2).leader == ReplicaID(1))
        #expect(cluster.checker.violations == [])
    }

    @Test(arguments: [true, false])
    func aRestartedSleeperFollowsAgainWithoutAnElection(registers: Bool) {
        let cluster = asleep(3, registers: registers)
        let term = cluster.raft(1).term
        cluster.crash(2)
        cluster.start(2)
        #expect(!cluster.raft(2).isHibernating && cluster.raft(2).leader == nil)
        for _ in 0..<30 { cluster.tickAll() }
        #expect(cluster.raft(2).leader == ReplicaID(1))
        #expect(cluster.leaders == [1] && cluster.raft(1).term == term)
        #expect(cluster.fallAsleep())
        #expect(cluster.checker.violations == [])
    }

    @Test(arguments: [true, false])
    func aRestartedLeaderOfSleepersIsElectedOrReplaced(registers: Bool) {
        // Its node was not missed: nobody is told of a loss.
        let cluster = asleep(3, registers: registers)
        cluster.crash(1)
        cluster.start(1)
        cluster.tickAll(times: 50)
        #expect(cluster.leaders.count == 1)
        #expect(cluster.ids.allSatisfy { cluster.raft($0).leader != nil })
        #expect(cluster.checker.violations == [])
    }

    @Test func aLatePreVoteFindsTheLeaderAlive() {
        let cluster = asleep()
        let term = cluster.raft(1).term
        let last = cluster.raft(1).lastIndex
        for id in [1, 2] as [UInt64] {
            cluster.deliver(
                RaftMessage(
                    group: .defaultKeyspace, from: ReplicaID(3), to: ReplicaID(id), term: term.next,
                    kind: .preVoteRequest(VoteRequest(lastIndex: last, lastTerm: term))))
        }
        cluster.settle()
        #expect(
            cluster.sent { if case .preVoteResponse(true) = $0 { true } else { false } }.isEmpty)
        #expect(cluster.leaders == [1])
    }
}
