import Consensus
import Primitives
import Testing

/// Replicas that hold the places of entries and not what they say.
@Suite struct WitnessTests {
    static func group() -> Cluster {
        let members = Cluster.members([1, 2, 3], zones: [1, 2, 3], witnesses: [3])
        return Cluster(
            Configuration(
                voters: JointConfiguration(incoming: members.map(\.replica)), members: members))
    }

    @Test func itHoldsPlacesTermsAndStampsAndNoCommands() {
        let cluster = Self.group()
        cluster.elect(1)
        cluster.propose("a", "b", at: 1)
        cluster.settle()
        #expect(cluster.commands(at: 2) == ["a", "b"])
        #expect(cluster[3].disk.entries.map(\.place) == cluster[1].disk.entries.map(\.place))
        #expect(cluster[3].disk.entries.allSatisfy { $0.payload == .empty })
        #expect(
            cluster[3].disk.entries.map(\.timestamp) == cluster[1].disk.entries.map(\.timestamp))
        // Nothing to hand out: what is committed counts as applied.
        cluster.tickAll(times: 2)
        #expect(cluster[3].applied.isEmpty && cluster[3].handed.isEmpty)
        #expect(cluster.raft(3).appliedIndex == cluster.raft(3).commitIndex)
        #expect(cluster.raft(3).commitIndex == LogIndex(3))
        // Who belongs to the group it must know.
        cluster.change(cluster.learner(cluster.join()), at: 1)
        cluster.settle()
        #expect(cluster.learners(at: 3) == [4])
        #expect(cluster.checker.violations == [])
    }

    @Test func entriesReadFromTheLogLoseTheirCommandsToo() {
        let members = Cluster.members([1, 2, 3], witnesses: [3])
        let cluster = Cluster(
            Configuration(
                voters: JointConfiguration(incoming: members.map(\.replica)), members: members),
            settings: FlowControlTests.settings(cache: 300))
        cluster.elect(1)
        cluster.isolate(3)
        for i in 0..<30 {
            cluster.propose("\(i)", at: 1)
            cluster.settle()
        }
        cluster.heal()
        cluster.tickAll(times: 8)
        #expect(cluster.checker.reached["fetch", default: 0] > 0)
        #expect(cluster[3].disk.lastIndex == cluster[1].disk.lastIndex)
        #expect(cluster[3].disk.entries.allSatisfy { $0.payload == .empty })
        #expect(cluster.checker.violations == [])
    }

    @Test func itsVoteAndItsAcknowledgementCount() {
        let cluster = Self.group()
        cluster.elect(1)
        cluster.settle()
        cluster.crash(2)
        cluster.propose("a", at: 1)
        cluster.settle()
        #expect(cluster.commands(at: 1) == ["a"])
        cluster.crash(1)
        cluster.start(1)
        cluster.elect(1)
        cluster.settle()
        #expect(cluster.leaders == [1])
        #expect(cluster.checker.violations == [])
    }

    @Test func itNeverCampaignsNorIsFollowed() {
        let cluster = Self.group()
        cluster.crash(1)
        cluster.crash(2)
        cluster.tick(3, times: 5 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.raft(3).role == .follower)
        #expect(!cluster.sent.contains { $0.from == ReplicaID(3) })
        cluster.start(1)
        var raft = cluster.raft(1)
        let effects = raft.received(
            RaftMessage(
                group: .defaultKeyspace, from: ReplicaID(3), to: ReplicaID(1), term: Term(4),
                kind: .heartbeat(Heartbeat(commitIndex: .zero, round: 0))))
        #expect(effects.faults == [.notALeader(from: ReplicaID(3))])
        #expect(raft.leader == nil)
    }

    /// What it costs: the witness has a vote to give, and nothing to give it for. While the only
    /// other holder of a committed entry is away, whoever lacks that entry cannot lead.
    @Test func aGroupWaitsForTheOnlyFullHolderOfWhatIsCommitted() {
        let cluster = Self.group()
        cluster.elect(1)
        cluster.settle()
        cluster.isolate(2)
        cluster.propose("a", at: 1)
        cluster.settle()
        #expect(cluster.commands(at: 1) == ["a"])
        cluster.crash(1)
        cluster.heal()
        cluster.tickAll(times: 5 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.leaders == [])
        cluster.start(1)
        cluster.tickAll(times: 5 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.leaders == [1])
        #expect(cluster.commands(at: 2) == ["a"])
        #expect(cluster.checker.violations == [])
    }

    @Test func aWitnessJoinsKnowingWhatItIs() {
        let cluster = Cluster(2)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        let witness = cluster.join(isWitness: true)
        #expect(cluster.raft(witness).isWitness)
        #expect(cluster.change(cluster.voter(witness), at: 1).refusal == nil)
        cluster.settle()
        #expect(cluster.voters(at: witness) == [1, 2, 3])
        #expect(cluster[witness].applied.isEmpty)
        cluster.crash(2)
        cluster.propose("b", at: 1)
        cluster.settle()
        #expect(cluster.commands(at: 1) == ["a", "b"])
        #expect(cluster.checker.violations == [])

        // One that was started as a full member does not take the place.
        let full = cluster.join()
        cluster.change(
            .setLearner(Member(ReplicaID(UInt64(full)), isWitness: true)), at: 1)
        cluster.settle()
        #expect(cluster.raft(full).configurationIndex == .zero)
        #expect(
            cluster.checker.violations.allSatisfy { $0.contains("unreadableConfiguration") })
        #expect(!cluster.checker.violations.isEmpty)
    }
}
