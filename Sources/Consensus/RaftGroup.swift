import Primitives

/// One replica of one Raft group, as a value: each method tells it what happened, and the `Effects`
/// that it returns say what to do, and what must be durable before what. It follows Ongaro's thesis
/// ("Consensus: Bridging Theory and Practice", 2014); PreVote (§9.6) and CheckQuorum (§6.2) are
/// always on. It reads no clock, draws no chance of its own and performs no input or output, so the
/// same events from the same seed give the same effects.
///
/// Invariants, checked by `checkInvariants(since:)`; "durable" means acknowledged by `appended`:
///
/// 1. `appliedIndex ≤ handedIndex ≤ min(commitIndex, durableIndex)`, and
///    `firstIndex - 1 ≤ commitIndex, durableIndex ≤ lastIndex`. Either `firstIndex - 1 ≤
///    appliedIndex`, or a snapshot is needed and nothing is handed out.
/// 2. Terms never fall along the log, and none is above `term`.
/// 3. The cache ends with the log, agrees with the log's terms, has strictly rising stamps that do
///    not exceed `lastTimestamp`, and holds every entry that is not durable.
/// 4. The cache exceeds its limit only by entries that are not yet both committed and durable.
/// 5. At most one of candidacy and leadership exists. Whoever campaigns for votes or leads has
///    voted for itself; `leader` is this replica exactly when it leads.
/// 6. Leader: `matchIndex < nextIndex` and `matchIndex ≤ lastIndex` for every other member, and
///    nothing is in flight but while replicating. To whom a snapshot is needed, `nextIndex` is in
///    the log's reach when it was told.
/// 7. Leader: appends in flight never exceed their count, nor their bytes by more than one message.
/// 8. Leader: what is committed is durable at a quorum, as soon as the term has committed: of the
///    configuration in force, or while this one is not committed, of the one before.
/// 9. Appends in flight to storage have rising tickets and ends not above the log's.
/// 10. Reads waiting never exceed their limit; a leader's are ordered by round, and no round beyond
///     the next is asked for.
/// 15. Configurations ascend; the first is in force where the log begins, the others are in the log,
///     and each follows from the one before it by one legal step.
/// 16. Whoever campaigns or leads is no witness, and a voter of the configuration in force or of one
///     that may yet come back into force.
/// 17. Leader: there is `Progress` for exactly the other members, and for some that were members and
///     are leaving. As soon as the term has committed, at most one change of voters is not committed.
/// 18. A witness hands nothing out and holds no command.
/// 19. Leader: what is committed is durable in as many zones as the rule asks for, as soon as the term
///     and the configuration that states the rule are committed.
/// 20. Whoever campaigns or leads is trusted; a quarantined replica follows nobody.
/// 21. A transfer ends within an election timeout. Once its target may have been told to campaign,
///     its leader holds no lease for the rest of the term.
/// 22. Lease rounds that await their quorum never exceed their limit.
/// 23. Whoever sleeps knows its leader, all that it has is durable, committed and handed out, and
///     nobody waits for a read.
/// 24. There is at most one record of each other member, and none of this replica.
/// 27. Who is trusted has been told of no committed entry as of which it is no member, but for one
///     behind which a log that holds it names it.
/// 30. What the log no longer holds is in the state machine's durable state: `firstIndex - 1 ≤
///    persistedIndex`, or a snapshot is needed. It is not beyond the place of a snapshot in making.
///    It never comes to begin where the configuration in force is not known.
/// 31. A snapshot that may be installed any moment takes nothing back: nothing is handed out from its
///    place on. It is looked for with at least one source in turn.
/// 32. Damaged entries are in the log and durable; their ranges are apart and bounded. Nobody with
///    damage campaigns, but for damage to what is applied in a log that is kept whole.
/// 33. Leader: whoever needs a snapshot needs entries that have gone from the log.
///
/// Between an earlier moment and a later one:
///
/// 11. `term`, `commitIndex`, `appliedIndex` and `handedIndex` never fall.
/// 12. Within a term a vote is given once and not changed, and the leader, once known, is not
///     replaced by another.
/// 13. The terms of entries up to the earlier commit index stay as they were.
/// 34. `firstIndex` and `persistedIndex` never fall.
/// 14. Leader Append-Only: while a replica leads a term, its log only grows (thesis §3.4).
/// 25. No part of a record falls.
/// 26. A replica that is trusted is not asked to register again, and one that is quarantined stays so.
package struct RaftGroup: Sendable {
    package let group: GroupID
    package let replica: ReplicaID
    package let settings: RaftSettings
    /// The one in force where the log begins, and all that the log holds: the last is in force.
    var configurations: [ConfigurationEntry]
    /// Another configuration may be in force than when the event began.
    var configurationsTouched = false
    var announcedConfiguration: ConfigurationEntry
    /// Stores no commands, leads never (`Member.isWitness`).
    package let isWitness: Bool
    var zoneAlarms = ZoneAlarms()

    package internal(set) var term: Term
    /// Whom this replica voted for in `term`.
    package internal(set) var vote: ReplicaID?
    /// The leader of `term`, as far as known.
    package internal(set) var leader: ReplicaID?
    var log: RaftLog
    var candidacy: Candidacy?
    var leadership: Leadership?
    var forwarded = ForwardedReads()
    var transfer: Transfer?
    /// The tick from which this replica may hand over to a preferred voter.
    var nextHandover: UInt64 = 0

    package internal(set) var standing: Standing
    var ownStart: OwnStart
    var peerMemory: PeerMemory
    /// The tick at which records were last written along.
    var recordsWrittenAt: UInt64 = 0
    /// Members for which an alarm is raised.
    var alarmedMembers: [ReplicaID] = []

    /// Nothing is to be done until something happens (`isHibernating`).
    var isAsleep = false
    /// The latest reading that was handed in.
    var clock: MonotonicTime?
    /// With leases: the tick until which no vote is given. Covers what was promised before a start.
    var promisedUntil: UInt64
    var snapshots = SnapshotTraffic()
    var repair = Repair()
    /// Entries damaged at the start that `configurations` may lack.
    var unread: UnreadConfigurations
    /// Entries that the start found damaged, repaired meanwhile or not.
    let damagedAtStart: [ClosedRange<LogIndex>]

    let incarnation: UInt64
    /// Since the start.
    var ticks: UInt64 = 0
    /// Ticks since a leader was heard, a vote granted, or a campaign begun.
    var electionElapsed = 0
    /// The wait in force, drawn anew for each campaign and each change of role.
    var electionWait = 0
    var generator: SeededGenerator

    /// What the event in progress has led to so far.
    var effects = Effects()
    var work = PendingWork()
    var nextTicket = AppendTicket(1)
    var nextFetch: UInt64 = 1
    var announced: RoleChange
    /// The last slice taken for an append, which followers in step share.
    var sharedSlice: SharedSlice?

    /// The parts of an `AppendWork`.
    struct PendingWork: Sendable {
        var start: LogStart?
        var repaired: [LogEntry] = []
        var writesHardState = false
        var replacedFrom: LogIndex?
        var entries: [LogEntry] = []
        var peers: [PeerRecord] = []
        var messages: [RaftMessage] = []

        var writesNothing: Bool {
            start == nil && repaired.isEmpty && !writesHardState && replacedFrom == nil
                && entries.isEmpty && peers.isEmpty
        }
    }

    struct SharedSlice: Sendable {
        let first: LogIndex
        let entries: [LogEntry]
        let bytes: Int
    }

    /// A replica starts as a follower that knows no leader. Call `started()` next.
    ///
    /// - Parameter seed: of the randomised election timeouts, and of what tells two starts apart;
    ///   differs between replicas, and between the starts of one.
    /// - Throws: `RestoreFailure` when the parts of the disk contradict each other, and the log does
    ///   not say itself that it has forgotten something: such a replica starts, in quarantine.
    package init(
        group: GroupID, replica: ReplicaID, settings: RaftSettings, restored: RestoredState,
        seed: UInt64
    ) throws(RestoreFailure) {
        guard restored.configurations.allSatisfy({ !$0.configuration.voters.incoming.isEmpty }),
            !restored.configurations.isEmpty
        else { throw .noVoters }
        var log = try RaftLog(restored)
        // Who knows to have forgotten something may have forgotten its term.
        guard log.lastTerm <= restored.hardState.term || restored.logIsUntrusted else {
            throw .logAheadOfTerm(lastTerm: log.lastTerm, term: restored.hardState.term)
        }
        let interrupted = restored.interruptedInstall(of: try LogTerms(restored.log))
        var configurations = try restored.configurations(lostFrom: log.damage)
        if let interrupted { configurations = [interrupted.configuration] }
        guard configurations[0].index <= log.firstIndex.previous,
            configurations[configurations.count - 1].index <= log.lastIndex,
            zip(configurations, configurations.dropFirst()).allSatisfy({ $0.index < $1.index })
        else { throw .inconsistentConfigurations }
        self.group = group
        self.replica = replica
        self.settings = settings
        isWitness =
            restored.isWitness
            || configurations.contains {
                $0.configuration.member(replica)?.isWitness ?? false
            }
        if isWitness { log.skipHandouts() }
        self.log = log
        self.configurations = configurations
        announcedConfiguration = configurations[configurations.count - 1]
        term = max(restored.hardState.term, log.lastTerm)
        // A replica that does not know for whom it voted must not vote again. A vote for itself
        // keeps it from that: it campaigns in later terms only.
        let voteIsUnknown = restored.voteIsUnknown || term > restored.hardState.term
        vote = voteIsUnknown ? replica : restored.hardState.vote
        unread = UnreadConfigurations(log.damage, restored)
        damagedAtStart = log.damage.wanted
        incarnation = restored.incarnation
        generator = SeededGenerator(seed: seed)
        var startGenerator = SeededGenerator(seed: ~seed)
        ownStart = OwnStart(
            registration: Registration(
                incarnation: restored.incarnation, start: startGenerator.next(),
                term: term, lastIndex: log.lastIndex, lastTerm: log.lastTerm),
            wasQuarantined: restored.peers.contains {
                $0.replica == replica && $0.incarnation == PeerRecord.quarantined
            })
        #if PlantedBugs
            let isUntrusted = restored.logIsUntrusted && PlantedBug.active != .untrustedLogVotes
        #else
            let isUntrusted = restored.logIsUntrusted
        #endif
        if isUntrusted || ownStart.wasQuarantined {
            standing = .quarantined
        } else {
            standing = settings.registersStarts ? .registering : .trusted
            #if PlantedBugs
                if PlantedBug.active == .startsUnregistered { standing = .trusted }
            #endif
        }
        peerMemory = PeerMemory(
            restored.peers.filter { $0.replica != replica },
            isIncomplete: restored.peersAreIncomplete)
        promisedUntil = UInt64(settings.electionTimeoutTicks)
        announced = RoleChange(role: .follower, term: term, leader: nil)
        work.writesHardState = voteIsUnknown
        if let snapshot = interrupted {
            work.start = LogStart(
                index: snapshot.index, term: snapshot.term, timestamp: snapshot.timestamp,
                inForce: snapshot.configuration, replacesAll: true)
        }
        restartElectionWait()
    }

    package var role: Role {
        if leadership != nil { return .leader }
        switch candidacy?.stage {
        case .preVote: return .preCandidate
        case .vote: return .candidate
        case nil: return .follower
        }
    }

    /// In force: the newest in the log, committed or not (thesis §4.1).
    package var configuration: Configuration {
        configurations[configurations.count - 1].configuration
    }
    package var configurationIndex: LogIndex { configurations[configurations.count - 1].index }
    package var commitIndex: LogIndex { log.commitIndex }
    package var appliedIndex: LogIndex { log.appliedIndex }
    /// The last entry handed out in `Effects.committed`.
    package var handedIndex: LogIndex { log.handedIndex }
    package var firstIndex: LogIndex { log.firstIndex }
    package var lastIndex: LogIndex { log.lastIndex }
    package var durableIndex: LogIndex { log.durableIndex }
    /// Nil before `firstIndex - 1` and behind `lastIndex`.
    package func term(at index: LogIndex) -> Term? { log.term(at: index) }
    /// A leader that has committed an entry of its term: it knows the group's commit index.
    package var hasCommittedInTerm: Bool {
        leadership.map { log.commitIndex >= $0.openingIndex } ?? false
    }
}
