import Consensus
import Primitives
import Testing

/// What bounds a leader's memory, and what a slow follower or a slow disk costs.
@Suite struct FlowControlTests {
    static func settings(
        appends: Int = 256, bytes: Int = 1 << 20, tail: Int = 1 << 20, cache: Int = 1 << 20,
        handout: Int = 1 << 20
    ) -> RaftSettings {
        RaftSettings(
            heartbeatTicks: 2, maxEntryBytesPerAppend: 200, maxInflightAppends: appends,
            maxInflightBytes: bytes, maxEntryBytes: 1_000, maxUncommittedBytes: tail,
            cacheBytesMax: cache, maxHandoutBytes: handout, maxHandoutsInFlight: 2)
    }

    static func sentEntries(to id: Int, in cluster: Cluster) -> Int {
        ReplicationTests.appends(to: id, in: cluster).map(\.entries.count).reduce(0, +)
    }

    @Test func aFollowerThatDoesNotAnswerGetsOnlySoManyAppends() {
        let cluster = Cluster(3, settings: Self.settings(appends: 4))
        cluster.elect(1)
        cluster[3].diskIsStuck = true
        cluster.sent = []
        for i in 0..<20 {
            cluster.propose("\(i)", at: 1)
            cluster.settle()
        }
        #expect(cluster.commands(at: 1).count == 20)
        #expect(ReplicationTests.appends(to: 3, in: cluster).count == 4)
        cluster[3].diskIsStuck = false
        cluster.settle()
        #expect(cluster.commands(at: 3).count == 20)
        #expect(cluster.checker.violations == [])
    }

    @Test func aFollowerThatDoesNotAnswerGetsOnlySoManyBytes() {
        // An entry of 68 bytes counts 100.
        let cluster = Cluster(3, settings: Self.settings(bytes: 500))
        cluster.elect(1)
        cluster[3].diskIsStuck = true
        cluster.sent = []
        for i in 0..<20 {
            cluster.propose(String(repeating: "\(i % 10)", count: 68), at: 1)
            cluster.settle()
        }
        #expect(Self.sentEntries(to: 3, in: cluster) == 5)
        #expect(cluster.commands(at: 1).count == 20)
        cluster[3].diskIsStuck = false
        cluster.settle()
        #expect(cluster.commands(at: 3).count == 20)
        #expect(cluster.checker.violations == [])
    }

    @Test func aPipelineLostWholeIsFoundByTheNextHeartbeat() {
        let cluster = Cluster(3, settings: Self.settings(appends: 4))
        cluster.elect(1)
        for i in 0..<6 { cluster.propose("\(i)", at: 1) }
        cluster.network.removeAll { $0.to == ReplicaID(3) }
        cluster.settle()
        #expect(cluster.commands(at: 3) == [])
        cluster.tickAll(times: 4)
        #expect(cluster.commands(at: 3).count == 6)
        #expect(cluster.checker.violations == [])
    }

    @Test func appendsAreCutToTheirLimit() {
        let cluster = Cluster(3, settings: Self.settings())
        cluster.elect(1)
        cluster.sent = []
        cluster.propose(
            (0..<5).map { _ in Proposal(command: Bytes(repeating: 1, count: 48)) }
                + [Proposal(command: Bytes(repeating: 2, count: 900))],
            at: 1)
        // 80 bytes each, two to a message; the large one alone.
        #expect(
            ReplicationTests.appends(to: 2, in: cluster).map(\.entries.count) == [2, 2, 1, 1])
        cluster.settle()
        #expect(cluster.commands(at: 2).count == 6)
    }

    @Test func proposalsBeyondTheUncommittedTailAreRefused() {
        let cluster = Cluster(3, settings: Self.settings(tail: 500))
        cluster.elect(1)
        cluster.isolate(1)
        let command = String(repeating: "x", count: 68)
        for _ in 0..<5 {
            guard case .accepted = cluster.propose(command, at: 1) else {
                Issue.record("refused below the limit")
                return
            }
        }
        let end = cluster.raft(1).lastIndex
        #expect(
            cluster.propose(command, at: 1)
                == .refused(.uncommittedTailFull(bytes: 500, limit: 500)))
        #expect(cluster.raft(1).lastIndex == end)
        cluster.heal()
        cluster.tickAll(times: 4)
        guard case .accepted = cluster.propose(command, at: 1) else {
            Issue.record("refused after the tail was committed")
            return
        }
        #expect(
            cluster.propose(String(repeating: "x", count: 1_001), at: 1)
                == .refused(.entryTooLarge(bytes: 1_001, limit: 1_000)))
    }

    @Test func theTailOfALeaderWhoseOwnDiskStandsStillIsBoundedToo() {
        let cluster = Cluster(3, settings: Self.settings(tail: 500))
        cluster.elect(1)
        cluster[1].diskIsStuck = true
        let command = String(repeating: "x", count: 68)
        for _ in 0..<5 {
            cluster.propose(command, at: 1)
            cluster.settle()
        }
        // Committed by the two others, and still in the leader's memory.
        #expect(cluster.raft(1).commitIndex == LogIndex(6))
        #expect(
            cluster.propose(command, at: 1)
                == .refused(.uncommittedTailFull(bytes: 500, limit: 500)))
        cluster[1].diskIsStuck = false
        cluster.settle()
        guard case .accepted = cluster.propose(command, at: 1) else {
            Issue.record("refused after the disk moved again")
            return
        }
        #expect(cluster.checker.violations == [])
    }

    @Test func aFollowerFarBehindIsServedFromTheLog() {
        let cluster = Cluster(3, settings: Self.settings(cache: 300))
        cluster.elect(1)
        cluster.isolate(3)
        for i in 0..<30 {
            cluster.propose("\(i)", at: 1)
            cluster.settle()
        }
        cluster.heal()
        cluster.tick(1, times: 2)
        // The disk is asked, and the leader goes on meanwhile.
        while cluster[1].fetches.isEmpty && !cluster.network.isEmpty {
            cluster.deliverAll()
            cluster.sync(3)
        }
        #expect(cluster[1].fetches.count == 1)
        cluster.propose("meanwhile", at: 1)
        cluster.deliverAll()
        cluster.sync(1)
        cluster.sync(2)
        cluster.deliverAll()
        #expect(cluster.raft(1).commitIndex == LogIndex(32))
        // A disk that fails to read is asked again at the next sign of life.
        cluster.answerFetch(1, failing: true)
        #expect(cluster[1].fetches.isEmpty)
        cluster.tickAll(times: 2)
        #expect(cluster.commands(at: 3) == cluster.commands(at: 1))
        #expect(cluster.commands(at: 3).count == 31)
        #expect(cluster.checker.reached["fetch", default: 0] > 1)
        #expect(cluster.checker.violations == [])
    }

    @Test func aFetchThatComesBackToAFormerLeaderIsIgnored() throws {
        let cluster = Cluster(3, settings: Self.settings(cache: 300))
        cluster.elect(1)
        cluster.isolate(3)
        for i in 0..<30 {
            cluster.propose("\(i)", at: 1)
            cluster.settle()
        }
        cluster.heal()
        cluster.tick(1, times: 2)
        while cluster[1].fetches.isEmpty && !cluster.network.isEmpty {
            cluster.deliverAll()
            cluster.sync(3)
        }
        let request = try #require(cluster[1].fetches.first)
        cluster.isolate(1)
        cluster.tick(1, times: 25)
        #expect(cluster.raft(1).role != .leader)
        let entries = cluster[1].disk.entries(from: request.first, through: request.through)
        cluster.sent = []
        cluster.event(1) {
            $0.entriesFetched(FetchedEntries(request: request, entries: entries))
        }
        #expect(cluster.sent.isEmpty)
        #expect(cluster.checker.violations == [])
    }

    @Test func anAnswerToAFetchCountsOnce() throws {
        let cluster = Cluster(3, settings: Self.settings(cache: 300))
        cluster.elect(1)
        cluster.isolate(3)
        for i in 0..<30 {
            cluster.propose("\(i)", at: 1)
            cluster.settle()
        }
        cluster.heal()
        cluster.tick(1, times: 2)
        for _ in 0..<10 where cluster[1].fetches.isEmpty {
            cluster.deliverAll()
            cluster.sync(3)
        }
        let request = try #require(cluster[1].fetches.first)
        cluster[1].fetches = []
        let entries = cluster[1].disk.entries(from: request.first, through: request.first + 2)
        let fetched = FetchedEntries(request: request, entries: entries)
        cluster.event(1) { $0.entriesFetched(fetched) }
        // The next chunk is on its way from the disk; the first one again changes nothing.
        #expect(cluster[1].fetches.map(\.first) == [request.first + 3])
        cluster.sent = []
        cluster.event(1) { $0.entriesFetched(fetched) }
        #expect(cluster[1].fetches.count == 1)
        #expect(cluster.sent.isEmpty)
        cluster.settle()
        #expect(cluster.commands(at: 3).count == 30)
        #expect(cluster.checker.violations == [])
    }

    @Test func handoutsAreBoundedBySizeAndNumber() {
        let cluster = Cluster(1, settings: Self.settings(handout: 200))
        cluster.elect(1)
        cluster[1].applyIsStuck = true
        for _ in 0..<10 { cluster.propose(String(repeating: "x", count: 48), at: 1) }
        cluster.settle()
        // 80 bytes each, two to a handout, two handouts.
        #expect(cluster[1].handed.map { $0.entries?.count } == [2, 2])
        cluster.apply(1)
        #expect(cluster[1].handed.map { $0.entries?.count } == [2, 2])
        cluster[1].applyIsStuck = false
        cluster.settle()
        #expect(cluster.commands(at: 1).count == 10)
        #expect(cluster.checker.violations == [])
    }
}
