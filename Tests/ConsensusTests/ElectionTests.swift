import Consensus
import Primitives
import Testing

/// Thesis §3.4, §3.6.1, §4.2.3, §6.2, §9.6.
@Suite struct ElectionTests {
    static func voteRequest(
        from: UInt64, to: UInt64, term: UInt64, lastIndex: UInt64 = 0, lastTerm: UInt64 = 0
    ) -> RaftMessage {
        RaftMessage(
            group: .defaultKeyspace, from: ReplicaID(from), to: ReplicaID(to), term: Term(term),
            kind: .voteRequest(
                VoteRequest(lastIndex: LogIndex(lastIndex), lastTerm: Term(lastTerm))))
    }

    static func votes(granted by: Int, in cluster: Cluster) -> [ReplicaID] {
        cluster.sent.filter {
            $0.from == cluster[by].id && $0.kind == .voteResponse(granted: true)
        }.map(\.to)
    }

    @Test("A candidate wins an election if it receives votes from a majority (§3.4)")
    func majorityElects() {
        let cluster = Cluster(3)
        cluster.elect(1)
        #expect(cluster.leaders == [1])
        #expect(cluster.raft(2).leader == ReplicaID(1))
        #expect(cluster.raft(3).term == cluster.raft(1).term)

        let minority = Cluster(3)
        minority.isolate(1)
        minority.elect(1)
        #expect(minority.leaders == [])
        #expect(minority.checker.violations + cluster.checker.violations == [])
    }

    @Test func aGroupOfOneElectsItselfAndCommitsAfterItsOwnSync() {
        let cluster = Cluster(1)
        cluster[1].diskIsStuck = true
        cluster.elect(1)
        // Its own vote is not durable, so it does not count.
        #expect(cluster.raft(1).role == .candidate)
        cluster.sync(1)
        #expect(cluster.raft(1).role == .leader)
        cluster.propose("a", at: 1)
        cluster.settle()
        #expect(cluster.raft(1).commitIndex == .zero)
        cluster.sync(1)
        #expect(cluster.raft(1).commitIndex == LogIndex(2))
        cluster.settle()
        #expect(cluster.commands(at: 1) == ["a"])
        #expect(cluster.checker.violations == [])
    }

    @Test("Each server will vote for at most one candidate in a given term, first come (§3.4)")
    func oneVotePerTerm() {
        let cluster = Cluster(3)
        cluster.deliver(Self.voteRequest(from: 2, to: 1, term: 7))
        cluster.deliver(Self.voteRequest(from: 3, to: 1, term: 7))
        cluster.sync(1)
        #expect(Self.votes(granted: 1, in: cluster) == [ReplicaID(2)])
        // Over a restart too.
        cluster.crash(1)
        cluster.start(1)
        cluster.deliver(Self.voteRequest(from: 3, to: 1, term: 7))
        cluster.sync(1)
        #expect(Self.votes(granted: 1, in: cluster) == [ReplicaID(2)])
        // The same candidate may ask again.
        cluster.deliver(Self.voteRequest(from: 2, to: 1, term: 7))
        cluster.sync(1)
        #expect(Self.votes(granted: 1, in: cluster) == [ReplicaID(2), ReplicaID(2)])
    }

    @Test("Servers persist votedFor before responding (figure 3.1)")
    func theVoteWaitsForTheDisk() {
        let cluster = Cluster(3)
        cluster[1].diskIsStuck = true
        cluster.deliver(Self.voteRequest(from: 2, to: 1, term: 7))
        cluster.settle()
        #expect(Self.votes(granted: 1, in: cluster) == [])
        // Lost in a crash, the vote was never given: another candidate may have it.
        cluster.crash(1)
        cluster.start(1)
        cluster[1].diskIsStuck = false
        cluster.deliver(Self.voteRequest(from: 3, to: 1, term: 7))
        cluster.settle()
        #expect(Self.votes(granted: 1, in: cluster) == [ReplicaID(3)])
        #expect(cluster.checker.violations == [])
    }

    @Test func aCandidateAsksForVotesOnlyOnceItsOwnIsDurable() {
        let cluster = Cluster(3)
        cluster[1].diskIsStuck = true
        cluster.elect(1)
        func asked() -> Int {
            cluster.sent.count {
                if case .voteRequest = $0.kind { return true } else { return false }
            }
        }
        #expect(cluster.raft(1).role == .candidate || cluster.raft(1).role == .preCandidate)
        #expect(asked() == 0)
        cluster[1].diskIsStuck = false
        cluster.elect(1)
        #expect(cluster.leaders == [1])
        #expect(asked() >= 2)
        #expect(cluster.checker.violations == [])
    }

    @Test("A voter denies its vote if its own log is more up-to-date (§3.6.1)")
    func electionRestriction() {
        // The voter's log ends with (index 2, term 3).
        var disk = SimulatedDisk()
        disk.hardState.term = Term(3)
        disk.entries = ReplicationTests.entries(terms: [1, 3])
        let cases: [(lastIndex: UInt64, lastTerm: UInt64, granted: Bool)] = [
            (5, 2, false),  // longer, but of an earlier term
            (1, 3, false),  // same term, shorter
            (2, 3, true), (3, 3, true),
            (1, 4, true),  // shorter, but of a later term
        ]
        for (lastIndex, lastTerm, granted) in cases {
            let cluster = Cluster(3, disks: [disk])
            cluster.deliver(
                Self.voteRequest(
                    from: 2, to: 1, term: 9, lastIndex: lastIndex, lastTerm: lastTerm))
            cluster.sync(1)
            #expect(
                Self.votes(granted: 1, in: cluster).isEmpty == !granted,
                "log ending at \(lastIndex) of term \(lastTerm)")
        }
    }

    @Test("Election timeouts are chosen randomly from a fixed interval (§3.4)")
    func randomisedTimeouts() {
        var waits: Set<Int> = []
        for seed in 0..<200 {
            let cluster = Cluster(3, seed: UInt64(seed))
            var ticks = 0
            while cluster.raft(1).role == .follower && ticks < 100 {
                cluster.tick(1)
                ticks += 1
            }
            waits.insert(ticks)
        }
        #expect(waits == Set(10..<20))
    }

    @Test("Pre-Vote: a partitioned server does not increase its term (§9.6)")
    func preVoteDoesNotDisturb() {
        let cluster = Cluster(3)
        cluster.elect(1)
        let term = cluster.raft(1).term
        cluster.isolate(3)
        for _ in 0..<20 {
            cluster.tick(1, times: 2)
            cluster.tick(2, times: 2)
            cluster.tick(3, times: 10)
            cluster.settle()
        }
        #expect(cluster.raft(3).role == .preCandidate)
        #expect(cluster.raft(3).term == term)
        cluster.heal()
        // Its own campaign reaches the others first, and is refused under a live leader.
        cluster.tick(3, times: 20)
        cluster.settle()
        cluster.tickAll(times: 4)
        #expect(cluster.leaders == [1])
        #expect(cluster.raft(1).term == term)
        #expect(cluster.raft(3).leader == ReplicaID(1))
        #expect(cluster.checker.violations == [])
    }

    @Test(
        "A RequestVote within the minimum election timeout of hearing from a leader is ignored (§4.2.3)"
    )
    func votesAreRefusedUnderALiveLeader() {
        let cluster = Cluster(3)
        cluster.elect(1)
        let term = cluster.raft(2).term
        let request = Self.voteRequest(
            from: 3, to: 2, term: term.rawValue + 5, lastIndex: 100, lastTerm: term.rawValue + 4)
        cluster.tick(2, times: 9)
        cluster.deliver(request)
        cluster.settle()
        #expect(cluster.raft(2).term == term)
        #expect(!Self.votes(granted: 2, in: cluster).contains(ReplicaID(3)))
        // The leader itself is as deaf.
        cluster.deliver(
            Self.voteRequest(
                from: 3, to: 1, term: term.rawValue + 5, lastIndex: 100,
                lastTerm: term.rawValue + 4))
        #expect(cluster.leaders == [1])
        // One tick later the leader has been silent for the minimum election timeout.
        cluster.tick(2)
        cluster.deliver(request)
        cluster.settle()
        #expect(Self.votes(granted: 2, in: cluster).contains(ReplicaID(3)))
    }

    @Test("A leader steps down without a round of heartbeats to a majority (§6.2)")
    func checkQuorum() {
        let cluster = Cluster(5)
        cluster.elect(1)
        // Two of four others are enough.
        cluster.isolate(4)
        cluster.isolate(5)
        for _ in 0..<40 {
            cluster.tick(1)
            cluster.settle()
        }
        #expect(cluster.leaders == [1])
        cluster.isolate(3)
        var ticks = 0
        while cluster.raft(1).role == .leader && ticks < 100 {
            cluster.tick(1)
            cluster.settle()
            ticks += 1
        }
        #expect(cluster.raft(1).role == .follower)
        #expect(cluster.raft(1).leader == nil)
        // The check under way may have heard of the third; the next has not.
        #expect(ticks <= 20)
    }

    @Test func aReplicaWhoseTermRanAheadIsReadmittedByAnElection() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        // As if it had campaigned in earnest before it was cut off.
        cluster.crash(3)
        cluster[3].disk.hardState.term = Term(50)
        cluster[3].disk.hardState.vote = ReplicaID(3)
        cluster.start(3)
        cluster.tickAll(times: 60)
        #expect(cluster.leaders.count == 1)
        #expect(cluster.raft(1).term > Term(50))
        #expect(cluster.raft(3).leader == cluster.raft(1).leader)
        #expect(cluster.checker.violations == [])
    }

    @Test("A replica that is no voter never campaigns (§4.2.1)")
    func learnersDoNotCampaign() throws {
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(4),
            settings: RaftSettings(registersStarts: false),
            restored: RestoredState(
                hardState: HardState(),
                configuration: Configuration(
                    voters: [1, 2, 3].map(ReplicaID.init), learners: [ReplicaID(4)]),
                log: .empty, appliedIndex: .zero, incarnation: 1),
            seed: 1)
        for _ in 0..<100 {
            #expect(raft.ticked().messages.isEmpty)
        }
        #expect(raft.role == .follower)
        // It votes when it is asked: a newer configuration may have made it a voter.
        let effects = raft.received(Self.voteRequest(from: 1, to: 4, term: 1))
        #expect(
            effects.append?.messagesAfterDurable.map(\.kind) == [.voteResponse(granted: true)])
    }
}
