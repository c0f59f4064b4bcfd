import Consensus
import Primitives
import Testing

/// A replica that has lost the contents of a configuration knows an older one, whose voters may be
/// gone: until the entry is back it does not know whom to ask for it.
@Suite struct DamagedConfigurationTests {
    /// Voters are 1, 2 and 4; what replica 1 can read speaks of 1, 2 and 3. Replica 3 is gone, and 2
    /// is down.
    private func cluster(registers: Bool) -> Cluster {
        let cluster = Cluster(3, registers: registers)
        cluster.elect(1)
        let four = cluster.join()
        cluster.change(cluster.learner(four), at: 1)
        cluster.tickAll(times: 4)
        cluster.change(cluster.voter(four), cluster.removal(3), at: 1)
        cluster.tickAll(times: 8)
        cluster.propose("a", at: 1)
        cluster.tickAll(times: 4)
        #expect(cluster.voters(at: four) == [1, 2, 4] && cluster.outgoing(at: four) == [])
        cluster.destroy(3)
        cluster.crash(2)
        cluster.crash(1)
        for entry in cluster[1].disk.entries {
            if case .configuration = entry.payload { cluster.damage(1, entry.index.rawValue) }
        }
        #expect(cluster[1].disk.damaged.count >= 3)
        return cluster
    }

    /// Replicas 1 and 4 are a quorum, and 4 holds a copy of everything.
    @Test(arguments: [true, false])
    func itIsAskedOfWhoeverAnswers(registers: Bool) {
        let cluster = cluster(registers: registers)
        cluster.start(1)
        #expect(cluster.voters(at: 1) == [1, 2, 3])
        cluster.tickAll(times: 100)
        #expect(cluster.raft(1).standing == .trusted)
        #expect(cluster[1].disk.damaged == [])
        #expect(cluster.voters(at: 1) == [1, 2, 4])
        #expect(cluster.leaders.count == 1)
        cluster.propose("b", at: cluster.leaders.last ?? 1)
        cluster.settle()
        #expect(cluster.commands(at: 1) == ["a", "b"] && cluster.commands(at: 4) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }
}
