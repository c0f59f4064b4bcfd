import Consensus
import Primitives
import Testing

/// What a leader's lease counts on: voters that have heard it help nobody else for an election
/// timeout of their ticks, themselves included (thesis §6.4.1).
@Suite struct LeasePromiseTests {
    private struct Led {
        let cluster: Cluster
        let leader: Int
        let voter: Int
        let other: Int
    }

    private func led() -> Led {
        let cluster = Cluster(3, settings: LeaderLeaseTests.settings())
        for _ in 0..<60 where cluster.leaders.isEmpty { cluster.tickAll() }
        let leader = cluster.leaders[0]
        cluster.propose("a", at: leader)
        cluster.settle()
        cluster.tickAll(times: 2)
        let others = cluster.ids.filter { $0 != leader }
        return Led(cluster: cluster, leader: leader, voter: others[0], other: others[1])
    }

    /// A false alarm of a loss lets a voter campaign within a quarter of a timeout. A leader that is
    /// heard after it has the voter's promise again, and may answer reads because of it.
    @Test func aVoterDoesNotCampaignAgainstItsOwnPromise() {
        let led = led()
        let cluster = led.cluster
        cluster.wake(led.voter, .nodeLost(NodeID(UInt64(led.leader))))
        #expect(cluster.raft(led.voter).leader == nil)
        cluster.tick(led.leader, times: cluster.settings.heartbeatTicks)
        cluster.settle()
        #expect(cluster.raft(led.voter).leader == cluster[led.leader].id)
        cluster.isolate(led.leader)
        cluster.sent = []
        for _ in 1..<cluster.settings.electionTimeoutTicks {
            cluster.tick(led.voter)
            #expect(cluster.raft(led.voter).role == .follower)
        }
        #expect(cluster.sent { if case .preVoteRequest = $0 { true } else { false } }.isEmpty)
        // Then it is free.
        cluster.tick(led.voter, times: 2 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.raft(led.voter).role == .preCandidate)
        #expect(cluster.checker.violations == [])
    }

    private func tick(_ led: Led, _ clock: inout UInt64) {
        clock += LeaderLeaseTests.tick
        let now = MonotonicTime(nanoseconds: clock)
        led.cluster.clock = { _ in now }
        for id in led.cluster.ids { led.cluster.tick(id) }
    }

    /// "a round of heartbeats that a quorum has confirmed protects the leader": no later one does.
    @Test func aRoundDoesNotCountThatNobodyHasConfirmed() {
        let led = led()
        let cluster = led.cluster
        var clock: UInt64 = 1_000_000_000
        var rounds: [(sentAt: UInt64, answers: [RaftMessage])] = []
        for _ in 0..<4 {
            tick(led, &clock)
            guard !cluster.network.isEmpty else { continue }
            let sentAt = clock
            cluster.deliverAll()
            rounds.append((sentAt, cluster.network))
            cluster.network = []
        }
        #expect(rounds.count == 2)
        for answer in rounds[0].answers { cluster.deliver(answer) }
        func holds(at time: UInt64) -> Bool {
            cluster.raft(led.leader).holdsLeaderLease(at: MonotonicTime(nanoseconds: time))
        }
        // Ten ticks less a margin of two, and drift: 78.4 ms.
        #expect(holds(at: rounds[0].sentAt + 78_000_000))
        #expect(!holds(at: rounds[0].sentAt + 79_000_000))
        for answer in rounds[1].answers { cluster.deliver(answer) }
        #expect(holds(at: rounds[0].sentAt + 79_000_000))
        #expect(cluster.checker.violations == [])
    }

    /// Reads that cost no message are work, too: asleep, a leader has no lease.
    @Test func readsByLeaseKeepTheirLeaderAwake() {
        let led = led()
        let cluster = led.cluster
        var clock: UInt64 = 1_000_000_000
        var token: UInt64 = 0
        for step in 0..<3 * cluster.settings.hibernationTicks! {
            tick(led, &clock)
            cluster.settle()
            #expect(cluster.asleep == [], "step \(step)")
            guard step > 4, step % 10 == 0 else { continue }
            token += 1
            cluster.read(token, at: led.leader)
            #expect(cluster[led.leader].readsReady.last?.token == token, "by lease")
        }
        #expect(cluster.checker.violations == [])
    }

    /// A pre-vote is no vote, but whoever wins them campaigns, and its vote requests take voters to
    /// a term in which nobody's lease is known.
    @Test func aPromiseRefusesPreVotesTooWhateverTermIsHeardOf() {
        let led = led()
        let cluster = led.cluster
        let term = cluster.raft(led.voter).term.rawValue
        // In the later term it knows no leader.
        cluster.deliver(
            RaftMessage(
                group: .defaultKeyspace, from: cluster[led.other].id, to: cluster[led.voter].id,
                term: Term(term + 3), kind: .staleTerm))
        #expect(cluster.raft(led.voter).leader == nil)
        let request = RaftMessage(
            group: .defaultKeyspace, from: cluster[led.other].id, to: cluster[led.voter].id,
            term: Term(term + 4),
            kind: .preVoteRequest(
                VoteRequest(lastIndex: LogIndex(99), lastTerm: Term(term + 2))))
        func granted() -> Bool {
            cluster.deliver(request)
            cluster.sync(led.voter)
            return cluster.sent.contains {
                $0.from == cluster[led.voter].id && $0.kind == .preVoteResponse(granted: true)
            }
        }
        cluster.sent = []
        #expect(!granted())
        // The last heartbeat came a tick ago at most.
        cluster.tick(led.voter, times: 8)
        #expect(!granted())
        cluster.tick(led.voter, times: 2)
        #expect(granted())
        #expect(cluster.checker.violations == [])
    }
}
