import Consensus
import Primitives
import Testing

/// "Each entry is judged by the rule that is in force where it stands in the log", and only voters
/// stand for their zones.
@Suite struct ZoneRuleEntriesTests {
    private func elected(_ rule: ZoneRule) -> Cluster {
        let cluster = ZoneRuleTests.group(rule)
        cluster.elect(1)
        cluster.settle()
        return cluster
    }

    /// What stood before a rule is not held back by it.
    @Test func aNewRuleDoesNotHoldBackWhatStandsBeforeIt() {
        let cluster = elected(.none)
        ZoneRuleTests.loseZones2And3(cluster)
        for id in [2, 3] { cluster[id].diskIsStuck = true }
        cluster.propose("a", at: 1)
        #expect(cluster.change(.setZoneRule(ZoneRule(zonesMin: 2)), at: 1).refusal == nil)
        cluster.settle()
        #expect(cluster.raft(1).commitIndex == LogIndex(1))
        for id in [2, 3] { cluster[id].diskIsStuck = false }
        cluster.settle()
        // On three disks in one zone: enough for "a", not for the rule's own entry.
        #expect(cluster.raft(1).commitIndex == LogIndex(2))
        #expect(cluster.raft(1).configurationIndex == LogIndex(3))
        #expect(cluster.commands(at: 1) == ["a"])
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.raft(1).commitIndex == LogIndex(3))
        #expect(cluster.checker.violations == [])
    }

    /// A stricter rule that cannot be met does not free what the one before it holds back.
    @Test func whatStandsBeforeANewRuleIsHeldBackByTheOldOne() {
        let cluster = elected(ZoneRule(zonesMin: 2))
        ZoneRuleTests.loseZones2And3(cluster)
        cluster.propose("a", at: 1)
        #expect(cluster.change(.setZoneRule(ZoneRule(zonesMin: 3)), at: 1).refusal == nil)
        cluster.settle()
        for id in 1...3 { #expect(cluster[id].disk.lastIndex == LogIndex(3)) }
        #expect(cluster.raft(1).commitIndex == LogIndex(1))
        #expect(cluster.commands(at: 1) == [])
        // One more zone is enough for "a", and not for the new rule.
        cluster.cut = cluster.cut.filter { $0.from == ReplicaID(5) || $0.to == ReplicaID(5) }
        cluster.tickAll(times: 4)
        #expect(cluster.raft(1).commitIndex == LogIndex(2))
        #expect(cluster.commands(at: 4) == ["a"])
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.raft(1).commitIndex == LogIndex(3))
        #expect(cluster.checker.violations == [])
    }

    /// It has no vote, and may be taken away by a word: what only it has in its zone may be lost with
    /// the other zone.
    @Test func aLearnersZoneDoesNotCount() {
        let members = Cluster.members([1, 2, 3, 4, 5], zones: [1, 1, 1, 2, 3])
        let cluster = Cluster(
            Configuration(
                voters: JointConfiguration(incoming: [1, 2, 3, 5].map(ReplicaID.init)),
                learners: [ReplicaID(4)], zoneRule: ZoneRule(zonesMin: 2), members: members))
        cluster.elect(1)
        cluster.settle()
        cluster.isolate(5)
        cluster.propose("a", at: 1)
        cluster.settle()
        for id in 1...4 { #expect(cluster[id].disk.lastIndex == LogIndex(2)) }
        #expect(cluster.raft(1).commitIndex == LogIndex(1))
        #expect(cluster.commands(at: 1) == [])
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.commands(at: 4) == ["a"])
        #expect(cluster.checker.violations == [])
    }
}
