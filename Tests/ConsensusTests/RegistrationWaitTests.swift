import Consensus
import Primitives
import Testing

/// "Since it waits for all voters, or for a quorum and an election timeout, it misses only those that
/// are down or cut off" (`Registration`).
@Suite struct RegistrationWaitTests {
    private func cutPair(_ a: UInt64, _ b: UInt64, _ cluster: Cluster) {
        cluster.cut += [(ReplicaID(a), ReplicaID(b)), (ReplicaID(b), ReplicaID(a))]
    }

    private func tick(_ id: Int, times: Int, _ cluster: Cluster) {
        for _ in 0..<times {
            cluster.tick(id)
            cluster.settle()
        }
    }

    @Test func aQuorumIsEnoughAfterAnElectionTimeoutOnly() {
        let cluster = Cluster(3, registers: true)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.crash(3)
        cutPair(2, 3, cluster)
        cluster.start(3)
        cluster.settle()
        tick(3, times: cluster.settings.electionTimeoutTicks - 1, cluster)
        #expect(cluster.raft(3).standing == .registering)
        tick(3, times: 1, cluster)
        #expect(cluster.raft(3).standing == .trusted)
        #expect(cluster.checker.violations == [])
    }

    /// "it acknowledges to, and votes for, only those that have registered this start"
    @Test func aTrustedReplicaVotesForNobodyWhoHasNotHeardOfItsStart() {
        let cluster = Cluster(3, registers: true)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.crash(3)
        cutPair(2, 3, cluster)
        cluster.start(3)
        tick(3, times: cluster.settings.electionTimeoutTicks, cluster)
        #expect(cluster.raft(3).standing == .trusted)
        let request = ElectionTests.voteRequest(
            from: 2, to: 3, term: cluster.raft(1).term.rawValue + 1, lastIndex: 2, lastTerm: 1)
        cluster.sent = []
        cluster.deliver(request)
        cluster.sync(3)
        #expect(ElectionTests.votes(granted: 3, in: cluster) == [])
        // Instead it says which start it is in, and the candidate asks again.
        #expect(
            cluster.sent { if case .registration = $0 { true } else { false } }.map(\.to)
                == [ReplicaID(2)])
        cluster.heal()
        tick(3, times: 1, cluster)
        cluster.deliver(request)
        cluster.settle()
        tick(3, times: cluster.settings.electionTimeoutTicks, cluster)
        cluster.deliver(request)
        cluster.settle()
        #expect(ElectionTests.votes(granted: 3, in: cluster) == [ReplicaID(2)])
        #expect(cluster.checker.violations == [])
    }

    /// 3 has voted for 2, and forgotten it; 1 has heard nothing of that, and answers first.
    @Test func whatOnlyASlowPeerRemembersIsHeardInTime() {
        let cluster = Cluster(3, registers: true)
        let image = cluster.image(of: 3)
        cluster.isolate(1)
        cluster.elect(2)
        #expect(cluster.raft(3).vote == ReplicaID(2))
        cluster.heal()
        cutPair(1, 2, cluster)
        cutPair(2, 3, cluster)
        cluster.restore(image, to: 3)
        cluster.start(3)
        cluster.settle()
        // 1 has answered, and is a quorum with 3.
        tick(3, times: 5, cluster)
        #expect(cluster.raft(3).standing == .registering)
        cluster.deliver(
            ElectionTests.voteRequest(from: 1, to: 3, term: cluster.raft(2).term.rawValue))
        cluster.settle()
        #expect(ElectionTests.votes(granted: 3, in: cluster).filter { $0 == ReplicaID(1) } == [])
        cluster.heal()
        tick(3, times: 3, cluster)
        #expect(cluster.raft(3).standing == .quarantined)
        guard case .behindRecord(of: ReplicaID(2), _)? = cluster[3].quarantined.first else {
            Issue.record("\(cluster[3].quarantined)")
            return
        }
        #expect(cluster.checker.violations == [])
    }

    /// "So it asks for the registration before such a promise counts" (`admitsPromise`).
    @Test func aVoteDoesNotCountBeforeItsGiverHasRegisteredWhereRecordsWereLost() {
        let cluster = Cluster(3, registers: true)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.crash(1)
        cluster.crash(2)
        cluster[2].disk.peersAreIncomplete = true
        cluster.start(2)
        cluster.settle()
        // 2 has registered with 3, and asks it in vain which start it is in.
        func isOfThreesStart(_ message: RaftMessage) -> Bool {
            switch message.kind {
            case .registration: message.from == ReplicaID(3)
            case .registrationAnswer: message.from == ReplicaID(2)
            default: false
            }
        }
        // 3 has forgotten the leader before.
        cluster.tick(3, times: cluster.settings.electionTimeoutTicks)
        cluster.network = []
        for _ in 0..<60 {
            cluster.tick(2)
            while !cluster.network.isEmpty || !cluster[2].queued.isEmpty
                || !cluster[3].queued.isEmpty
            {
                cluster.network.removeAll(where: isOfThreesStart)
                cluster.deliverAll()
                cluster.sync(2)
                cluster.sync(3)
            }
        }
        #expect(cluster.raft(2).standing == .trusted)
        #expect(cluster.sent { if case .preVoteRequest = $0 { true } else { false } }.count > 2)
        #expect(cluster.leaders == [])
        cluster.tickAll(times: 6 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.leaders.count == 1)
        #expect(cluster.checker.violations == [])
    }
}
