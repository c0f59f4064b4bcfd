import Consensus
import Primitives
import Testing

/// Entries whose contents a disk has lost, after Protocol-Aware Recovery (Alagappan et al., FAST
/// '18): "the leader ... fixes the faulty log from redundant copies", here any replica does.
@Suite struct RepairTests {
    /// Nothing stays in memory, and little goes into one message.
    static let settings = RaftSettings(
        heartbeatTicks: 2, maxEntryBytesPerAppend: 80, cacheBytesMax: 0, maxHandoutBytes: 80,
        entriesKept: 100, entriesKeptForFollowers: 100)

    static func written(_ count: Int = 10, settings: RaftSettings = settings) -> Cluster {
        let cluster = Cluster(3, settings: settings)
        cluster.elect(1)
        SnapshotTests.write(count, to: cluster)
        return cluster
    }

    static func acknowledged(by id: Int, in cluster: Cluster) -> LogIndex? {
        cluster.sent.compactMap { message -> LogIndex? in
            guard message.from == cluster[id].id,
                case .appendResponse(.accepted(let index)) = message.kind
            else { return nil }
            return index
        }.max()
    }

    @Test func aFollowerAcknowledgesNothingFromItsDamageOnUntilItIsRepaired() {
        let cluster = Self.written()
        cluster.crash(3)
        cluster.damage(3, 4, 5, 9)
        cluster.sent = []
        cluster.cut = [(ReplicaID(3), ReplicaID(2))]
        cluster.start(3)
        // It asks replica 2 first, which does not hear it.
        cluster[1].diskIsStuck = true
        cluster.tick(1, times: 2)
        cluster.settle()
        cluster.propose("next", at: 1)
        cluster.settle()
        #expect(Self.acknowledged(by: 3, in: cluster)! < LogIndex(4))
        #expect(cluster.commands(at: 3) == ["0", "1"])
        cluster[1].diskIsStuck = false
        cluster.settle()
        cluster.tickAll(times: 6)
        #expect(cluster[3].disk.damaged.isEmpty)
        #expect(cluster.commands(at: 3).count == 11)
        #expect(Self.acknowledged(by: 3, in: cluster) == cluster.raft(1).lastIndex)
        #expect(cluster.checker.violations == [])
    }

    @Test func itVotesAndDoesNotCampaign() {
        let cluster = Self.written()
        for id in 1...3 { cluster.crash(id) }
        cluster.damage(1, 6)
        cluster.start(1)
        cluster.tick(1, times: 5 * Self.settings.electionTimeoutTicks)
        #expect(cluster.raft(1).role == .follower)
        #expect(cluster.raft(1).lastIndex == LogIndex(11))
        cluster.network = []
        cluster.cut = [(ReplicaID(1), ReplicaID(2))]
        cluster.start(2)
        cluster.settle()
        #expect(cluster[1].disk.damaged == [LogIndex(6)])
        cluster.heal()
        // Its vote elects replica 2, which has what it lacks.
        cluster.elect(2)
        cluster.tickAll(times: 4)
        #expect(cluster[1].disk.damaged.isEmpty)
        #expect(cluster.commands(at: 1).count == 10)
        #expect(cluster.checker.violations == [])
    }

    @Test("Chunks are bounded, and one answer leads to the next question")
    func aLongDamageComesBackInPieces() {
        let cluster = Self.written(0)
        for _ in 0..<40 {
            cluster.propose(String(repeating: "x", count: 30), at: 1)
            cluster.settle()
        }
        cluster.crash(3)
        cluster.damage(3, 2, 3, 4, 5, 6, 7, 8, 9, 20, 30, 31)
        cluster.sent = []
        cluster.start(3)
        cluster.settle()
        #expect(cluster[3].disk.damaged.isEmpty)
        let answers = cluster.sent.compactMap { message -> Int? in
            guard case .entriesFound(let entries) = message.kind else { return nil }
            return entries.count
        }
        #expect(answers == [2, 2, 2, 2, 1, 2])
        #expect(cluster.checker.violations == [])
    }

    @Test func aLeaderGoesOnWithWhatItHas() {
        let cluster = Self.written()
        cluster.isolate(3)
        SnapshotTests.write(6, to: cluster)
        for peer in [ReplicaID(2), ReplicaID(3)] { cluster.cut.append((ReplicaID(1), peer)) }
        // Rot beneath entries that replica 3 still needs, and nobody answers.
        cluster.damage(1, 13)
        cluster.cut = []
        cluster.network = []
        cluster[2].diskIsStuck = true
        cluster.tickAll(times: 4)
        #expect(cluster.raft(1).role == .leader)
        #expect(cluster.commands(at: 1).count == 16)
        let sent = ReplicationTests.appends(to: 3, in: cluster).flatMap(\.entries).map(\.index)
        #expect(sent.max()! >= LogIndex(13))
        // The copy of replica 2 is read once its disk answers.
        cluster[2].diskIsStuck = false
        cluster.tickAll(times: 6)
        #expect(cluster[1].disk.damaged.isEmpty)
        #expect(cluster.commands(at: 3).count == 16)
        #expect(cluster.checker.violations == [])
    }

    @Test func whatIsInMemoryRepairsItself() {
        let cluster = Self.written(settings: RaftSettings(heartbeatTicks: 2))
        for other in 2...3 { cluster.isolate(other) }
        cluster.damage(1, 5, 6)
        cluster.settle()
        #expect(cluster[1].disk.damaged.isEmpty)
        #expect(cluster.checker.reached["entries found"] == nil)
        #expect(cluster.checker.violations == [])
    }

    @Test func aHandoutThatMeetsRotIsReadAgainOnceRepaired() {
        let cluster = Self.written()
        cluster[2].durablyApplied = 3
        cluster.crash(2)
        cluster.start(2)
        cluster[2].applyIsStuck = true
        cluster.tickAll(times: 2)
        #expect(cluster[2].handed.first?.entries == nil)
        cluster.isolate(2)
        cluster.damage(2, 7)
        cluster[2].applyIsStuck = false
        cluster.settle()
        #expect(cluster.checker.reached["handout waits for a repair"]! > 0)
        #expect(cluster[2].applied.count == 3)
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster.commands(at: 2).count == 10)
        #expect(cluster.checker.violations == [])
    }

    @Test func damageThatALaterLeaderReplacesIsGone() {
        let cluster = Self.written()
        cluster.isolate(1)
        cluster.propose("lost", at: 1)
        cluster.sync(1)
        cluster.crash(1)
        cluster.damage(1, 12)
        cluster.elect(2)
        cluster.propose("kept", at: 2)
        cluster.settle()
        cluster.heal()
        cluster.start(1)
        cluster.tickAll(times: 4)
        #expect(cluster[1].disk.damaged.isEmpty)
        #expect(cluster.commands(at: 1).last == "kept")
        #expect(cluster.checker.reached["entries repaired"] == nil)
        #expect(cluster.checker.violations == [])
    }

    @Test func anOperatorHearsOfDamageThatNobodySupplies() {
        let cluster = Self.written()
        cluster.isolate(3)
        cluster.damage(3, 4, 6)
        cluster.tickAll(times: Self.settings.electionTimeoutTicks + 1)
        let alarm = Alarm.entriesDamaged(first: LogIndex(4), through: LogIndex(6))
        #expect(cluster[3].alarms == [.raised(alarm)])
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster[3].alarms == [.raised(alarm), .lowered(alarm)])
        #expect(cluster.checker.violations == [])
    }

    @Test func damageBehindTheDurableStateIsCutOffWhenNobodyHasItAnyMore() {
        let cluster = Self.written()
        cluster.isolate(3)
        cluster.persist(3)
        cluster.damage(3, 4)
        cluster.tickAll(times: Self.settings.electionTimeoutTicks + 1)
        cluster.settle()
        #expect(cluster.raft(3).firstIndex == LogIndex(5))
        #expect(cluster[3].disk.damaged.isEmpty)
        #expect(cluster.checker.violations == [])
    }

    @Test func damageThatAllOthersHaveForgottenComesBackAsASnapshot() {
        var settings = Self.settings
        (settings.entriesKept, settings.entriesKeptForFollowers) = (2, 2)
        settings.truncationBatch = 1
        let cluster = Self.written(settings: settings)
        cluster.crash(3)
        cluster.damage(3, 4)
        for id in 1...2 { cluster.persist(id) }
        cluster.settle()
        #expect(cluster.raft(1).firstIndex == LogIndex(10))
        cluster.start(3)
        cluster.tickAll(times: 2 * settings.electionTimeoutTicks)
        #expect(cluster.commands(at: 3).count == 10)
        #expect(cluster[3].disk.damaged.isEmpty)
        #expect(cluster.raft(3).firstIndex > LogIndex(4))
        #expect(cluster.checker.reached["snapshot installed"] == 1)
        #expect(cluster.checker.violations == [])
    }

    @Test func contentsThatContradictThemselvesAreRefused() throws {
        let disk = ReplicationTests.disk(terms: [1, 1, 1])
        var restored = RestoredState(
            hardState: disk.hardState, configuration: Cluster(3).configuration,
            log: disk.summary, appliedIndex: .zero, incarnation: 1)
        restored.damaged = [LogIndex(1)...LogIndex(2)]
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(1), settings: RaftSettings(),
            restored: restored, seed: 1)
        func found(_ entries: [LogEntry]) -> Effects {
            raft.received(
                RaftMessage(
                    group: raft.group, from: ReplicaID(2), to: raft.replica, term: .zero,
                    kind: .entriesFound(entries)))
        }
        var effects = found([disk.entries[1], disk.entries[0]])
        #expect(effects.faults == [.malformedRepair(from: ReplicaID(2), at: LogIndex(1))])
        var old = disk.entries[1]
        old.timestamp = disk.entries[0].timestamp
        effects = found([disk.entries[0], old])
        #expect(effects.faults == [.malformedRepair(from: ReplicaID(2), at: LogIndex(2))])
        // Of another term it is another entry: late, or for somebody else.
        var other = disk.entries[0]
        other.term = Term(7)
        effects = found([other])
        #expect(effects.faults.isEmpty && effects.append == nil)
        effects = found([disk.entries[0]])
        #expect(effects.append?.repaired == [disk.entries[0]])
        // And it asks for the rest.
        #expect(
            effects.messages.map(\.kind) == [
                .entriesWanted([
                    WantedEntries(first: LogIndex(2), through: LogIndex(2), term: Term(1))
                ])
            ])
        #expect(raft.checkInvariants() == [])
    }

    @Test func aVoteThatIsUnknownIsSpent() throws {
        var restored = RestoredState(
            hardState: HardState(term: Term(4)), configuration: Cluster(3).configuration,
            log: .empty, appliedIndex: .zero, incarnation: 1)
        restored.voteIsUnknown = true
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(1),
            settings: RaftSettings(registersStarts: false),
            restored: restored, seed: 1)
        // Durably, so that a second crash does not free it.
        let work = raft.started().append
        #expect(work?.hardState?.vote == ReplicaID(1))
        _ = raft.appended(work!.ticket)
        func answer(term: UInt64) -> RaftMessage.Kind? {
            let request = VoteRequest(lastIndex: LogIndex(9), lastTerm: Term(4))
            return raft.received(
                RaftMessage(
                    group: raft.group, from: ReplicaID(2), to: raft.replica, term: Term(term),
                    kind: .voteRequest(request))
            ).append?.messagesAfterDurable.first?.kind
        }
        #expect(answer(term: 4) == nil)
        #expect(raft.vote == ReplicaID(1))
        #expect(answer(term: 5) == .voteResponse(granted: true))
    }
}
