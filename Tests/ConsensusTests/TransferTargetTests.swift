import Consensus
import Primitives
import Testing

/// Whom a leader hands over to, for how long it tries, and who takes no notice of it.
@Suite struct TransferTargetTests {
    private func led(_ count: Int = 3, registers: Bool = false, members: [Member] = []) -> Cluster {
        let cluster = Cluster(count, registers: registers, members: members)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.tickAll(times: 2)
        return cluster
    }

    private func timeoutNow(to id: UInt64, term: Term) -> RaftMessage {
        RaftMessage(
            group: .defaultKeyspace, from: ReplicaID(1), to: ReplicaID(id), term: term,
            kind: .timeoutNow)
    }

    // MARK: Who takes no notice

    /// "Registers with its peers: grants no vote and does not campaign until a quorum of them, itself
    /// included, has found nothing against it" (`Standing.registering`), not on its leader's word
    /// either.
    @Test func aTargetThatRegistersDoesNotCampaign() {
        let cluster = led(registers: true)
        let term = cluster.raft(1).term
        cluster.crash(3)
        cluster.cut = [(ReplicaID(3), ReplicaID(1)), (ReplicaID(3), ReplicaID(2))]
        cluster.start(3)
        cluster.tick(1, times: 2)
        cluster.settle()
        #expect(cluster.raft(3).standing == .registering)
        #expect(cluster.raft(3).leader == ReplicaID(1))
        cluster.deliver(timeoutNow(to: 3, term: term))
        #expect(cluster.raft(3).role == .follower && cluster.raft(3).term == term)

        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.raft(3).standing == .trusted)
        cluster.deliver(timeoutNow(to: 3, term: term))
        #expect(cluster.raft(3).role == .candidate && cluster.raft(3).term == term.next)
        cluster.settle()
        #expect(cluster.leaders == [3])
        #expect(cluster.checker.violations == [])
    }

    /// It has no contents to give: whoever leads must have them all.
    @Test func aTargetWithDamageDoesNotCampaign() {
        let cluster = RepairTests.written()
        let term = cluster.raft(1).term
        cluster.crash(3)
        cluster.damage(3, 4)
        // Nobody hears what it asks for.
        cluster.cut = [(ReplicaID(3), ReplicaID(1)), (ReplicaID(3), ReplicaID(2))]
        cluster.start(3)
        cluster.tick(1, times: 2)
        cluster.settle()
        #expect(cluster[3].disk.damaged == [LogIndex(4)])
        #expect(cluster.raft(3).leader == ReplicaID(1))
        cluster.deliver(timeoutNow(to: 3, term: term))
        #expect(cluster.raft(3).role == .follower && cluster.raft(3).term == term)

        cluster.heal()
        cluster.tickAll(times: 12)
        #expect(cluster[3].disk.damaged == [])
        cluster.deliver(timeoutNow(to: 3, term: term))
        cluster.settle()
        #expect(cluster.leaders == [3])
        #expect(cluster.checker.violations == [])
    }

    // MARK: Whom it takes

    /// One that has all that is committed, then the highest priority, then the longest log, then the
    /// lowest identifier.
    @Test func ofThoseThatLackNothingCommittedTheLongestLogIsTaken() {
        let cluster = led(5)
        // On 1 and 5 only: not committed, and the leader knows of it.
        for id in [2, 3, 4] { cluster.isolate(id) }
        cluster.propose("b", at: 1)
        cluster.settle()
        #expect(cluster.raft(1).commitIndex == LogIndex(2))
        #expect(cluster.transfer(to: nil, at: 1) == .begun(to: ReplicaID(5)))
    }

    @Test func thePreferredIsTakenBeforeTheLongestLog() {
        let cluster = led(5, members: [Member(ReplicaID(4), priority: 3)])
        for id in [2, 3, 4] { cluster.isolate(id) }
        cluster.propose("b", at: 1)
        cluster.settle()
        #expect(cluster.transfer(to: nil, at: 1) == .begun(to: ReplicaID(4)))
    }

    @Test func ofEqualsTheLowestIdentifierIsTaken() {
        #expect(led(5).transfer(to: nil, at: 1) == .begun(to: ReplicaID(2)))
    }

    @Test func whoeverShowsNoLifeIsNotTakenHoweverPreferred() {
        let cluster = led(5, members: [Member(ReplicaID(4), priority: 3)])
        cluster.isolate(4)
        cluster.tickAll(times: cluster.settings.electionTimeoutTicks + 2)
        #expect(cluster.leaders == [1])
        #expect(cluster.transfer(to: nil, at: 1) == .begun(to: ReplicaID(2)))
    }

    // MARK: For how long

    @Test("It aborts after about an election timeout, and tells nobody to campaign after (§3.10)")
    func nobodyIsToldBehindTheDeadline() {
        let cluster = led()
        // Heard, and yet behind: 2 is not told before it has everything.
        cluster[2].diskIsStuck = true
        cluster.propose("b", at: 1)
        cluster.settle()
        #expect(cluster.transfer(to: 2, at: 1) == .begun(to: ReplicaID(2)))
        for _ in 0..<cluster.settings.electionTimeoutTicks {
            cluster.tick(1)
            cluster.settle()
        }
        #expect(cluster[1].transfersEnded == [.timedOut])
        #expect(cluster.sent { $0 == .timeoutNow }.isEmpty)
        cluster[2].diskIsStuck = false
        cluster.tickAll(times: 6)
        #expect(cluster.raft(2).lastIndex == cluster.raft(1).lastIndex)
        #expect(cluster.sent { $0 == .timeoutNow }.isEmpty)
        #expect(cluster.leaders == [1])
        guard case .accepted = cluster.propose("c", at: 1) else {
            Issue.record("still refused")
            return
        }
    }

    /// The tick that ends the transfer does not tell its target first.
    @Test func theLastTickOfATransferTellsNobody() {
        let cluster = led()
        cluster.cut = [(ReplicaID(1), ReplicaID(2))]
        #expect(cluster.transfer(to: 2, at: 1) == .begun(to: ReplicaID(2)))
        let timeout = cluster.settings.electionTimeoutTicks
        cluster.tick(1, times: timeout - 1)
        // Told at once, and again each heartbeat interval, at ticks 2, 4, 6 and 8.
        #expect(cluster.sent { $0 == .timeoutNow }.count == timeout / 2)
        cluster.tick(1)
        #expect(cluster[1].transfersEnded == [.timedOut])
        #expect(cluster.sent { $0 == .timeoutNow }.count == timeout / 2)
    }

    // MARK: By itself

    /// "not while the group changes": neither before the change is committed.
    @Test func noPreferredVoterIsAskedBeforeAChangeIsCommitted() {
        let cluster = led(members: [Member(ReplicaID(2), priority: 9)])
        let four = cluster.join()
        // 2 has it all, and alone is no quorum.
        for id in [1, 3] { cluster[id].diskIsStuck = true }
        cluster.change(cluster.learner(four), at: 1)
        cluster.settle()
        cluster.tickAll(times: 6 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.raft(1).configurationIndex > cluster.raft(1).commitIndex)
        #expect(cluster[2].disk.lastIndex == cluster.raft(1).lastIndex)
        #expect(cluster.sent { $0 == .timeoutNow }.isEmpty)
        for id in [1, 3] { cluster[id].diskIsStuck = false }
        cluster.settle()
        cluster.tickAll(times: 4 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.leaders == [2])
        #expect(cluster.checker.violations == [])
    }

    /// "not while the group changes": neither while two sets of voters decide.
    @Test func noPreferredVoterIsAskedWhileTheVotersAreJoint() {
        let cluster = led(4, members: [Member(ReplicaID(2), priority: 9)])
        cluster.change(cluster.removal(4), cluster.learner(3), leave: .explicit, at: 1)
        cluster.settle()
        #expect(cluster.raft(1).configuration.voters.isJoint)
        #expect(cluster.raft(1).configurationIndex <= cluster.raft(1).commitIndex)
        cluster.tickAll(times: 8 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.sent { $0 == .timeoutNow }.isEmpty)
        #expect(cluster.leaders == [1])

        cluster.request(.leaveJoint, at: 1)
        cluster.settle()
        cluster.tickAll(times: 2 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.leaders == [2])
        #expect(cluster.checker.violations == [])
    }
}
