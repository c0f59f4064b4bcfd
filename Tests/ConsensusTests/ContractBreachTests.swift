import Consensus
import Primitives
import Testing

/// What no correct peer or disk would say is reported, and changes nothing.
@Suite struct ContractBreachTests {
    /// A follower of replica 1 in term 3, with entries of terms 1, 1, 3 and two of them committed.
    private func follower() throws -> RaftGroup {
        var disk = ReplicationTests.disk(terms: [1, 1, 3])
        disk.hardState.commitIndex = LogIndex(2)
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(2),
            settings: RaftSettings(registersStarts: false),
            restored: RestoredState(
                hardState: disk.hardState, configuration: Cluster(3).configuration,
                log: disk.summary, appliedIndex: LogIndex(2), incarnation: 1),
            seed: 1)
        _ = raft.received(message(.heartbeat(Heartbeat(commitIndex: LogIndex(2), round: 0))))
        return raft
    }

    private func message(
        _ kind: RaftMessage.Kind, from: UInt64 = 1, to: UInt64 = 2, term: UInt64 = 3,
        group: GroupID = .defaultKeyspace
    ) -> RaftMessage {
        RaftMessage(
            group: group, from: ReplicaID(from), to: ReplicaID(to), term: Term(term), kind: kind)
    }

    private func append(
        after previous: UInt64, term: UInt64, _ entries: [LogEntry]
    ) -> RaftMessage.Kind {
        .appendRequest(
            AppendRequest(
                previousIndex: LogIndex(previous), previousTerm: Term(term), entries: entries,
                commitIndex: LogIndex(2)))
    }

    private func entry(
        _ index: UInt64, term: UInt64, stamp: UInt64 = 100, _ payload: LogEntry.Payload = .empty
    ) -> LogEntry {
        LogEntry(
            term: Term(term), index: LogIndex(index),
            timestamp: HybridTimestamp(microseconds: stamp), payload: payload)
    }

    @Test func eachBreachIsReportedAndChangesNothing() throws {
        let leader = ReplicaID(1)
        let heartbeat = RaftMessage.Kind.heartbeat(Heartbeat(commitIndex: .zero, round: 0))
        let cases: [(RaftMessage, ContractBreach)] = [
            (
                message(heartbeat, group: .fhirKeyspace),
                .wrongGroup(from: leader, group: .fhirKeyspace)
            ),
            (message(heartbeat, to: 3), .wrongRecipient(from: leader, to: ReplicaID(3))),
            (
                message(heartbeat, from: 3),
                .secondLeader(from: ReplicaID(3), known: leader, term: Term(3))
            ),
            (
                message(append(after: 3, term: 3, [entry(5, term: 3)])),
                .malformedAppend(from: leader, at: LogIndex(4))
            ),
            (
                message(append(after: 3, term: 3, [entry(4, term: 4)])),
                .malformedAppend(from: leader, at: LogIndex(4))
            ),
            (
                message(append(after: 3, term: 3, [entry(4, term: 2)])),
                .malformedAppend(from: leader, at: LogIndex(4))
            ),
            (
                message(append(after: 3, term: 3, [entry(4, term: 3), entry(5, term: 3)])),
                .malformedAppend(from: leader, at: LogIndex(5))
            ),
            (
                message(append(after: .max, term: 3, [])),
                .malformedAppend(from: leader, at: LogIndex(.max))
            ),
            (
                message(append(after: 3, term: 3, [entry(4, term: 3, .configuration([]))])),
                .unreadableConfiguration(from: leader, at: LogIndex(4))
            ),
            (
                message(append(after: 2, term: 1, [entry(3, term: 2)])),
                .conflictWithSettledEntry(from: leader, at: LogIndex(3))
            ),
            (
                message(.heartbeat(Heartbeat(commitIndex: LogIndex(9), round: 0))),
                .beyondLog(from: leader, index: LogIndex(9), lastIndex: LogIndex(3))
            ),
        ]
        for (message, breach) in cases {
            var raft = try follower()
            let before = raft
            let effects = raft.received(message)
            #expect(effects.faults == [breach], "\(message)")
            #expect(effects.append == nil, "\(message)")
            #expect(raft.lastIndex == before.lastIndex && raft.commitIndex == before.commitIndex)
            #expect(raft.checkInvariants(since: before) == [], "\(message)")
        }
    }

    @Test func aLeaderIgnoresAcknowledgementsOfWhatItHasNot() {
        let cluster = Cluster(3)
        cluster.elect(1)
        var raft = cluster.raft(1)
        let term = raft.term.rawValue
        var effects = raft.received(
            message(.appendResponse(.accepted(matchIndex: LogIndex(9))), from: 2, to: 1, term: term)
        )
        #expect(
            effects.faults
                == [
                    .beyondLog(from: ReplicaID(2), index: LogIndex(9), lastIndex: raft.lastIndex)
                ])
        effects = raft.received(
            message(.heartbeatResponse(round: 77), from: 2, to: 1, term: term))
        #expect(effects.faults == [.unknownRound(from: ReplicaID(2), round: 77)])
        #expect(raft.checkInvariants(since: cluster.raft(1)) == [])
    }

    @Test func theLogMustReturnWhatItWasAskedFor() throws {
        let cluster = Cluster(3, settings: FlowControlTests.settings(cache: 300))
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
        var entries = cluster[1].disk.entries(from: request.first, through: request.through)
        entries[0].term = Term(77)
        var raft = cluster.raft(1)
        let effects = raft.entriesFetched(FetchedEntries(request: request, entries: entries))
        #expect(
            effects.faults == [.wrongEntriesFetched(first: request.first, at: request.first)])
        #expect(effects.messages.isEmpty)
    }
}
