import Consensus
import Primitives
import Testing

/// A preferred replica leads when it can: never at the price of safety or availability.
@Suite struct PriorityTests {
    private func cluster(_ priorities: [UInt8], seed: UInt64 = 1) -> Cluster {
        Cluster(
            priorities.count, seed: seed,
            members: priorities.enumerated().map {
                Member(ReplicaID(UInt64($0.offset + 1)), priority: $0.element)
            })
    }

    @Test func thePreferredIsElectedFirst() {
        for seed in 0..<30 {
            let cluster = cluster([0, 9, 5], seed: UInt64(seed))
            for _ in 0..<60 where cluster.leaders.isEmpty { cluster.tickAll() }
            #expect(cluster.leaders == [2], "seed \(seed)")
            #expect(cluster.checker.violations == [], "seed \(seed)")
        }
    }

    @Test func withoutThePreferredTheOthersWaitAtMostOneElectionTimeoutMore() {
        for seed in 0..<30 {
            let cluster = cluster([0, 9, 0], seed: UInt64(seed))
            cluster.crash(2)
            var ticks = 0
            while cluster.raft(1).role == .follower && ticks < 100 {
                cluster.tick(1)
                ticks += 1
            }
            // 10 ..< 20 without priorities.
            #expect((20..<30).contains(ticks), "seed \(seed)")
        }
        let cluster = cluster([0, 9, 0])
        cluster.crash(2)
        cluster.tickAll(times: 60)
        #expect(cluster.leaders.count == 1)
    }

    @Test func noVoteIsRefusedBecauseOfPriority() {
        let cluster = cluster([0, 9, 5])
        cluster.elect(1)
        #expect(cluster.leaders == [1])
    }

    @Test func aLeaderHandsOverToAPreferredVoterOnceThatIsStable() {
        let cluster = cluster([0, 9, 5])
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.tickAll(times: 20)
        #expect(cluster.leaders == [1])
        cluster.tickAll(times: 25)
        #expect(cluster.leaders == [2])
        // Nobody asked for it.
        #expect(cluster[1].transfersEnded == [])
        cluster.tickAll(times: 200)
        #expect(cluster.leaders == [2])
        #expect(cluster.checker.violations == [])
    }

    @Test func aPreferredVoterThatIsBehindOrUnwellIsNotAsked() {
        let cluster = cluster([0, 9, 5])
        cluster.elect(1)
        // It comes and goes.
        for _ in 0..<10 {
            cluster.isolate(2)
            for _ in 0..<12 {
                cluster.tick(1)
                cluster.tick(3)
                cluster.settle()
            }
            cluster.heal()
            for _ in 0..<12 {
                cluster.tick(1)
                cluster.settle()
            }
        }
        // 3 is stable meanwhile, and preferred to 1.
        #expect(cluster.leaders == [3])
        #expect(cluster.checker.violations == [])
    }

    @Test func attemptsAreSeldom() {
        let cluster = cluster([0, 9, 0])
        cluster.elect(1)
        // The preferred lives and acknowledges, but never gets to campaign.
        for _ in 0..<300 {
            for id in 1...3 { cluster.tick(id) }
            cluster.network.removeAll { $0.kind == .timeoutNow }
            cluster.settle()
        }
        #expect(cluster.leaders == [1])
        let told = cluster.sent { $0 == .timeoutNow }.count
        // In 30 election timeouts three attempts at most, each repeated with the heartbeats.
        #expect(told >= 5 && told <= 15, "\(told)")
    }

    @Test func nobodyHandsOverWhileTheGroupChanges() {
        let cluster = cluster([0, 9, 0])
        cluster.elect(1)
        cluster.tickAll(times: 25)
        #expect(cluster.leaders == [1])
        // A change that cannot be committed for now.
        for id in 1...3 { cluster[id].diskIsStuck = true }
        cluster.event(1) { raft in
            raft.configurationProposed(
                .change([.setLearner(Member(ReplicaID(4)))], leave: .automatic), wallClock: 1
            ).1
        }
        cluster.network.removeAll { $0.to == ReplicaID(4) }
        for _ in 0..<30 {
            for id in 1...3 { cluster.tick(id) }
            cluster.network.removeAll { $0.to == ReplicaID(4) }
            cluster.deliverAll()
        }
        #expect(cluster.sent { $0 == .timeoutNow }.isEmpty)
        #expect(cluster.leaders == [1])
    }
}
