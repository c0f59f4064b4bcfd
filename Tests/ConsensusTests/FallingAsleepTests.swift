import Consensus
import Primitives
import Testing

/// What keeps a group awake: whatever ticks or messages would have to finish.
@Suite struct FallingAsleepTests {
    private func led(registers: Bool = false, members: [Member] = []) -> Cluster {
        let cluster = Cluster(
            3, settings: HibernationTests.settings, registers: registers, members: members)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        return cluster
    }

    private func isLullaby(_ message: RaftMessage) -> Bool {
        guard case .heartbeat(let heartbeat) = message.kind else { return false }
        return heartbeat.hibernates
    }

    private func lullaby(to id: UInt64, in cluster: Cluster) -> RaftMessage {
        let leader = cluster.raft(1)
        return RaftMessage(
            group: .defaultKeyspace, from: ReplicaID(1), to: ReplicaID(id), term: leader.term,
            kind: .heartbeat(Heartbeat(commitIndex: leader.commitIndex, round: 0, hibernates: true))
        )
    }

    /// One tick of everybody; what `isLost` says of a message is lost.
    private func tick(_ cluster: Cluster, losing isLost: (RaftMessage) -> Bool) {
        for id in cluster.running { cluster.tick(id) }
        while !cluster.network.isEmpty {
            cluster.network.removeAll(where: isLost)
            cluster.deliverAll()
        }
        cluster.settle()
    }

    /// Asleep, its leader would count no tick towards the transfer's end.
    @Test func aLeaderThatHandsOverStaysAwakeUntilThatHasEnded() {
        let cluster = led()
        cluster.transfer(to: 2, at: 1)
        for _ in 0..<9 {
            tick(cluster) { $0.kind == .timeoutNow }
            #expect(cluster.asleep == [])
            #expect(cluster[1].transfersEnded == [])
        }
        tick(cluster) { $0.kind == .timeoutNow }
        #expect(cluster[1].transfersEnded == [.timedOut])
        #expect(cluster.fallAsleep())
        #expect(cluster.leaders == [1])
        #expect(cluster.checker.violations == [])
    }

    /// "and goes on with them until every member that shows life has answered that it sleeps"
    @Test func aLeaderDoesNotSleepWhileAMemberThatLivesHasNotSaidThatItDoes() {
        let cluster = led()
        for _ in 0..<20 where cluster.asleep.isEmpty {
            tick(cluster) { isLullaby($0) && $0.to == ReplicaID(3) }
        }
        // A quorum sleeps or would; 3 has heard nothing of it, and answered a heartbeat just now.
        #expect(cluster.asleep == [2])
        let before = cluster.sent.filter { isLullaby($0) && $0.to == ReplicaID(3) }.count
        for _ in 0..<4 { tick(cluster) { isLullaby($0) && $0.to == ReplicaID(3) } }
        #expect(cluster.asleep == [2])
        #expect(cluster.sent.filter { isLullaby($0) && $0.to == ReplicaID(3) }.count > before)
        cluster.tickAll(times: 2)
        #expect(cluster.asleep == [1, 2, 3])
        #expect(cluster.checker.violations == [])
    }

    @Test func aLeaderWithAReadThatWaitsSingsNoLullaby() {
        let cluster = led()
        cluster.read(1, at: 1)
        cluster.sent = []
        // Nobody answers its heartbeats.
        for _ in 0..<9 { tick(cluster) { $0.to == ReplicaID(1) } }
        #expect(cluster[1].readsReady == [])
        #expect(cluster.leaders == [1])
        #expect(!cluster.sent.isEmpty && cluster.sent.filter(isLullaby) == [])
        cluster.tickAll(times: 2)
        #expect(cluster[1].readsReady.map(\.token) == [1])
        #expect(cluster.fallAsleep())
        #expect(cluster.checker.violations == [])
    }

    /// The clock of a read, and its being asked for again, are ticks of the follower's.
    @Test func aFollowerWithAReadUnderWayStaysAwake() {
        let cluster = led()
        cluster.read(1, at: 3)
        cluster.network = []
        cluster.deliver(lullaby(to: 3, in: cluster))
        #expect(!cluster.raft(3).isHibernating)
        cluster.settle()
        cluster.tickAll(times: 2)
        #expect(cluster[3].readsReady.map(\.token) == [1])
        #expect(cluster.checker.violations == [])
    }

    /// A lullaby may overtake the sync of what its leader has committed with the help of others.
    @Test(arguments: [false, true])
    func aFollowerWhoseDiskHasNotWrittenStaysAwake(isWitness: Bool) {
        let cluster = led(members: [Member(ReplicaID(3), isWitness: isWitness)])
        cluster[3].diskIsStuck = true
        cluster.propose("b", at: 1)
        cluster.settle()
        cluster.tick(1, times: 2)
        cluster.settle()
        #expect(cluster.raft(3).commitIndex == LogIndex(3))
        cluster.deliver(lullaby(to: 3, in: cluster))
        #expect(!cluster.raft(3).isHibernating)
        cluster[3].diskIsStuck = false
        cluster.settle()
        cluster.deliver(lullaby(to: 3, in: cluster))
        #expect(cluster.raft(3).isHibernating)
        #expect(cluster.checker.violations == [])
    }

    /// "and its check of the quorum begins anew", whenever in an election timeout it fell asleep.
    @Test func aWokenLeaderHasAWholeElectionTimeoutToFindItsQuorum() {
        for ticks in 0..<HibernationTests.settings.electionTimeoutTicks {
            let cluster = led()
            cluster.tickAll(times: ticks)
            cluster.read(1, at: 1)
            cluster.settle()
            #expect(cluster.fallAsleep())
            cluster.isolate(1)
            cluster.wake(1, .request)
            cluster.tick(1, times: HibernationTests.settings.electionTimeoutTicks - 1)
            #expect(cluster.leaders == [1], "\(ticks) ticks awake before the read")
            cluster.tick(1)
            #expect(cluster.leaders == [], "\(ticks) ticks awake before the read")
        }
    }

    /// "Asked for a term that it does not lead yet, the leader leads no more": whoever sleeps beside
    /// it has heard it a moment ago, and must not refuse it therefore.
    @Test func aLeaderThatRestartsIsGrantedPreVotesByItsOwnFollowers() {
        let cluster = led()
        #expect(cluster.fallAsleep())
        let (term, last) = (cluster.raft(1).term, cluster.raft(1).lastIndex)
        cluster.crash(1)
        cluster.start(1)
        cluster.network = []
        cluster.deliver(
            RaftMessage(
                group: .defaultKeyspace, from: ReplicaID(1), to: ReplicaID(2), term: term.next,
                kind: .preVoteRequest(VoteRequest(lastIndex: last, lastTerm: term))))
        #expect(cluster.raft(2).leader == nil)
        #expect(
            cluster.network.contains {
                $0.from == ReplicaID(2) && $0.kind == .preVoteResponse(granted: true)
            })
        #expect(cluster.checker.violations == [])
    }
}
