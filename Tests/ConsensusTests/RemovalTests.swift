import Consensus
import Primitives
import Testing

/// Those that leave: thesis §4.2.2, §4.2.3.
@Suite struct RemovalTests {
    @Test(
        "A removed leader manages a cluster that does not include itself, and steps down (§4.2.2)")
    func theLeaderRemovesItself() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        cluster.change(cluster.removal(1), at: 1)
        let index = cluster.raft(1).configurationIndex
        cluster.propose("still", at: 1)
        // "it replicates log entries but does not count itself in majorities"
        cluster[3].diskIsStuck = true
        cluster.settle()
        #expect(cluster.raft(2).durableIndex == index.next)
        #expect(cluster.raft(1).durableIndex == index.next)
        #expect(cluster.raft(1).commitIndex < index)
        #expect(cluster.raft(1).role == .leader)
        cluster[3].diskIsStuck = false
        cluster.settle()
        #expect(cluster.raft(1).commitIndex >= index)
        #expect(cluster.raft(1).role == .follower)
        // Both have been told before.
        for id in 2...3 { #expect(cluster.raft(id).commitIndex >= index) }
        cluster.elect(2)
        cluster.settle()
        #expect(cluster.leaders == [2])
        #expect(cluster.commands(at: 2) == ["still"])
        cluster.tick(1, times: 5 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.raft(1).role == .follower)
        #expect(cluster.checker.violations == [])
    }

    @Test("It might still be needed until the C_new entry is committed (§4.2.2, figure 4.6)")
    func aReplicaThatIsNotInItsConfigurationCampaignsUntilThatIsCommitted() {
        let cluster = Cluster(2)
        cluster.elect(1)
        cluster.settle()
        cluster.isolate(2)
        cluster.change(cluster.removal(1), at: 1)
        cluster.settle()
        let index = cluster.raft(1).configurationIndex
        let term = cluster.raft(1).term
        cluster.crash(1)
        cluster.start(1)
        cluster.heal()
        #expect(cluster.voters(at: 1) == [2])
        #expect(cluster.voters(at: 2) == [1, 2])
        // 2 needs the vote of 1, whose log is longer: only 1 can lead, by the vote of 2 alone.
        for _ in 0..<4 * cluster.settings.electionTimeoutTicks
        where cluster.raft(1).commitIndex < index {
            cluster.tickAll()
        }
        #expect(cluster.raft(1).term > term)
        #expect(cluster.raft(1).role == .follower)
        #expect(cluster.raft(2).commitIndex >= index)
        cluster.elect(2)
        #expect(cluster.leaders == [2])
        cluster.propose("alone", at: 2)
        cluster.settle()
        #expect(cluster.commands(at: 2) == ["alone"])
        #expect(cluster.checker.violations == [])
    }

    @Test func aRemovedReplicaIsToldAndThenForgotten() {
        let cluster = Cluster(4)
        cluster.elect(1)
        cluster.settle()
        cluster.isolate(4)
        cluster.change(cluster.removal(4), at: 1)
        cluster.settle()
        let index = cluster.raft(1).configurationIndex
        #expect(cluster.raft(1).commitIndex >= index)
        #expect(cluster.voters(at: 4) == [1, 2, 3, 4])
        // It comes back in time.
        cluster.heal()
        for _ in 0..<4 { for id in 1...3 { cluster.tick(id) } }
        cluster.settle()
        #expect(cluster.voters(at: 4) == [1, 2, 3])
        #expect(cluster.raft(4).commitIndex >= index)
        cluster.tickAll(times: cluster.settings.electionTimeoutTicks)
        cluster.sent = []
        cluster.tickAll(times: cluster.settings.electionTimeoutTicks)
        #expect(!cluster.sent.contains { $0.to == ReplicaID(4) })
        cluster.tick(4, times: 5 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.raft(4).role == .follower)
        #expect(!cluster.sent.contains { $0.from == ReplicaID(4) })
        #expect(cluster.checker.violations == [])
    }

    @Test("Disruptive servers (§4.2.3)")
    func aRemovedReplicaThatNeverLearnsOfItDoesNoHarm() {
        let cluster = Cluster(4)
        cluster.elect(1)
        cluster.settle()
        cluster.isolate(4)
        cluster.change(cluster.removal(4), at: 1)
        cluster.tickAll(times: 2 * cluster.settings.electionTimeoutTicks)
        let term = cluster.raft(1).term
        cluster.heal()
        cluster.sent = []
        cluster.tickAll(times: 5 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.leaders == [1])
        #expect(cluster.raft(1).term == term)
        #expect(cluster.raft(4).role == .preCandidate)
        #expect(!cluster.sent.contains { $0.from == ReplicaID(1) && $0.to == ReplicaID(4) })
        #expect(cluster.checker.violations == [])
    }

    @Test func aReplicaThatIsNoMemberCannotCommitAnything() {
        let cluster = Cluster(4)
        cluster.elect(1)
        cluster.settle()
        cluster.change(cluster.removal(4), at: 1)
        cluster.settle()
        cluster.isolate(2)
        cluster.isolate(3)
        cluster.propose("a", at: 1)
        cluster.settle()
        // It still gets the log, and its answers count for nothing.
        #expect(cluster.raft(4).lastIndex == cluster.raft(1).lastIndex)
        #expect(cluster.commands(at: 1) == [])
        // Nor are they breaches, once it is forgotten.
        cluster.heal()
        cluster.tickAll(times: 2 * cluster.settings.electionTimeoutTicks)
        var raft = cluster.raft(1)
        let effects = raft.received(
            RaftMessage(
                group: .defaultKeyspace, from: ReplicaID(4), to: ReplicaID(1), term: raft.term,
                kind: .appendResponse(.accepted(matchIndex: LogIndex(99)))))
        #expect(effects == Effects())
        #expect(cluster.checker.violations == [])
    }
}
