import Consensus
import Primitives
import Testing

/// Thesis §6.4.1: "using clocks to reduce messaging for read-only queries".
@Suite struct LeaderLeaseTests {
    /// 10 ticks of 10 ms, less the margin of 2, at ±1%: 78.4 ms.
    static let tick: UInt64 = 10_000_000
    static func settings(driftMaxPPM: UInt64 = 10_000) -> RaftSettings {
        RaftSettings(
            heartbeatTicks: 2, cacheBytesMax: 300, hibernationTicks: 50,
            leaderLease: LeaderLeaseSettings(
                tickNanoseconds: tick, driftMaxPPM: driftMaxPPM, ticksMargin: 2))
    }

    /// All clocks show the same; time passes with `pass`.
    private final class Clock {
        var now: UInt64 = 1_000_000_000
    }

    private func led(_ count: Int = 3) -> (Cluster, Clock) {
        let clock = Clock()
        // After a start nobody votes for an election timeout; then chance decides.
        var seed: UInt64 = 0
        var cluster: Cluster
        repeat {
            seed += 1
            cluster = Cluster(count, settings: Self.settings(), seed: seed)
            cluster.clock = { _ in MonotonicTime(nanoseconds: clock.now) }
            for _ in 0..<40 where cluster.leaders.isEmpty { pass(1, cluster, clock) }
        } while cluster.leaders != [1]
        cluster.propose("a", at: 1)
        cluster.settle()
        pass(2, cluster, clock)
        return (cluster, clock)
    }

    private func pass(_ ticks: Int, _ cluster: Cluster, _ clock: Clock) {
        for _ in 0..<ticks {
            clock.now += Self.tick
            cluster.tickAll()
        }
    }

    private func holds(_ id: Int, _ cluster: Cluster, _ clock: Clock) -> Bool {
        cluster.raft(id).holdsLeaderLease(at: MonotonicTime(nanoseconds: clock.now))
    }

    @Test func aReadUnderALeaseCostsNoMessage() {
        let (cluster, _) = led()
        cluster.sent = []
        cluster.read(1, 2, at: 1)
        #expect(
            cluster[1].readsReady == [
                ReadReady(token: 1, index: LogIndex(2)), ReadReady(token: 2, index: LogIndex(2)),
            ])
        #expect(cluster.sent == [])
        #expect(cluster.checker.violations == [])
    }

    @Test("The lease is counted from when the round was sent (§6.4.1, figure 6.3)")
    func theLeaseEnds() {
        let (cluster, clock) = led()
        pass(2, cluster, clock)
        let sentAt = clock.now
        cluster.isolate(1)
        clock.now = sentAt + 78_415_840
        #expect(holds(1, cluster, clock))
        clock.now += 1
        #expect(!holds(1, cluster, clock))
        // A read that finds none asks a quorum.
        cluster.heal()
        cluster.read(1, at: 1)
        #expect(cluster[1].readsReady == [])
        cluster.settle()
        #expect(cluster[1].readsReady.map(\.token) == [1])
    }

    @Test func answersThatComeLateDoNotLengthenIt() {
        let (cluster, clock) = led()
        pass(4, cluster, clock)
        clock.now += Self.tick
        cluster.tick(1)
        clock.now += Self.tick
        cluster.tick(1)
        let sentAt = clock.now
        cluster.deliverAll()
        let answers = cluster.network
        cluster.network = []
        // The heartbeats were answered at once; the answers take 50 ms.
        clock.now += 50_000_000
        for answer in answers { cluster.deliver(answer) }
        clock.now = sentAt + 78_000_000
        #expect(holds(1, cluster, clock))
        clock.now = sentAt + 79_000_000
        #expect(!holds(1, cluster, clock))
    }

    @Test func withoutAReadingThereIsNoLease() {
        let (cluster, _) = led()
        cluster.clock = { _ in nil }
        cluster.read(1, at: 1)
        #expect(cluster[1].readsReady == [])
    }

    @Test("If the leader has not yet committed an entry from its term, it waits (§6.4, step 1)")
    func noLeaseBeforeTheTermsFirstCommit() {
        let (cluster, clock) = led()
        for id in 1...3 { cluster[id].diskIsStuck = true }
        // 2 leads as soon as its vote and one other are durable, and cannot commit.
        cluster.transfer(to: 2, at: 1)
        cluster.settle()
        for _ in 0..<4 where cluster.raft(2).role != .leader {
            cluster.sync(2, works: 1)
            cluster.sync(3, works: 1)
            cluster.deliverAll()
        }
        // Its rounds are confirmed: heartbeats wait for no disk.
        for _ in 0..<4 {
            clock.now += Self.tick
            cluster.tick(2)
            for _ in 0..<2 { cluster.deliverAll() }
        }
        #expect(cluster.raft(2).role == .leader && !cluster.raft(2).hasCommittedInTerm)
        #expect(!holds(2, cluster, clock))
        cluster.read(1, at: 2)
        #expect(cluster[2].readsReady == [])
    }

    @Test("Voters refuse votes while they hear a leader, whatever term they hear of")
    func promisesSurviveATerm() {
        let (cluster, _) = led()
        let term = cluster.raft(2).term
        // Not a vote request: it takes 2 to a later term, in which it knows no leader.
        cluster.deliver(
            RaftMessage(
                group: .defaultKeyspace, from: ReplicaID(3), to: ReplicaID(2),
                term: Term(term.rawValue + 3), kind: .staleTerm))
        #expect(cluster.raft(2).leader == nil)
        let request = ElectionTests.voteRequest(
            from: 3, to: 2, term: term.rawValue + 3, lastIndex: 99, lastTerm: term.rawValue + 2)
        cluster.network = []
        cluster.deliver(request)
        cluster.sync(2)
        #expect(!ElectionTests.votes(granted: 2, in: cluster).contains(ReplicaID(3)))
        cluster.tick(2, times: 10)
        cluster.deliver(request)
        cluster.sync(2)
        #expect(ElectionTests.votes(granted: 2, in: cluster).contains(ReplicaID(3)))
    }

    @Test func aRestartedVoterKeepsAPromiseThatItHasForgotten() {
        let (cluster, _) = led()
        let term = cluster.raft(2).term.rawValue
        cluster.crash(2)
        cluster.start(2)
        let request = ElectionTests.voteRequest(
            from: 3, to: 2, term: term + 1, lastIndex: 99, lastTerm: term)
        cluster.tick(2, times: 9)
        cluster.deliver(request)
        cluster.sync(2)
        #expect(!ElectionTests.votes(granted: 2, in: cluster).contains(ReplicaID(3)))
        cluster.tick(2)
        cluster.deliver(request)
        cluster.sync(2)
        #expect(ElectionTests.votes(granted: 2, in: cluster).contains(ReplicaID(3)))
    }

    @Test("A transfer ends the lease before timeoutNow leaves (§6.4.1), and for the term")
    func aTransferEndsTheLease() throws {
        let (cluster, clock) = led()
        #expect(holds(1, cluster, clock))
        cluster.transfer(to: 2, at: 1)
        #expect(!holds(1, cluster, clock))
        // The order is lost, and the transfer given up.
        cluster.network = []
        for _ in 0..<10 {
            clock.now += Self.tick
            for id in 1...3 { cluster.tick(id) }
            cluster.network.removeAll { $0.kind == .timeoutNow }
            cluster.settle()
        }
        #expect(cluster[1].transfersEnded == [.timedOut])
        pass(20, cluster, clock)
        // A copy of the order may be under way for long; what it starts, no voter refuses.
        #expect(cluster.leaders == [1] && !holds(1, cluster, clock))
        let late = try #require(cluster.sent { $0 == .timeoutNow }.last)
        cluster.isolate(1)
        cluster.deliver(late)
        cluster.settle()
        cluster.propose("b", at: 2)
        cluster.settle()
        #expect(cluster.leaders == [1, 2])
        cluster.read(1, at: 1)
        #expect(cluster[1].readsReady == [])
        #expect(cluster.checker.violations == [])
        // The next leader has leases as ever.
        cluster.heal()
        pass(4, cluster, clock)
        #expect(holds(2, cluster, clock))
    }

    @Test func anotherConfigurationEndsTheLease() {
        let (cluster, clock) = led()
        #expect(holds(1, cluster, clock))
        cluster.event(1) { raft in
            raft.configurationProposed(
                .change([.remove(ReplicaID(3))], leave: .automatic), wallClock: 1
            ).1
        }
        #expect(!holds(1, cluster, clock))
        cluster.settle()
        pass(2, cluster, clock)
        #expect(holds(1, cluster, clock))
    }

    @Test func aWokenLeaderHoldsNone() {
        let (cluster, clock) = led()
        for _ in 0..<100 where cluster.asleep != [1, 2, 3] { pass(1, cluster, clock) }
        #expect(cluster.asleep == [1, 2, 3])
        #expect(!holds(1, cluster, clock))
        cluster.read(1, at: 1)
        #expect(cluster[1].readsReady == [])
        cluster.settle()
        #expect(cluster[1].readsReady.map(\.token) == [1])
    }

    /// Three processes with clocks of their own, which pause, and a network that parts them. The
    /// checker compares each answer with what was committed anywhere when the read was asked.
    struct Drifting {
        let cluster: Cluster
        var chance: SeededGenerator
        /// In microseconds of true time.
        var time: UInt64 = 1_000_000
        let ratesPPM: [UInt64]
        var nextTick: [UInt64]
        var pausedUntil: [UInt64]
        var arriving: [(at: UInt64, message: RaftMessage)] = []
        var nextToken: UInt64 = 0
        var byLease = 0

        init(seed: UInt64, driftPPM: UInt64) {
            var chance = SeededGenerator(seed: seed)
            let cluster = Cluster(3, settings: LeaderLeaseTests.settings(), seed: seed)
            cluster.recordsSent = false
            // At the bound, one way or the other.
            ratesPPM = (0..<3).map { _ in
                chance.next() % 2 == 0 ? 1_000_000 + driftPPM : 1_000_000 - driftPPM
            }
            nextTick = [0, 0, 0]
            pausedUntil = [0, 0, 0]
            self.cluster = cluster
            self.chance = chance
            for id in 1...3 { nextTick[id - 1] = clock(id) + 1 }
        }

        /// Nanoseconds.
        func clock(_ id: Int) -> UInt64 { time * ratesPPM[id - 1] / 1_000 }

        func isPaused(_ id: Int) -> Bool { time < pausedUntil[id - 1] }

        mutating func upTo(_ most: UInt64) -> UInt64 { chance.next() % (most + 1) }

        mutating func run(steps: Int) {
            for step in 0..<steps where cluster.checker.violations.isEmpty {
                time += 1_000
                let clocks = (1...3).map { MonotonicTime(nanoseconds: clock($0)) }
                cluster.clock = { clocks[$0 - 1] }
                disturb()
                for id in 1...3 where !isPaused(id) { work(id) }
                exchange()
                if step % 10 == 0 {
                    for leader in cluster.leaders where !isPaused(leader) {
                        cluster.propose("\(step)", at: leader)
                    }
                }
            }
        }

        private mutating func disturb() {
            let id = cluster.leaders.last ?? Int(upTo(2)) + 1
            if upTo(250) == 0 { cluster.isolate(id) }
            if upTo(150) == 0 { cluster.heal() }
            if upTo(400) == 0 { pausedUntil[id - 1] = time + 1_000 * upTo(200) }
        }

        private mutating func work(_ id: Int) {
            // A process that was held up catches up on one tick at most: the margin is two.
            if clock(id) >= nextTick[id - 1] {
                let late = clock(id) - nextTick[id - 1] > LeaderLeaseTests.tick
                cluster.tick(id)
                if late && upTo(1) == 0 { cluster.tick(id) }
                nextTick[id - 1] =
                    late
                    ? clock(id) + LeaderLeaseTests.tick
                    : nextTick[id - 1] + LeaderLeaseTests.tick
            }
            cluster.sync(id)
            cluster.apply(id)
            cluster.answerFetch(id)
            if cluster.raft(id).role == .leader {
                nextToken += 1
                let before = cluster[id].readsReady.count
                cluster.read(nextToken, at: id)
                byLease += cluster[id].readsReady.count - before
            }
        }

        private mutating func exchange() {
            for message in cluster.network {
                if upTo(19) == 0 { continue }
                arriving.append((time + 1_000 * upTo(4), message))
            }
            cluster.network = []
            var later: [(at: UInt64, message: RaftMessage)] = []
            var due: [RaftMessage] = []
            for (at, message) in arriving {
                if at <= time && !isPaused(Int(message.to.rawValue)) {
                    due.append(message)
                } else {
                    later.append((at, message))
                }
            }
            arriving = later
            for message in due { cluster.deliver(message) }
        }
    }

    @Test func withinTheBoundNoReadIsEverStale() {
        var byLease = 0
        var elections = 0
        for seed in 0..<6 {
            var run = Drifting(seed: UInt64(seed), driftPPM: 10_000)
            run.run(steps: 2_000)
            #expect(run.cluster.checker.violations == [], "seed \(seed)")
            byLease += run.byLease
            elections += run.cluster.checker.reached["election", default: 0]
        }
        #expect(byLease > 500 && elections >= 12, "\(byLease) reads, \(elections) elections")
    }

    @Test func beyondTheBoundTheTestSeesAStaleRead() {
        var stale = 0
        for seed in 0..<6 {
            var run = Drifting(seed: UInt64(seed), driftPPM: 600_000)
            run.run(steps: 2_000)
            if run.cluster.checker.violations.contains(where: { $0.hasPrefix("read ") }) {
                stale += 1
            }
        }
        #expect(stale > 0)
    }
}
