import Consensus
import Primitives
import Testing

/// One replica that needs a snapshot, message by message.
@Suite struct SnapshotOfferTests {
    /// A follower of replica 1 in term 4, with entries of terms 1, 1, 3, 3 and two of them
    /// committed and applied.
    private func follower(term: UInt64 = 4) throws -> RaftGroup {
        var disk = ReplicationTests.disk(terms: [1, 1, 3, 3], term: term)
        disk.hardState.commitIndex = LogIndex(2)
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(3),
            settings: RaftSettings(registersStarts: false),
            restored: RestoredState(
                hardState: disk.hardState, configuration: Cluster(3).configuration,
                log: disk.summary, appliedIndex: LogIndex(2), incarnation: 1),
            seed: 1)
        _ = raft.started()
        _ = raft.received(
            message(.heartbeat(Heartbeat(commitIndex: LogIndex(2), round: 0)), term: term))
        return raft
    }

    private func message(
        _ kind: RaftMessage.Kind, from: UInt64 = 1, term: UInt64 = 4
    ) -> RaftMessage {
        RaftMessage(
            group: .defaultKeyspace, from: ReplicaID(from), to: ReplicaID(3), term: Term(term),
            kind: kind)
    }

    private func needed(_ minIndex: UInt64, _ sources: [UInt64] = [2, 1]) -> RaftMessage {
        message(
            .snapshotNeeded(
                minIndex: LogIndex(minIndex), sources: sources.map { ReplicaID($0) }))
    }

    private func offer(
        _ index: UInt64, term: UInt64 = 4, from: UInt64 = 2, sequence: UInt64 = 1,
        in sourceTerm: UInt64 = 4
    ) -> RaftMessage {
        message(
            .snapshotOffer(
                SnapshotTests.metadata(
                    index: index, term: term, source: from, sequence: sequence)),
            from: from, term: sourceTerm)
    }

    @Test func offersThatNobodyWantsOrThatAreOlderThanWhatIsThereAreRefused() throws {
        var raft = try follower()
        // Nobody has asked.
        #expect(raft.received(offer(20)).isEmpty)
        // What it has, it tells its leader, who guessed too low.
        let told = raft.received(needed(2))
        #expect(
            told.messages.map(\.kind) == [.appendResponse(.accepted(matchIndex: LogIndex(2)))])
        let asked = raft.received(needed(10))
        #expect(asked.messages.map(\.kind) == [.snapshotWanted(minIndex: LogIndex(10))])
        #expect(asked.messages.map(\.to) == [ReplicaID(2)])
        // Older than what was asked for.
        #expect(raft.received(offer(9)).isEmpty)
        #expect(raft.received(offer(12)).snapshotFetch?.index == LogIndex(12))
        // Repeated, or from another source too: one at a time.
        #expect(raft.received(offer(12)).isEmpty)
        #expect(raft.received(offer(14, from: 1)).isEmpty)
        #expect(raft.received(needed(13)).isEmpty)
        #expect(raft.checkInvariants() == [])
    }

    @Test func offersThatContradictThemselvesOrTheLogAreBreaches() throws {
        var raft = try follower()
        _ = raft.received(needed(10))
        var stolen = SnapshotTests.metadata(index: 12, term: 4, source: 1)
        stolen.configuration.index = LogIndex(3)
        var later = SnapshotTests.metadata(index: 12, term: 4)
        later.configuration.index = LogIndex(13)
        let cases: [RaftMessage.Kind] = [
            // Another replica's.
            .snapshotOffer(stolen),
            .snapshotOffer(later),
            // A committed entry of another term.
            .snapshotOffer(SnapshotTests.metadata(index: 2, term: 3)),
            // A term below that of committed entries, and one that its source has not reached.
            .snapshotOffer(SnapshotTests.metadata(index: 12, term: 0)),
            .snapshotOffer(SnapshotTests.metadata(index: 12, term: 5)),
        ]
        for kind in cases {
            let before = raft
            let effects = raft.received(message(kind, from: 2))
            guard case .malformedSnapshot(ReplicaID(2), _)? = effects.faults.first else {
                Issue.record("\(kind) is taken")
                continue
            }
            #expect(effects.snapshotFetch == nil)
            #expect(raft.checkInvariants(since: before) == [])
        }
    }

    @Test func theTermOfTheOfferIsDurableBeforeTheFetchBegins() throws {
        var raft = try follower()
        _ = raft.received(needed(10))
        // Committed perhaps in term 7: what this replica then knows to be committed, it must never
        // acknowledge to a leader of a term before.
        let effects = raft.received(offer(12, term: 6, in: 7))
        #expect(effects.snapshotFetch == nil)
        #expect(effects.append?.hardState?.term == Term(7))
        let then = raft.appended(try #require(effects.append).ticket)
        #expect(then.snapshotFetch?.index == LogIndex(12))
        let before = raft
        let installed = raft.snapshotEnded(then.snapshotFetch!.id, .installed)
        #expect(installed.append?.start?.replacesAll == true)
        #expect(raft.commitIndex == LogIndex(12) && raft.lastIndex == LogIndex(12))
        // Its old leader does not learn of it.
        #expect(installed.append?.messagesAfterDurable == [])
        #expect(raft.checkInvariants(since: before) == [])
    }

    @Test("An acknowledgement of work from before the installation says nothing about what follows")
    func aStaleAcknowledgementCountsForNothing() throws {
        var raft = try follower()
        let entry = LogEntry(
            term: Term(4), index: LogIndex(5), timestamp: HybridTimestamp(microseconds: 50),
            payload: .empty)
        _ = raft.received(needed(3))
        // A snapshot of another entry 4 takes the place of all.
        let fetched = try #require(raft.received(offer(4, term: 4)).snapshotFetch)
        // Meanwhile the log goes on, on a branch that is dead.
        let early = raft.received(
            message(
                .appendRequest(
                    AppendRequest(
                        previousIndex: LogIndex(4), previousTerm: Term(3), entries: [entry],
                        commitIndex: LogIndex(2))))
        ).append!.ticket
        let installed = raft.snapshotEnded(fetched.id, .installed)
        #expect(raft.lastIndex == LogIndex(4) && raft.durableIndex == LogIndex(4))
        var next = entry
        next.timestamp = HybridTimestamp(microseconds: 200)
        let then = raft.received(
            message(
                .appendRequest(
                    AppendRequest(
                        previousIndex: LogIndex(4), previousTerm: Term(4), entries: [next],
                        commitIndex: LogIndex(5)))))
        #expect(raft.commitIndex == LogIndex(5))
        _ = raft.appended(early)
        // Entry 5 is another one now, and not durable.
        #expect(raft.durableIndex == LogIndex(4))
        let late = raft.appended(installed.append!.ticket)
        #expect(raft.durableIndex == LogIndex(4) && late.committed.isEmpty)
        let done = raft.appended(then.append!.ticket)
        #expect(raft.durableIndex == LogIndex(5))
        #expect(done.committed.map(\.first) == [LogIndex(5)])
        #expect(raft.checkInvariants() == [])
    }

    @Test func nothingIsHandedOutFromTheSnapshotsPlaceOn() throws {
        var raft = try follower()
        _ = raft.received(needed(3))
        #expect(raft.received(offer(4, term: 3)).snapshotFetch != nil)
        // The log goes on to hold and to commit it.
        let effects = raft.received(
            message(
                .appendRequest(
                    AppendRequest(
                        previousIndex: LogIndex(4), previousTerm: Term(3), entries: [],
                        commitIndex: LogIndex(4)))))
        #expect(effects.committed.map(\.through) == [LogIndex(3)])
        let id = SnapshotID(source: ReplicaID(2), incarnation: 1, sequence: 1)
        let installed = raft.snapshotEnded(id, .installed)
        #expect(installed.append?.start?.replacesAll == false)
        #expect(installed.committed == [])
        // The state machine had applied what was handed out; late news of it changes nothing.
        _ = raft.applied(through: LogIndex(3))
        #expect(raft.appliedIndex == LogIndex(4) && raft.handedIndex == LogIndex(4))
        #expect(raft.checkInvariants() == [])
    }

    @Test func sourcesAreAskedInTurnAndAgain() throws {
        var raft = try follower()
        var asked = raft.received(needed(10, [2, 1])).messages.map(\.to)
        for _ in 0..<3 * RaftSettings().electionTimeoutTicks {
            _ = raft.received(
                message(.heartbeat(Heartbeat(commitIndex: LogIndex(2), round: 0))))
            for message in raft.ticked().messages {
                if case .snapshotWanted = message.kind { asked.append(message.to) }
            }
        }
        #expect(asked == [2, 1, 2, 1].map { ReplicaID($0) })
        // Once it has what was missing, it looks no further.
        var previous = LogIndex(4)
        for index: UInt64 in 5...10 {
            let entry = LogEntry(
                term: Term(4), index: LogIndex(index),
                timestamp: HybridTimestamp(microseconds: 100 + index), payload: .empty)
            _ = raft.received(
                message(
                    .appendRequest(
                        AppendRequest(
                            previousIndex: previous,
                            previousTerm: previous == LogIndex(4) ? Term(3) : Term(4),
                            entries: [entry], commitIndex: LogIndex(index)))))
            previous = LogIndex(index)
        }
        _ = raft.ticked()
        #expect(raft.received(offer(12)).snapshotFetch == nil)
    }
}
