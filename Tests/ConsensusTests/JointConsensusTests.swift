import Consensus
import Primitives
import Testing

/// Thesis §4.3, with etcd's three ways out of a joint configuration.
@Suite struct JointConsensusTests {
    @Test("Arbitrary configuration changes using joint consensus (§4.3)")
    func severalVotersMoveAtOnce() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        for _ in 4...6 { cluster.join() }
        cluster.change(
            cluster.voter(4), cluster.voter(5), cluster.voter(6), cluster.learner(2),
            cluster.removal(3), at: 1)
        #expect(cluster.voters(at: 1) == [1, 4, 5, 6])
        #expect(cluster.outgoing(at: 1) == [1, 2, 3])
        #expect(cluster.raft(1).configuration.learnersNext == [ReplicaID(2)])
        cluster.settle()
        for id in [1, 2, 4, 5, 6] {
            #expect(cluster.voters(at: id) == [1, 4, 5, 6])
            #expect(cluster.outgoing(at: id) == [])
            #expect(cluster.learners(at: id) == [2])
            #expect(cluster.commands(at: id) == ["a"])
        }
        #expect(cluster[5].configurationChanges.count == 2)
        #expect(cluster.checker.violations == [])
    }

    @Test("Agreement (for elections and entry commitment) requires separate majorities (§4.3)")
    func bothMajoritiesAreNeeded() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        for _ in 4...5 { cluster.join() }
        cluster.change(
            cluster.voter(4), cluster.voter(5), cluster.removal(2), cluster.removal(3),
            leave: .explicit, at: 1)
        cluster.settle()
        #expect(cluster.outgoing(at: 4) == [1, 2, 3])
        // The new set alone.
        cluster.isolate(2)
        cluster.isolate(3)
        cluster.propose("a", at: 1)
        cluster.settle()
        #expect(cluster.commands(at: 1) == [])
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.commands(at: 1) == ["a"])
        // The old set alone.
        cluster.isolate(4)
        cluster.isolate(5)
        cluster.propose("b", at: 1)
        cluster.settle()
        #expect(cluster.commands(at: 1) == ["a"])
        cluster.elect(2)
        #expect(!cluster.leaders.contains(2))
        cluster.heal()
        cluster.tickAll(times: 4 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.leaders.count == 1)
        for id in 1...5 { #expect(cluster.commands(at: id) == ["a", "b"]) }
        #expect(cluster.checker.violations == [])
    }

    @Test func explicitWaitsUntilItIsAskedToLeave() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        cluster.change(cluster.removal(3), leave: .explicit, at: 1)
        cluster.settle()
        let index = cluster.raft(1).configurationIndex
        cluster.tickAll(times: 30)
        #expect(cluster.raft(1).configurationIndex == index)
        #expect(cluster.outgoing(at: 2) == [1, 2, 3])
        #expect(
            cluster.change(cluster.removal(2), at: 1).refusal == .changeInProgress(index: index))
        #expect(cluster.request(.leaveJoint, at: 1).refusal == nil)
        cluster.settle()
        #expect(cluster.voters(at: 2) == [1, 2])
        #expect(cluster.outgoing(at: 2) == [])
        #expect(cluster.request(.leaveJoint, at: 1).refusal == .notJoint)
        #expect(cluster.checker.violations == [])
    }

    @Test func implicitIsJointEvenForOneVoterAndLeavesByItself() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        cluster.change(cluster.removal(3), leave: .implicit, at: 1)
        #expect(cluster.outgoing(at: 1) == [1, 2, 3])
        cluster.settle()
        #expect(cluster.outgoing(at: 1) == [])
        #expect(cluster.voters(at: 2) == [1, 2])
        #expect(
            cluster[2].configurationChanges.map { $0.configuration.voters.isJoint }
                == [true, false])
        #expect(cluster.checker.violations == [])
    }

    @Test func aNewLeaderLeavesWhatItsPredecessorEntered() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        for _ in 4...5 { cluster.join() }
        cluster.change(
            cluster.voter(4), cluster.voter(5), cluster.removal(3), at: 1)
        for _ in 0..<2 {
            cluster.deliverAll()
            for id in 2...5 { cluster.sync(id) }
        }
        cluster.crash(1)
        cluster.network = []
        #expect(cluster.outgoing(at: 2) == [1, 2, 3])
        cluster.elect(2)
        cluster.settle()
        #expect(cluster.leaders == [2])
        for id in [2, 4, 5] {
            #expect(cluster.voters(at: id) == [1, 2, 4, 5])
            #expect(cluster.outgoing(at: id) == [])
        }
        #expect(cluster.checker.violations == [])
    }

    @Test func aLeaderThatIsOnlyInTheOldSetLeadsUntilThatIsLeft() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        let four = cluster.join()
        cluster.change(cluster.voter(four), cluster.learner(1), leave: .explicit, at: 1)
        cluster.settle()
        cluster.propose("a", at: 1)
        cluster.settle()
        #expect(cluster.leaders == [1])
        #expect(cluster.commands(at: four) == ["a"])
        cluster.request(.leaveJoint, at: 1)
        cluster.settle()
        #expect(cluster.leaders == [])
        #expect(cluster.learners(at: 1) == [1])
        cluster.elect(four)
        cluster.propose("b", at: four)
        cluster.settle()
        // As a learner it goes on where it was.
        #expect(cluster.commands(at: 1) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }
}
