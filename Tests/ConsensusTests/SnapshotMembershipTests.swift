import Consensus
import Primitives
import Testing

/// Snapshots carry the configuration: "the snapshot also includes the latest configuration" (thesis
/// §5), for those whose log has never seen the entries that brought it.
@Suite struct SnapshotMembershipTests {
    /// Three voters whose logs have been cut off behind 10 commands.
    private func cluster(zones: [UInt64] = [], witnesses: [Int] = []) -> Cluster {
        let members = Cluster.members([1, 2, 3], zones: zones, witnesses: witnesses)
        let cluster = Cluster(
            Configuration(
                voters: JointConfiguration(incoming: members.map(\.replica)), members: members),
            settings: SnapshotTests.settings)
        cluster.elect(1)
        return cluster
    }

    private func cut(_ cluster: Cluster) {
        cluster.tickAll(times: SnapshotTests.settings.electionTimeoutTicks)
        for id in cluster.running where !cluster[id].isWitness { cluster.persist(id) }
        cluster.settle()
    }

    @Test func aReplicaThatJoinsFarBehindTakesTheConfigurationFromTheSnapshot() {
        let cluster = cluster()
        SnapshotTests.write(10, to: cluster)
        cut(cluster)
        let four = cluster.join()
        cluster.change(cluster.learner(four), at: 1)
        cluster.settle()
        SnapshotTests.write(10, to: cluster)
        cut(cluster)
        cluster.tickAll(times: 4)
        #expect(cluster.checker.reached["snapshot installed"] == 1)
        #expect(cluster.learners(at: four) == [4])
        #expect(cluster.commands(at: four).count == 20)
        // Its log never held the entry that made it a member.
        cluster.crash(four)
        cluster.start(four)
        #expect(cluster.learners(at: four) == [4])
        cluster.change(cluster.voter(four), at: 1)
        cluster.settle()
        #expect(cluster.voters(at: four) == [1, 2, 3, 4])
        #expect(cluster.checker.violations == [])
    }

    @Test func aSnapshotInTheMiddleOfAJointConfiguration() {
        let cluster = cluster()
        cluster.settle()
        cluster.isolate(3)
        let four = cluster.join()
        cluster.change(
            cluster.voter(four), cluster.removal(2), leave: .explicit, at: 1)
        cluster.settle()
        SnapshotTests.write(20, to: cluster)
        cut(cluster)
        cluster.heal()
        cluster.tickAll(times: 6)
        #expect(cluster.checker.reached["snapshot installed"] == 1)
        #expect(cluster[3].disk.start!.index > LogIndex(10))
        #expect(cluster.voters(at: 3) == [1, 3, 4] && cluster.outgoing(at: 3) == [1, 2, 3])
        cluster.crash(3)
        cluster.start(3)
        #expect(cluster.outgoing(at: 3) == [1, 2, 3])
        cluster.request(.leaveJoint, at: 1)
        cluster.settle()
        #expect(cluster.voters(at: 3) == [1, 3, 4] && cluster.outgoing(at: 3) == [])
        #expect(cluster.checker.violations == [])
    }

    @Test func aSourceInTheFollowersZoneIsPreferred() {
        let cluster = Cluster(
            Configuration(
                voters: JointConfiguration(incoming: (1...5).map { ReplicaID($0) }),
                members: Cluster.members([1, 2, 3, 4, 5], zones: [1, 2, 1, 2, 3])),
            settings: SnapshotTests.settings)
        cluster.elect(1)
        cluster.isolate(4)
        SnapshotTests.write(20, to: cluster)
        cut(cluster)
        cluster.sent = []
        cluster.heal()
        cluster.tickAll(times: 4)
        // Its own zone, then other followers, the leader last.
        #expect(
            SnapshotTests.kinds(cluster).prefix(2) == [
                "1 tells 4: at or above 19 from [2, 3, 5, 1]",
                "2 is asked for one at or above 19",
            ])
        #expect(cluster.checker.violations == [])
    }

    @Test func aWitnessTakesTheOffersPlaceAloneAndIsNoSource() {
        let cluster = cluster(witnesses: [3])
        SnapshotTests.write(20, to: cluster)
        // It cuts its own log, which no state stands behind.
        #expect(cluster.raft(3).firstIndex > LogIndex(10))
        cluster.isolate(3)
        SnapshotTests.write(20, to: cluster)
        cut(cluster)
        cluster.sent = []
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.checker.reached["log replaced by a snapshot"] == 1)
        #expect(cluster.checker.reached["snapshot installed"] == nil)
        #expect(cluster[1].snapshots.made.isEmpty && cluster[2].snapshots.made.isEmpty)
        #expect(cluster.raft(3).lastIndex == cluster.raft(1).lastIndex)
        cluster.crash(3)
        cluster.start(3)
        // With its vote and its place the group goes on.
        cluster.crash(2)
        SnapshotTests.write(1, to: cluster)
        cluster.tickAll(times: 4)
        #expect(cluster.commands(at: 1).count == 41)
        #expect(cluster.checker.violations == [])
    }

    @Test func aDamagedConfigurationIsInForceAgainOnceItIsRepaired() {
        let cluster = cluster()
        let four = cluster.join()
        cluster.change(cluster.learner(four), at: 1)
        cluster.settle()
        let index = cluster.raft(1).configurationIndex
        SnapshotTests.write(2, to: cluster)
        cluster.crash(2)
        cluster.damage(2, index.rawValue)
        cluster.isolate(2)
        cluster.start(2)
        #expect(cluster.learners(at: 2) == [])
        // What it cannot name, its log must not begin behind; nobody gets a state from it.
        cluster.persist(2)
        cluster.tickAll(times: 3 * SnapshotTests.settings.electionTimeoutTicks)
        #expect(cluster.raft(2).firstIndex <= index)
        #expect(cluster.raft(2).role == .follower)
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.learners(at: 2) == [4])
        #expect(cluster[2].configurationChanges.last?.index == index)
        #expect(cluster.commands(at: 2).count == 2)
        #expect(cluster.checker.violations == [])
    }
}
