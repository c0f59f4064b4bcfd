import Consensus
import Primitives
import Testing

/// DESIGN, decision 6: commit waits until an entry is durable in two zones, and says loudly when it
/// cannot be.
@Suite struct ZoneRuleTests {
    /// Replicas 1, 2, 3 in zone 1, replica 4 in zone 2, replica 5 in zone 3.
    static func group(
        _ rule: ZoneRule = ZoneRule(zonesMin: 2), witnesses: [Int] = []
    ) -> Cluster {
        let members = Cluster.members(
            [1, 2, 3, 4, 5], zones: [1, 1, 1, 2, 3], witnesses: witnesses)
        return Cluster(
            Configuration(
                voters: JointConfiguration(incoming: members.map(\.replica)), zoneRule: rule,
                members: members))
    }

    static let unmet = Alarm.zoneRuleUnmet(zones: 1, needed: 2)

    static func loseZones2And3(_ cluster: Cluster) {
        cluster.isolate(4)
        cluster.isolate(5)
    }

    @Test func aQuorumInOneZoneCommitsNothing() {
        let cluster = Self.group()
        cluster.elect(1)
        cluster.settle()
        Self.loseZones2And3(cluster)
        cluster.propose("a", at: 1)
        cluster.settle()
        // On three disks of five, in one zone.
        for id in 1...3 { #expect(cluster[id].disk.lastIndex == LogIndex(2)) }
        for id in 1...3 { #expect(cluster.raft(id).commitIndex == LogIndex(1)) }
        #expect(cluster.commands(at: 1) == [])
        cluster.heal()
        cluster.tickAll(times: 4)
        for id in 1...5 { #expect(cluster.commands(at: id) == ["a"]) }
        #expect(cluster.checker.reached["commit under a zone rule", default: 0] > 0)
        #expect(cluster.checker.violations == [])
    }

    /// Not committed and not answered; and yet, being on a majority, it survives its leader.
    @Test func whatWaitsForTheRuleIsNotLost() {
        let cluster = Self.group()
        cluster.elect(1)
        cluster.settle()
        Self.loseZones2And3(cluster)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.crash(1)
        cluster.start(1)
        cluster.elect(2)
        cluster.settle()
        #expect(cluster.leaders == [2])
        #expect(cluster.raft(2).term(at: LogIndex(2)) == Term(1))
        #expect(cluster.raft(2).commitIndex == LogIndex(1))
        // A read waits like a write: the leader does not know yet what is committed.
        cluster.read(7, at: 2)
        cluster.settle()
        #expect(cluster[2].readsReady.isEmpty)
        cluster.heal()
        cluster.tickAll(times: 4)
        for id in 2...5 { #expect(cluster.commands(at: id) == ["a"]) }
        #expect(cluster[2].readsReady.map(\.token) == [7])
        #expect(cluster.checker.violations == [])
    }

    @Test func theAlarmComesAfterAnElectionTimeoutAndGoesWhenTheRuleIsMet() {
        let cluster = Self.group()
        cluster.elect(1)
        cluster.settle()
        Self.loseZones2And3(cluster)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.tickAll(times: cluster.settings.electionTimeoutTicks)
        #expect(cluster[1].alarms == [])
        cluster.tickAll()
        #expect(cluster[1].alarms == [.raised(Self.unmet)])
        cluster.tickAll(times: 30)
        #expect(cluster[1].alarms == [.raised(Self.unmet)])
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster[1].alarms == [.raised(Self.unmet), .lowered(Self.unmet)])
        #expect(cluster.commands(at: 1) == ["a"])
        #expect(cluster.checker.violations == [])
    }

    @Test func whoLeadsNoLongerLowersItsAlarms() {
        let cluster = Self.group()
        cluster.elect(1)
        cluster.settle()
        Self.loseZones2And3(cluster)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.tickAll(times: cluster.settings.electionTimeoutTicks + 1)
        cluster.isolate(1)
        cluster.tick(1, times: 2 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.raft(1).role == .follower)
        #expect(cluster[1].alarms == [.raised(Self.unmet), .lowered(Self.unmet)])
    }

    @Test func anOverrideCommitsByAQuorumThatHoldsItAndNothingBefore() {
        let cluster = Self.group()
        cluster.elect(1)
        cluster.settle()
        Self.loseZones2And3(cluster)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster[2].diskIsStuck = true
        let override = ZoneRule(zonesMin: 2, isOverridden: true)
        #expect(cluster.change(.setZoneRule(override), at: 1).refusal == nil)
        #expect(cluster[1].alarms == [.raised(.zoneRuleOverridden)])
        cluster.settle()
        // In force, but on two disks only: nobody else would know that it had been set.
        #expect(cluster.raft(1).commitIndex == LogIndex(1))
        cluster[2].diskIsStuck = false
        cluster.settle()
        #expect(cluster.raft(1).commitIndex == LogIndex(3))
        #expect(cluster.commands(at: 3) == ["a"])
        #expect(cluster.checker.reached["commit under an overridden zone rule", default: 0] > 0)
        // Whoever leads next is as loud.
        cluster.crash(1)
        cluster.start(1)
        cluster.elect(2)
        #expect(cluster[2].alarms == [.raised(.zoneRuleOverridden)])
        cluster.propose("b", at: 2)
        cluster.settle()
        #expect(cluster.commands(at: 3) == ["a", "b"])
        cluster.heal()
        cluster.tickAll(times: 4)
        cluster.change(.setZoneRule(ZoneRule(zonesMin: 2)), at: 2)
        #expect(
            cluster[2].alarms == [.raised(.zoneRuleOverridden), .lowered(.zoneRuleOverridden)])
        cluster.settle()
        #expect(cluster.raft(4).configuration.zoneRule == ZoneRule(zonesMin: 2))
        #expect(cluster.checker.violations == [])
    }

    /// Whatever is stuck, the rule that holds it up can be lifted.
    @Test func theRuleCanBeChangedWhileEverythingElseWaitsForIt() {
        let cluster = Self.group()
        cluster.elect(1)
        cluster.settle()
        let six = cluster.join()
        Self.loseZones2And3(cluster)
        // A change is under way, and a new leader has nothing committed in its term.
        cluster.change(cluster.learner(six), at: 1)
        cluster.settle()
        cluster.crash(1)
        cluster.start(1)
        cluster.elect(2)
        cluster.settle()
        #expect(cluster.leaders == [2])
        #expect(!cluster.raft(2).hasCommittedInTerm)
        #expect(
            cluster.change(cluster.removal(3), at: 2).refusal
                == .changeInProgress(index: LogIndex(2)))
        let override = ZoneRule(zonesMin: 2, isOverridden: true)
        #expect(cluster.change(.setZoneRule(override), at: 2).refusal == nil)
        cluster.settle()
        #expect(cluster.raft(2).hasCommittedInTerm)
        #expect(cluster.change(cluster.removal(5), at: 2).refusal == nil)
        cluster.settle()
        #expect(cluster.voters(at: 3) == [1, 2, 3, 4])
        #expect(cluster.checker.violations == [])
    }

    @Test func aFullTailStillTakesTheOverride() {
        let settings = RaftSettings(heartbeatTicks: 2, maxUncommittedBytes: 100)
        let members = Cluster.members([1, 2, 3], zones: [1, 1, 2])
        let cluster = Cluster(
            Configuration(
                voters: JointConfiguration(incoming: members.map(\.replica)),
                zoneRule: ZoneRule(zonesMin: 2), members: members),
            settings: settings)
        cluster.elect(1)
        cluster.settle()
        cluster.isolate(3)
        cluster.propose(String(repeating: "a", count: 60), at: 1)
        cluster.settle()
        guard case .refused(.uncommittedTailFull) = cluster.propose("b", at: 1) else {
            Issue.record("the tail is not full")
            return
        }
        #expect(
            cluster.change(.setZoneRule(ZoneRule(zonesMin: 2, isOverridden: true)), at: 1).refusal
                == nil)
        cluster.settle()
        #expect(cluster.commands(at: 2).count == 1)
        // But not any number of them.
        cluster.isolate(2)
        var refusal: ConfigurationRefusal?
        var changes = 0
        while refusal == nil && changes < 100 {
            changes += 1
            let rule = ZoneRule(zonesMin: 2, isOverridden: changes % 2 == 0)
            refusal = cluster.change(.setZoneRule(rule), at: 1).refusal
            cluster.network = []
            cluster.sync(1)
        }
        #expect(refusal == .uncommittedTailFull)
        #expect(changes == 17)
        #expect(cluster.checker.violations == [])
    }

    @Test func aConfigurationThatCannotMeetItsRuleIsRefused() {
        let cluster = Self.group(.none)
        cluster.elect(1)
        cluster.settle()
        let rule = ZoneRule(zonesMin: 4)
        #expect(
            cluster.change(.setZoneRule(rule), at: 1).refusal
                == .zoneRuleUnsatisfiable(zones: 3, needed: 4))
        #expect(cluster.change(.setZoneRule(ZoneRule(zonesMin: 3)), at: 1).refusal == nil)
        cluster.settle()
        #expect(
            cluster.change(cluster.removal(4), at: 1).refusal
                == .zoneRuleUnsatisfiable(zones: 2, needed: 3))
        #expect(
            cluster.change(cluster.voter(4, zone: 1), at: 1).refusal
                == .zoneRuleUnsatisfiable(zones: 2, needed: 3))
        #expect(
            cluster.change(cluster.voter(4, zone: 0), at: 1).refusal
                == .zoneRuleUnsatisfiable(zones: 2, needed: 3))
        // With the rule, in one request.
        #expect(
            cluster.change(cluster.removal(4), .setZoneRule(ZoneRule(zonesMin: 2)), at: 1).refusal
                == nil)
        cluster.settle()
        #expect(cluster.voters(at: 5) == [1, 2, 3, 5])
        #expect(cluster.checker.violations == [])
    }

    @Test func witnessesAndUnknownZonesDoNotCount() {
        let cluster = Self.group(witnesses: [5])
        cluster.elect(1)
        cluster.settle()
        cluster.isolate(4)
        cluster.propose("a", at: 1)
        cluster.settle()
        // The witness in zone 3 has the entry's place, and not the entry.
        #expect(cluster[5].disk.lastIndex == LogIndex(2))
        #expect(cluster.commands(at: 1) == [])
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.commands(at: 1) == ["a"])
        #expect(
            cluster.change(.setZoneRule(ZoneRule(zonesMin: 3)), at: 1).refusal
                == .zoneRuleUnsatisfiable(zones: 2, needed: 3))
        #expect(cluster.checker.violations == [])
    }

    /// While the voters are joint, those of both sets stand for their zones; the entry that leaves
    /// the old set is judged by the new one alone, and everything before it with it.
    @Test func aJointConfigurationCountsTheZonesOfBothSets() {
        let cluster = Self.group()
        cluster.elect(1)
        cluster.settle()
        let six = cluster.join()
        cluster.change(
            cluster.removal(4), cluster.removal(5), cluster.voter(six, zone: 2), leave: .explicit,
            at: 1)
        cluster.settle()
        cluster.isolate(six)
        cluster.propose("a", at: 1)
        cluster.settle()
        #expect(cluster.commands(at: 1) == ["a"])
        cluster.request(.leaveJoint, at: 1)
        cluster.settle()
        #expect(cluster.raft(1).commitIndex < cluster.raft(1).configurationIndex)
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.raft(1).commitIndex == cluster.raft(1).configurationIndex)
        #expect(cluster.commands(at: six) == ["a"])
        #expect(cluster.checker.violations == [])
    }
}
