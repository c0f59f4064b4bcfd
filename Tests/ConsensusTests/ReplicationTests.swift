import Consensus
import Primitives
import Testing

/// Thesis §3.5, §3.6.2, §10.2.
@Suite struct ReplicationTests {
    static func entries(terms: [UInt64]) -> [LogEntry] {
        terms.enumerated().map { i, term in
            LogEntry(
                term: Term(term), index: LogIndex(UInt64(i + 1)),
                timestamp: HybridTimestamp(microseconds: UInt64(i + 1)),
                payload: .command(Array("\(term)/\(i + 1)".utf8)))
        }
    }

    static func disk(terms: [UInt64], term: UInt64? = nil) -> SimulatedDisk {
        var disk = SimulatedDisk()
        disk.entries = entries(terms: terms)
        disk.hardState.term = Term(term ?? terms.last ?? 0)
        return disk
    }

    static func appends(to id: Int, in cluster: Cluster) -> [AppendRequest] {
        cluster.sent.compactMap { message in
            guard message.to == cluster[id].id, case .appendRequest(let request) = message.kind
            else { return nil }
            return request
        }
    }

    @Test func commandsReachEveryStateMachineInOrder() {
        let cluster = Cluster(3)
        cluster.elect(1)
        #expect(
            cluster.propose("a", "b", at: 1)
                == .accepted(
                    term: cluster.raft(1).term, first: LogIndex(2), through: LogIndex(3)))
        cluster.propose("c", at: 1)
        cluster.settle()
        for id in 1...3 { #expect(cluster.commands(at: id) == ["a", "b", "c"]) }
        #expect(cluster.checker.violations == [])
    }

    @Test("Many proposals are one append and one message to each follower")
    func proposalsAreBatched() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.sent = []
        cluster.propose("a", "b", "c", "d", at: 1)
        #expect(cluster.sent.count == 2)
        #expect(cluster[1].queued.count == 1)
        #expect(cluster[1].queued[0].entries.count == 4)
    }

    @Test("Conflicting entries in followers' logs are overwritten (§3.5, figure 3.6)")
    func figure3_6() {
        let leader: [UInt64] = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
        let followers: [String: [UInt64]] = [
            "a": [1, 1, 1, 4, 4, 5, 5, 6, 6],
            "b": [1, 1, 1, 4],
            "c": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
            "d": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
            "e": [1, 1, 1, 4, 4, 4, 4],
            "f": [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
        ]
        for (name, follower) in followers.sorted(by: { $0.key < $1.key }) {
            // The third replica's empty log gives the leader its majority.
            let cluster = Cluster(
                3,
                disks: [
                    Self.disk(terms: leader, term: 7), Self.disk(terms: follower, term: 7),
                    Self.disk(terms: [], term: 7),
                ])
            cluster.elect(1)
            cluster.tickAll(times: 4)
            #expect(cluster.logTerms(of: 2) == leader + [8], "follower \(name)")
            #expect(cluster.raft(2).commitIndex == LogIndex(11), "follower \(name)")
            #expect(cluster.checker.violations == [], "follower \(name)")
        }
    }

    @Test("One AppendEntries per conflicting term, rather than one per entry (§3.5)")
    func hintsSkipTerms() {
        // They agree on the first entry alone; 300 entries of four terms lie behind it.
        let follower = [1] + (0..<300).map { UInt64(2 + $0 / 75) }
        let cluster = Cluster(
            3,
            disks: [
                Self.disk(terms: [1] + [UInt64](repeating: 9, count: 300), term: 9),
                Self.disk(terms: follower, term: 9), Self.disk(terms: [], term: 9),
            ])
        cluster.elect(1)
        cluster.tickAll(times: 4)
        #expect(cluster.logTerms(of: 2) == cluster.logTerms(of: 1))
        // At the log's end, at its beginning, and what then is missing.
        #expect(Self.appends(to: 2, in: cluster).count <= 5)
        #expect(cluster.checker.violations == [])
    }

    @Test("Entries from previous terms are not committed by counting replicas (§3.6.2, figure 3.7)")
    func figure3_7() throws {
        // (c): 1 leads term 4 and replicates its entry of term 2 at index 2 to a majority; 5 has
        // one of term 3 there and could still be elected.
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(1),
            settings: RaftSettings(registersStarts: false),
            restored: RestoredState(
                hardState: HardState(term: Term(3)), configuration: Cluster(5).configuration,
                log: Self.disk(terms: [1, 2]).summary, appliedIndex: .zero, incarnation: 1),
            seed: 1)
        try lead(&raft, voters: [2, 3])
        #expect(raft.role == .leader)
        #expect(raft.lastIndex == LogIndex(3))
        for voter: UInt64 in [2, 3, 4] {
            _ = raft.received(accepted(by: voter, through: 2, raft))
        }
        #expect(raft.commitIndex == .zero)
        for voter: UInt64 in [2, 3] { _ = raft.received(accepted(by: voter, through: 3, raft)) }
        // The leader's own entry is durable nowhere but there: three of five.
        #expect(raft.commitIndex == .zero)
        _ = raft.received(accepted(by: 4, through: 3, raft))
        #expect(raft.commitIndex == LogIndex(3))
    }

    @Test func aRejectionCountsOnce() throws {
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(1),
            settings: RaftSettings(registersStarts: false),
            restored: RestoredState(
                hardState: HardState(term: Term(3)), configuration: Cluster(3).configuration,
                log: Self.disk(terms: [1, 2, 3, 3, 3]).summary, appliedIndex: .zero,
                incarnation: 1),
            seed: 1)
        try lead(&raft, voters: [2])
        func rejected(at index: UInt64) -> RaftMessage {
            RaftMessage(
                group: raft.group, from: ReplicaID(2), to: raft.replica, term: raft.term,
                kind: .appendResponse(
                    .rejected(
                        previousIndex: LogIndex(index), hintIndex: LogIndex(2),
                        hintTerm: Term(2))))
        }
        func probes(_ effects: Effects) -> [LogIndex] {
            effects.messages.compactMap {
                guard case .appendRequest(let request) = $0.kind else { return nil }
                return request.previousIndex
            }
        }
        #expect(probes(raft.received(rejected(at: 5))) == [LogIndex(2)])
        // Repeated by the network, and one that was never asked for.
        #expect(probes(raft.received(rejected(at: 5))) == [])
        #expect(probes(raft.received(rejected(at: 4))) == [])
        #expect(probes(raft.received(rejected(at: 2))) == [LogIndex(1)])
    }

    private func lead(_ raft: inout RaftGroup, voters: [UInt64]) throws {
        for _ in 0..<100 where raft.role == .follower { _ = raft.ticked() }
        var effects = Effects()
        for voter in voters {
            effects = raft.received(
                RaftMessage(
                    group: raft.group, from: ReplicaID(voter), to: raft.replica,
                    term: raft.term.next, kind: .preVoteResponse(granted: true)))
        }
        _ = raft.appended(try #require(effects.append).ticket)
        for voter in voters {
            _ = raft.received(
                RaftMessage(
                    group: raft.group, from: ReplicaID(voter), to: raft.replica, term: raft.term,
                    kind: .voteResponse(granted: true)))
        }
    }

    private func accepted(by voter: UInt64, through: UInt64, _ raft: RaftGroup) -> RaftMessage {
        RaftMessage(
            group: raft.group, from: ReplicaID(voter), to: raft.replica, term: raft.term,
            kind: .appendResponse(.accepted(matchIndex: LogIndex(through))))
    }

    @Test("A leader may even commit before the entry is on its own disk (§10.2.1)")
    func theLeaderSendsBeforeItsOwnSyncAndCountsItselfAfter() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster[1].diskIsStuck = true
        cluster.propose("a", at: 1)
        cluster.settle()
        // Two of three have it.
        #expect(cluster.raft(1).commitIndex == LogIndex(2))
        #expect(cluster.raft(1).durableIndex == LogIndex(1))
        // The state machine does not run ahead of its own log.
        #expect(cluster.commands(at: 1) == [])
        #expect(cluster.commands(at: 2) == ["a"])

        cluster.isolate(3)
        cluster.propose("b", at: 1)
        cluster.settle()
        #expect(cluster.raft(1).commitIndex == LogIndex(2))
        cluster[1].diskIsStuck = false
        cluster.settle()
        #expect(cluster.raft(1).commitIndex == LogIndex(3))
        #expect(cluster.commands(at: 1) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }

    @Test func aFollowerAnswersOnceTheEntriesAreDurable() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.isolate(3)
        cluster[2].diskIsStuck = true
        cluster.propose("a", at: 1)
        cluster.settle()
        #expect(cluster.raft(1).commitIndex == LogIndex(1))
        // Hearing the same again, while the first write is under way, is no acknowledgement.
        let again = Self.appends(to: 2, in: cluster).last!
        cluster.deliver(
            RaftMessage(
                group: .defaultKeyspace, from: ReplicaID(1), to: ReplicaID(2),
                term: cluster.raft(1).term, kind: .appendRequest(again)))
        cluster.settle()
        #expect(cluster.raft(1).commitIndex == LogIndex(1))
        cluster[2].diskIsStuck = false
        cluster.settle()
        #expect(cluster.raft(1).commitIndex == LogIndex(2))
        #expect(cluster.checker.violations == [])
    }

    @Test("An acknowledgement of entries since replaced says nothing about the new ones (ABA)")
    func staleAcknowledgement() throws {
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(3),
            settings: RaftSettings(registersStarts: false),
            restored: RestoredState(
                hardState: HardState(), configuration: Cluster(3).configuration, log: .empty,
                appliedIndex: .zero, incarnation: 1),
            seed: 1)
        func append(from leader: UInt64, term: UInt64, _ entries: [LogEntry]) -> RaftMessage {
            RaftMessage(
                group: .defaultKeyspace, from: ReplicaID(leader), to: ReplicaID(3),
                term: Term(term),
                kind: .appendRequest(
                    AppendRequest(
                        previousIndex: .zero, previousTerm: .zero, entries: entries,
                        commitIndex: .zero)))
        }
        let old = raft.received(append(from: 1, term: 1, Self.entries(terms: [1, 1, 1])))
        let new = raft.received(append(from: 2, term: 2, Self.entries(terms: [1, 2, 2])))
        #expect(new.append?.replacedFrom == LogIndex(2))
        #expect(new.append?.entries.map(\.term) == [Term(2), Term(2)])
        _ = raft.appended(try #require(old.append).ticket)
        // Index 3 has been written, but with another entry.
        #expect(raft.durableIndex == LogIndex(1))
        _ = raft.appended(try #require(new.append).ticket)
        #expect(raft.durableIndex == LogIndex(3))
        #expect(raft.checkInvariants() == [])
    }

    @Test("Timestamps rise along the log, whatever clocks and leaders do")
    func timestampsRise() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.wallClock = 5_000
        cluster.propose("a", at: 1)
        cluster.wallClock = 9_000
        cluster.propose("b", at: 1)
        cluster.wallClock = 3
        cluster.propose("c", "d", at: 1)
        cluster.settle()
        cluster.crash(1)
        cluster.elect(2)
        cluster.propose("e", at: 2)
        cluster.settle()
        let stamps = cluster[2].applied.map(\.timestamp)
        #expect(stamps.count == 7)
        #expect(zip(stamps, stamps.dropFirst()).allSatisfy { $0 < $1 })
        #expect(stamps[1] == HybridTimestamp(microseconds: 5_000))
        #expect(stamps[2] == HybridTimestamp(microseconds: 9_000))
        #expect(stamps[3] == HybridTimestamp(microseconds: 9_000, logical: 1))
        #expect(cluster.checker.violations == [])
    }

    @Test func followersLearnOfCommitsAtOnce() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.sent = []
        cluster.propose("a", at: 1)
        cluster.settle()
        #expect(cluster.raft(2).commitIndex == LogIndex(2))
        #expect(cluster.raft(3).commitIndex == LogIndex(2))
        // An append, its answer and a notice for each of two followers.
        #expect(cluster.sent.count == 6)
    }

    @Test func aFollowerSaysWhoLeadsInsteadOfTakingProposals() {
        let cluster = Cluster(3)
        #expect(cluster.propose("a", at: 1) == .refused(.notLeader(leader: nil)))
        cluster.elect(1)
        #expect(cluster.propose("a", at: 2) == .refused(.notLeader(leader: ReplicaID(1))))
    }
}
