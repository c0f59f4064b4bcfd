import Consensus
import Primitives
import Testing

/// Groups whose state machine makes no snapshots: the log is the only way from one replica to another,
/// and is kept whole, whatever becomes of single entries.
@Suite struct KeptLogTests {
    private static let settings: RaftSettings = {
        var settings = RepairTests.settings
        settings.makesSnapshots = false
        (settings.entriesKept, settings.entriesKeptForFollowers) = (0, 0)
        settings.truncationBatch = 1
        return settings
    }()

    /// Replica 1 leads; it and replica 3 have lost the contents of an entry that is in all states.
    /// Replica 2, which has it, is cut off for longer than an election timeout.
    private func damagedMajority() -> Cluster {
        let cluster = RepairTests.written(settings: Self.settings)
        for id in 1...3 { cluster.persist(id) }
        cluster.isolate(2)
        cluster.damage(1, 4)
        cluster.damage(3, 4)
        cluster.tickAll(times: 3 * Self.settings.electionTimeoutTicks)
        return cluster
    }

    @Test func nothingIsCutOff() {
        let cluster = RepairTests.written(settings: Self.settings)
        for id in 1...3 { cluster.persist(id) }
        cluster.tickAll(times: 4)
        for id in 1...3 { #expect(cluster.raft(id).firstIndex == LogIndex(1)) }
        #expect(cluster.checker.violations == [])
    }

    @Test func damageToWhatIsAppliedIsKeptUntilSomebodyIsHeardWhoHasTheContents() {
        let cluster = damagedMajority()
        // Who has lost its state meanwhile needs every entry.
        cluster.crash(3)
        cluster[3].applied = []
        cluster[3].durablyApplied = 0
        cluster[3].snapshots.lostState = .zero
        cluster.start(3)
        cluster.tickAll(times: 3 * Self.settings.electionTimeoutTicks)
        #expect(cluster.commands(at: 3) == ["0", "1"])
        #expect(cluster.raft(1).firstIndex == LogIndex(1))
        cluster.heal()
        cluster.tickAll(times: 3 * Self.settings.electionTimeoutTicks)
        for id in 1...3 {
            #expect(cluster[id].disk.damaged.isEmpty)
            #expect(cluster.commands(at: id).count == 10)
        }
        #expect(cluster.checker.reached["snapshot installed"] == nil)
        #expect(cluster.checker.violations == [])
    }

    @Test func itKeepsNobodyFromCommittingOrLeading() {
        let cluster = damagedMajority()
        cluster.propose("next", at: 1)
        cluster.settle()
        #expect(cluster.commands(at: 3).last == "next")
        #expect(RepairTests.acknowledged(by: 3, in: cluster) == cluster.raft(1).lastIndex)
        cluster.isolate(1)
        cluster.tick(1, times: 3 * Self.settings.electionTimeoutTicks)
        #expect(cluster.raft(1).role == .follower)
        cluster.heal()
        cluster.isolate(2)
        cluster.elect(3)
        cluster.propose("led by 3", at: 3)
        cluster.settle()
        #expect(cluster.commands(at: 1).last == "led by 3")
        #expect(
            cluster[1].disk.damaged == [LogIndex(4)] && cluster[3].disk.damaged == [LogIndex(4)])
        #expect(cluster.checker.violations == [])
    }

    @Test func damageToWhatIsNotAppliedHinders() {
        let cluster = RepairTests.written(settings: Self.settings)
        cluster.isolate(3)
        cluster[3].applyIsStuck = true
        cluster.heal()
        SnapshotTests.write(3, to: cluster)
        for other in 1...2 { cluster.crash(other) }
        cluster.damage(3, 13)
        cluster.tick(3, times: 5 * Self.settings.electionTimeoutTicks)
        #expect(cluster.raft(3).role == .follower)
        #expect(cluster[3].applied.count == 11)
        #expect(cluster.checker.violations == [])
    }
}
