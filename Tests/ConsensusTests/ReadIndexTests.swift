import Consensus
import Primitives
import Testing

/// Thesis §6.4: reads that bypass the log.
@Suite struct ReadIndexTests {
    static func heartbeats(in cluster: Cluster, to id: Int) -> [Heartbeat] {
        cluster.sent.compactMap { message in
            guard message.to == cluster[id].id, case .heartbeat(let heartbeat) = message.kind
            else { return nil }
            return heartbeat
        }
    }

    @Test("The leader needs to make sure it has not been superseded (§6.4, step 3)")
    func aLeaderAnswersAfterAQuorumHasConfirmedIt() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.read(1, at: 1)
        #expect(cluster[1].readsReady == [])
        cluster.settle()
        #expect(cluster[1].readsReady == [ReadReady(token: 1, index: LogIndex(2))])
        #expect(cluster.checker.violations == [])
    }

    @Test func aGroupOfOneAnswersAtOnce() {
        let cluster = Cluster(1)
        cluster.elect(1)
        cluster.read(1, at: 1)
        #expect(cluster[1].readsReady == [ReadReady(token: 1, index: LogIndex(1))])
    }

    @Test("A round of heartbeats amortizes over any number of read-only queries (§6.4)")
    func readsShareRounds() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.sent = []
        cluster.read(1, 2, 3, at: 1)
        // These come while the first round is under way: they share the next.
        cluster.read(4, at: 1)
        cluster.read(5, at: 1)
        #expect(Self.heartbeats(in: cluster, to: 2).count == 1)
        cluster.settle()
        #expect(cluster[1].readsReady.map(\.token) == [1, 2, 3, 4, 5])
        #expect(Self.heartbeats(in: cluster, to: 2).count == 2)
    }

    @Test("If the leader has not yet committed an entry from its term, it waits (§6.4, step 1)")
    func readsWaitForTheTermsFirstCommit() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        // 2 has "a", not that it is committed; it leads without being able to commit.
        cluster.crash(1)
        cluster[2].disk.hardState.commitIndex = .zero
        cluster.crash(2)
        cluster.start(2)
        cluster[2].diskIsStuck = true
        cluster.tick(3, times: 10)
        for _ in 0..<60 where cluster.raft(2).role != .leader {
            cluster.tick(2)
            cluster.settle()
            if cluster.raft(2).role == .candidate { cluster.sync(2) }
            cluster.settle()
        }
        #expect(cluster.raft(2).role == .leader)
        let known = cluster.raft(2).commitIndex
        #expect(known < LogIndex(2))
        cluster.read(1, at: 2)
        cluster.settle()
        #expect(cluster[2].readsReady == [])
        cluster[2].diskIsStuck = false
        cluster.settle()
        #expect(cluster[2].readsReady == [ReadReady(token: 1, index: LogIndex(3))])
        #expect(cluster.checker.violations == [])
    }

    @Test("A deposed leader never answers a read")
    func aDeposedLeaderRefuses() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.isolate(1)
        cluster.read(1, at: 1)
        cluster.elect(2)
        cluster.propose("b", at: 2)
        cluster.settle()
        #expect(cluster.leaders == [1, 2])
        cluster.read(2, at: 1)
        cluster.tick(1, times: 3)
        cluster.settle()
        #expect(cluster[1].readsReady == [])
        // Answers from before its isolation do not help it either.
        for message in cluster.sent where message.to == ReplicaID(1) {
            if case .heartbeatResponse = message.kind { cluster.deliver(message) }
        }
        #expect(cluster[1].readsReady == [])
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(
            cluster[1].readsRefused == [
                ReadRefused(token: 1, reason: .leadershipLost),
                ReadRefused(token: 2, reason: .leadershipLost),
            ])
        #expect(cluster.checker.violations == [])
    }

    @Test("A confirmation that left before the read came proves nothing for it (§6.4, step 3)")
    func aReadDoesNotJoinTheRoundUnderWay() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.read(1, at: 1)
        cluster.deliverAll()
        // Both followers have confirmed the round; their answers travel slowly.
        let answers = cluster.network
        #expect(answers.count == 2)
        cluster.network = []
        cluster.isolate(1)
        cluster.elect(2)
        cluster.propose("b", at: 2)
        cluster.settle()
        #expect(cluster.leaders == [1, 2])
        cluster.read(2, at: 1)
        for answer in answers { cluster.deliver(answer) }
        #expect(cluster[1].readsReady.map(\.token) == [1])
        #expect(cluster.checker.violations == [])
    }

    @Test func aFollowerReadsThroughItsLeader() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.sent = []
        cluster.read(1, 2, at: 2)
        cluster.settle()
        #expect(
            cluster[2].readsReady == [
                ReadReady(token: 1, index: LogIndex(2)), ReadReady(token: 2, index: LogIndex(2)),
            ])
        // One question for both.
        let asked = cluster.sent.count {
            if case .readIndexRequest = $0.kind { return true } else { return false }
        }
        #expect(asked == 1)
        #expect(cluster.checker.violations == [])
    }

    @Test func aLostQuestionIsAskedAgain() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.read(1, at: 2)
        cluster.network = []
        cluster.tickAll(times: 3)
        #expect(cluster[2].readsReady.map(\.token) == [1])
    }

    @Test func anAnswerToAnEarlierIncarnationIsIgnored() throws {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.read(1, at: 2)
        cluster.settle()
        let late = cluster.sent.last {
            if case .readIndexResponse = $0.kind { return true } else { return false }
        }
        cluster.crash(2)
        cluster.start(2)
        cluster.tickAll(times: 2)
        cluster.read(9, at: 2)
        cluster.deliver(try #require(late))
        #expect(!cluster[2].readsReady.contains { $0.token == 9 })
        cluster.settle()
        #expect(cluster[2].readsReady.contains { $0.token == 9 })
    }

    @Test func readsWithoutALeaderEndAfterAnElectionTimeout() {
        let cluster = Cluster(3)
        for id in 1...3 { cluster.isolate(id) }
        cluster.read(1, at: 1)
        cluster.tick(1, times: 9)
        #expect(cluster[1].readsRefused == [])
        cluster.tick(1)
        #expect(cluster[1].readsRefused == [ReadRefused(token: 1, reason: .timedOut)])
    }

    @Test func readsWaitForAnElectionUnderWay() {
        let cluster = Cluster(3)
        cluster.read(1, at: 1)
        cluster.read(2, at: 2)
        var patience = 60
        while cluster.raft(1).role != .leader && patience > 0 {
            cluster.tick(1)
            if patience % 5 == 0 { cluster.read(UInt64(100 + patience), at: 1) }
            cluster.settle()
            patience -= 1
        }
        cluster.settle()
        // The latest came shortly before the election was won; the leader answers for itself.
        #expect(!cluster[1].readsReady.isEmpty)
        #expect(cluster[2].readsReady == [ReadReady(token: 2, index: LogIndex(1))])
        #expect(cluster.checker.openReads == 0)
    }

    @Test func readsBeyondTheLimitAreRefused() {
        let settings = RaftSettings(heartbeatTicks: 2, maxPendingReads: 2)
        let cluster = Cluster(3, settings: settings)
        cluster.elect(1)
        for id in [1, 2] {
            let base = UInt64(10 * id)
            cluster.read(base + 1, base + 2, base + 3, at: id)
            #expect(
                cluster[id].readsRefused == [ReadRefused(token: base + 3, reason: .tooManyReads)])
            cluster.settle()
            #expect(cluster[id].readsReady.map(\.token) == [base + 1, base + 2])
        }
    }
}
