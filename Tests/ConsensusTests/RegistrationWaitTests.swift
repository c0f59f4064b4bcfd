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
}
