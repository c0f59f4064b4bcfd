import Consensus
import Primitives
import Testing

/// Thesis chapter 4: one server at a time (§4.1), availability (§4.2).
@Suite struct MembershipTests {
    static let replicas = ConfigurationTests.replicas

    @Test("The new server joins the cluster as a non-voting member (§4.2.1)")
    func aLearnerReceivesTheLogAndDoesNotCount() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        let four = cluster.join()
        cluster.change(cluster.learner(four), at: 1)
        cluster.settle()
        #expect(cluster.commands(at: four) == ["a"])
        #expect(cluster.learners(at: four) == [4])

        // Leader and learner are not a majority of three voters.
        cluster.isolate(2)
        cluster.isolate(3)
        cluster.propose("b", at: 1)
        cluster.settle()
        #expect(cluster.raft(four).lastIndex == cluster.raft(1).lastIndex)
        #expect(cluster.commands(at: 1) == ["a"])
        cluster.heal()
        cluster.tickAll(times: 4)

        cluster.change(cluster.voter(four), at: 1)
        cluster.settle()
        #expect(cluster.voters(at: 2) == [1, 2, 3, 4])
        #expect(cluster.learners(at: 2) == [])
        #expect(cluster.commands(at: four) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }

    @Test("The new configuration takes effect as soon as it is added to a server's log (§4.1)")
    func inForceOnceAppended() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        let four = cluster.join()
        let index = cluster.raft(1).lastIndex.next
        cluster.change(cluster.voter(four), at: 1)
        #expect(cluster.voters(at: 1) == [1, 2, 3, 4])
        #expect(cluster.raft(1).commitIndex < index)
        cluster.deliverAll()
        // In its log and not on its disk yet.
        #expect(cluster.voters(at: 2) == [1, 2, 3, 4])
        cluster.settle()
        for id in 1...4 {
            #expect(cluster[id].configurationChanges.map(\.index) == [index])
            #expect(cluster.raft(id).configurationIndex == index)
        }
        #expect(cluster.checker.violations == [])
    }

    @Test("A server must be able to fall back to the previous configuration in its log (§4.1)")
    func aTruncatedConfigurationIsRolledBack() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        let four = cluster.join()
        cluster.isolate(1)
        cluster.change(cluster.voter(four), at: 1)
        cluster.settle()
        #expect(cluster.voters(at: 1) == [1, 2, 3, 4])
        cluster.elect(2)
        cluster.propose("a", at: 2)
        cluster.settle()
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.raft(1).role == .follower)
        #expect(cluster.voters(at: 1) == [1, 2, 3])
        #expect(
            cluster[1].configurationChanges.map(\.configuration.voters.incoming)
                == [Self.replicas(1, 2, 3, 4), Self.replicas(1, 2, 3)])
        #expect(cluster.commands(at: 1) == ["a"])
        #expect(cluster.checker.violations == [])
    }

    @Test func aConfigurationIsRestoredFromTheLog() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        cluster.change(cluster.removal(3), at: 1)
        cluster.settle()
        for id in 1...2 { cluster.crash(id) }
        for id in 1...2 { cluster.start(id) }
        #expect(cluster.voters(at: 1) == [1, 2])
        #expect(cluster.voters(at: 2) == [1, 2])
        // Both are needed now, and enough.
        cluster.isolate(3)
        cluster.elect(2)
        #expect(cluster.leaders == [2])
        cluster.propose("a", at: 2)
        cluster.settle()
        #expect(cluster.commands(at: 1) == ["a"])
        #expect(cluster.checker.violations == [])
    }

    @Test func everyMemberIsReplacedOneByOneAndNothingIsLost() {
        let cluster = Cluster(3)
        cluster.elect(1)
        for old in 1...3 {
            cluster.propose("before \(old)", at: cluster.leaders[0])
            cluster.settle()
            let new = cluster.join()
            cluster.change(cluster.learner(new), at: cluster.leaders[0])
            cluster.settle()
            cluster.change(cluster.voter(new), at: cluster.leaders[0])
            cluster.settle()
            cluster.change(cluster.removal(old), at: cluster.leaders[0])
            cluster.settle()
            cluster.destroy(old)
            if cluster.leaders.isEmpty { cluster.elect(new) }
            cluster.settle()
        }
        #expect(cluster.leaders.count == 1)
        let leader = cluster.leaders[0]
        #expect(cluster.voters(at: leader) == [4, 5, 6])
        for id in 4...6 { #expect(cluster.commands(at: id) == (1...3).map { "before \($0)" }) }
        cluster.checker.checkNothingLost(cluster)
        #expect(cluster.checker.violations == [])
    }

    @Test("No other change before the previous one is committed (§4.1)")
    func everyRefusal() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        let four = cluster.join()
        let witness = cluster.join(isWitness: true)
        func refusal(_ changes: MemberChange..., leave: LeaveMode = .automatic)
            -> ConfigurationRefusal?
        { cluster.request(.change(changes, leave: leave), at: 1).refusal }

        #expect(
            cluster.change(cluster.voter(four), at: 2).refusal == .notLeader(leader: ReplicaID(1)))
        #expect(cluster.request(.leaveJoint, at: 1).refusal == .notJoint)
        #expect(
            refusal(cluster.removal(1), cluster.removal(2), cluster.removal(3)) == .noVoters)
        #expect(
            refusal(
                cluster.removal(1), cluster.removal(2), cluster.removal(3), cluster.voter(witness))
                == .noVoters)
        #expect(
            refusal(cluster.removal(1), cluster.removal(2), cluster.voter(witness)) == nil)
        cluster.settle()
        cluster.tickAll(times: 1)
        let leader = cluster.running.first {
            cluster.raft($0).configuration.canLead(cluster[$0].id)
        }!
        cluster.elect(leader)
        func second(_ changes: MemberChange...) -> ConfigurationRefusal? {
            cluster.request(.change(changes, leave: .automatic), at: leader).refusal
        }
        #expect(leader == 3)
        #expect(second(cluster.removal(77)) == .unknownReplica(ReplicaID(77)))
        #expect(
            second(cluster.voter(four), cluster.removal(four)) == .unknownReplica(ReplicaID(4)))
        #expect(
            second(cluster.voter(four), cluster.learner(four)) == .contradictory(ReplicaID(4)))
        #expect(
            second(.setVoter(Member(ReplicaID(3), node: NodeID(9)))) == .contradictory(ReplicaID(3))
        )
        #expect(
            second(.setVoter(Member(ReplicaID(5), isWitness: false)))
                == .contradictory(ReplicaID(5)))
        #expect(second(cluster.voter(3)) == .nothingToDo)
        #expect(second(.setZoneRule(.none)) == .nothingToDo)
        #expect(
            second(.setVoter(Member(ReplicaID(6), isWitness: true)))
                == .tooManyWitnesses(count: 2, limit: 1))
        #expect(
            second(.setZoneRule(ZoneRule(zonesMin: 2)))
                == .zoneRuleUnsatisfiable(zones: 0, needed: 2))
        let crowd = (10...Configuration.membersMax + 10).map {
            MemberChange.setLearner(Member(ReplicaID(UInt64($0))))
        }
        #expect(
            cluster.request(.change(crowd, leave: .automatic), at: leader).refusal
                == .tooManyMembers(
                    count: crowd.count + 2, limit: Configuration.membersMax))
        #expect(second(cluster.learner(four)) == nil)
        let index = cluster.raft(leader).configurationIndex
        #expect(second(cluster.voter(four)) == .changeInProgress(index: index))
        #expect(
            cluster.request(.leaveJoint, at: leader).refusal == .changeInProgress(index: index))
        #expect(cluster.checker.violations == [])
    }

    @Test("A leader may not append a configuration before it has committed in its term (2015)")
    func aChangeWaitsForTheTermsFirstCommit() {
        let cluster = Cluster(3)
        let four = cluster.join()
        // Elected just now: its first entry is on no disk.
        for _ in 0..<60 where cluster.leaders.isEmpty {
            cluster.tick(1)
            for _ in 0..<4 where cluster.leaders.isEmpty {
                cluster.deliverAll()
                for id in 1...3 { cluster.sync(id) }
            }
        }
        #expect(cluster.leaders == [1])
        #expect(cluster.raft(1).commitIndex == .zero)
        #expect(cluster.change(cluster.voter(four), at: 1).refusal == .termNotCommitted)
        cluster.settle()
        #expect(cluster.change(cluster.voter(four), at: 1).refusal == nil)
        cluster.settle()
        #expect(cluster.voters(at: four) == [1, 2, 3, 4])
        #expect(cluster.checker.violations == [])
    }

    /// The bug of 2015, played: two changes of different terms, each with a majority of its own,
    /// that do not meet. The rule above is what keeps the second from being proposed.
    @Test func twoChangesOfTwoTermsNeverHaveMajoritiesThatMiss() {
        let cluster = Cluster(4)
        cluster.elect(1)
        cluster.settle()
        let five = cluster.join()
        // Term 1: the leader adds 5, and only the two of them have it.
        cluster.isolate(2)
        cluster.isolate(3)
        cluster.isolate(4)
        cluster.change(cluster.voter(five), at: 1)
        cluster.settle()
        #expect(cluster.voters(at: five) == [1, 2, 3, 4, 5])
        // Term 2: 2 leads with 3 and 4 and removes 1.
        cluster.heal()
        cluster.isolate(1)
        cluster.isolate(five)
        cluster.elect(2)
        cluster.change(cluster.removal(1), at: 2)
        cluster.settle()
        #expect(cluster.voters(at: 3) == [2, 3, 4])
        // Term 3: 1 would lead with 5 and one more of five; that one knows better.
        cluster.heal()
        cluster.isolate(2)
        cluster.isolate(4)
        for _ in 0..<4 * cluster.settings.electionTimeoutTicks { cluster.tickAll() }
        #expect(!cluster.leaders.contains(1))
        #expect(cluster.checker.violations == [])
    }

    @Test func aNewMemberIsProbedAndADemotedOneKeepsItsPlace() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        let four = cluster.join()
        cluster.change(cluster.learner(3), at: 1)
        cluster.settle()
        cluster.sent = []
        cluster.change(cluster.learner(four), at: 1)
        cluster.propose("b", at: 1)
        cluster.propose("c", at: 1)
        func appends(to id: Int) -> Int {
            cluster.sent.count {
                if case .appendRequest = $0.kind { $0.to == cluster[id].id } else { false }
            }
        }
        #expect(appends(to: 3) == 3)
        // One probe that finds an empty log; nothing follows it before the answer.
        #expect(appends(to: four) == 1)
        cluster.settle()
        #expect(cluster.commands(at: 3) == ["a", "b", "c"])
        #expect(cluster.commands(at: four) == ["a", "b", "c"])
        #expect(cluster.learners(at: four) == [3, 4])
        // The vote of the demoted one counts no more.
        cluster.isolate(2)
        cluster.propose("d", at: 1)
        cluster.settle()
        #expect(cluster.commands(at: 1) == ["a", "b", "c"])
        #expect(cluster.checker.violations == [])
    }

    @Test("A server accepts votes and log entries from servers outside its configuration (§4.1)")
    func aLearnerVotesWhenAsked() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.settle()
        let four = cluster.join()
        cluster.change(cluster.learner(3), at: 1)
        cluster.settle()
        // 3 becomes a voter again, 4 too, and 3 has not seen either.
        cluster.isolate(3)
        cluster.change(cluster.voter(four), at: 1)
        cluster.settle()
        cluster.change(cluster.voter(3), at: 1)
        cluster.settle()
        #expect(cluster.learners(at: 3) == [3])
        #expect(cluster.voters(at: 2) == [1, 2, 3, 4])
        cluster.crash(1)
        cluster.heal()
        cluster.elect(2)
        // 2 and 4 are not a majority of four.
        #expect(cluster.leaders == [2])
        #expect(ElectionTests.votes(granted: 3, in: cluster).contains(ReplicaID(2)))
        #expect(cluster.checker.violations == [])
    }
}
