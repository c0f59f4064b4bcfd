import Primitives

/// What a replica finds on its disk at the start. Everything in it is durable.
package struct RestoredState: Hashable, Sendable {
    package var hardState: HardState
    /// Ascending. The first is in force where the log begins (the bootstrap's at index zero, or the
    /// address book of a replica that joins, which does not name it); the others are those that the
    /// log holds.
    package var configurations: [ConfigurationEntry]
    package var log: LogSummary
    /// What the state machine has durably applied; committed entries are handed out from the next.
    /// A log that begins further behind has nothing to hand out before a snapshot has come.
    package var appliedIndex: LogIndex
    /// The configuration in force at `appliedIndex`, as the state machine remembers it; at index zero
    /// when it has applied none. Nil when it does not say.
    package var appliedConfiguration: ConfigurationEntry?
    /// At or above the stamps of all that is applied.
    package var appliedTimestamp: HybridTimestamp = .zero
    /// Counts this replica's starts, strictly rising.
    package var incarnation: UInt64
    /// What this replica remembers of others.
    package var peers: [PeerRecord] = []
    /// Some of that is lost: of a replica there may be no record, or an earlier one.
    package var peersAreIncomplete = false
    /// Entries whose contents the log has lost; their terms are known. Ascending, apart. Among them
    /// may be configurations, which `configurations` then lacks (`UnreadConfigurations`).
    package var damaged: [ClosedRange<LogIndex>] = []
    /// The vote of `hardState.term` is lost: it counts as given to somebody else.
    package var voteIsUnknown = false
    /// The log may have forgotten something, and nothing says what. Its replica is quarantined, and
    /// that the log lacks what was committed, applied or voted in says nothing more.
    package var logIsUntrusted = false
    /// The state machine's state is gone or damaged: `appliedIndex` is what it had been, or zero,
    /// and a snapshot takes its place unless the log still begins with entry 1.
    package var stateIsLost = false
    /// The snapshot that the state machine was last made of, as `Effects.snapshotFetch` named it. When
    /// a crash came between its installation and the log's new beginning, the log begins anew now;
    /// without it such a replica could not be told from one whose log was lost, or would take what
    /// its log holds in that place for committed. Whoever installs snapshots says it at each start.
    package var installedSnapshot: SnapshotMetadata?
    /// This seat is a witness's. Said by whoever gave it out, since a replica that joins gets
    /// entries before the one that names it.
    package var isWitness = false

    package init(
        hardState: HardState, configurations: [ConfigurationEntry], log: LogSummary,
        appliedIndex: LogIndex, incarnation: UInt64
    ) {
        self.hardState = hardState
        self.configurations = configurations
        self.log = log
        self.appliedIndex = appliedIndex
        self.incarnation = incarnation
    }

    /// Of a group that has only its bootstrap's configuration.
    package init(
        hardState: HardState, configuration: Configuration, log: LogSummary,
        appliedIndex: LogIndex, incarnation: UInt64
    ) {
        self.init(
            hardState: hardState,
            configurations: [ConfigurationEntry(index: .zero, configuration: configuration)],
            log: log, appliedIndex: appliedIndex, incarnation: incarnation)
    }
}

extension RestoredState {
    /// The snapshot behind which the log was to begin when the process stopped.
    func interruptedInstall(of terms: LogTerms) -> SnapshotMetadata? {
        guard let snapshot = installedSnapshot, !stateIsLost, snapshot.index == appliedIndex,
            snapshot.index >= terms.baseIndex, terms.term(at: snapshot.index) != snapshot.term
        else { return nil }
        return snapshot
    }
}

/// Where the log begins and ends, and the term of every entry between: enough to answer
/// `term(at:)` without reading the disk.
package struct LogSummary: Hashable, Sendable {
    /// The first entry that the log still holds; one above `lastIndex` when it holds none.
    package var firstIndex: LogIndex
    package var lastIndex: LogIndex
    /// The term of the entry before `firstIndex`; zero when that is index zero.
    package var termBeforeFirst: Term
    /// One per term in the log, ascending in both fields; the first begins at `firstIndex`.
    package var termRuns: [TermRun]
    /// The highest stamp in the log, or of what was removed before it; zero when there was none.
    package var lastTimestamp: HybridTimestamp

    package init(
        firstIndex: LogIndex, lastIndex: LogIndex, termBeforeFirst: Term, termRuns: [TermRun],
        lastTimestamp: HybridTimestamp
    ) {
        self.firstIndex = firstIndex
        self.lastIndex = lastIndex
        self.termBeforeFirst = termBeforeFirst
        self.termRuns = termRuns
        self.lastTimestamp = lastTimestamp
    }

    /// A log that never held an entry.
    package static let empty = LogSummary(
        firstIndex: LogIndex(1), lastIndex: .zero, termBeforeFirst: .zero, termRuns: [],
        lastTimestamp: .zero)
}

/// Why a restored state cannot be trusted: the disk broke its contract. Such a replica must
/// neither vote nor serve.
package enum RestoreFailure: Error, Hashable, Sendable {
    /// The log's bounds or term runs contradict each other.
    case inconsistentLog(LogSummary)
    /// The log holds a term that the hard state has not reached.
    case logAheadOfTerm(lastTerm: Term, term: Term)
    /// The commit index was known and the entries were durable; now they are missing.
    case committedEntriesMissing(commitIndex: LogIndex, lastIndex: LogIndex)
    /// The state machine holds what the log does not.
    case appliedAheadOfLog(appliedIndex: LogIndex, lastIndex: LogIndex)
    /// No voter at all.
    case noVoters
    /// Configurations out of order, or behind the log's end.
    case inconsistentConfigurations
}
