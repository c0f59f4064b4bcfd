import Primitives

/// A replica's log as consensus sees it: terms of all entries, the recent ones themselves, and how
/// far it is durable, committed, handed out and applied.
struct RaftLog: Sendable {
    private(set) var terms: LogTerms
    private(set) var cache: EntryCache
    /// At or above every stamp in the log. Not lowered by a truncation.
    private(set) var lastTimestamp: HybridTimestamp
    private(set) var commitIndex: LogIndex
    /// What storage has acknowledged, as far as it still is in the log.
    private(set) var durableIndex: LogIndex
    private(set) var handedIndex: LogIndex
    private(set) var appliedIndex: LogIndex
    /// Where a restart would find the state machine, as far as it has said.
    private(set) var persistedIndex: LogIndex
    private(set) var damage = Damage()
    /// A snapshot of this index may take the state machine's place any moment: nothing is handed out
    /// from there on, lest the state go back.
    var handoutCeiling: LogIndex?
    private(set) var appendsInFlight = Queue<AppendInFlight>()
    /// Where each handout ends that has not been applied.
    private(set) var handouts = Queue<LogIndex>()

    /// What becomes durable with a ticket.
    struct AppendInFlight: Hashable, Sendable {
        let ticket: AppendTicket
        /// The log's end when the work was issued, lowered when entries below it are replaced: an
        /// acknowledgement then says nothing about what took their place.
        var end: LogIndex
    }

    init(_ restored: RestoredState) throws(RestoreFailure) {
        terms = try LogTerms(restored.log)
        for range in restored.damaged { damage.insert(range) }
        if let snapshot = restored.interruptedInstall(of: terms) {
            terms.restart(behind: snapshot.index, term: snapshot.term)
            damage.removeAll()
        }
        let last = terms.lastIndex
        damage.forget(through: terms.baseIndex)
        damage.truncate(from: last.next)
        var restored = restored
        if restored.logIsUntrusted {
            // Its end may lie anywhere, and its entries may have been replaced since: what the disk
            // says to be committed need not be what stands in this log. Nothing of it is handed out.
            restored.appliedIndex = min(restored.appliedIndex, last)
            restored.hardState.commitIndex = restored.appliedIndex
        }
        guard restored.appliedIndex <= last else {
            throw .appliedAheadOfLog(appliedIndex: restored.appliedIndex, lastIndex: last)
        }
        guard restored.hardState.commitIndex <= last else {
            throw .committedEntriesMissing(
                commitIndex: restored.hardState.commitIndex, lastIndex: last)
        }
        cache = EntryCache(nextIndex: last.next)
        // The entry with the highest stamp may be among those that cannot be read.
        lastTimestamp = max(
            restored.log.lastTimestamp, restored.installedSnapshot?.timestamp ?? .zero,
            restored.appliedTimestamp)
        // What was applied, or removed, was committed, whatever the hint says.
        commitIndex = max(
            restored.hardState.commitIndex, restored.appliedIndex, terms.baseIndex)
        durableIndex = last
        appliedIndex = restored.stateIsLost ? .zero : restored.appliedIndex
        handedIndex = appliedIndex
        persistedIndex = appliedIndex
    }

    var firstIndex: LogIndex { terms.firstIndex }
    var lastIndex: LogIndex { terms.lastIndex }
    var lastTerm: Term { terms.lastTerm }
    func term(at index: LogIndex) -> Term? { terms.term(at: index) }

    /// "If the logs have last entries with different terms, then the log with the later term is
    /// more up-to-date. If the logs end with the same term, then whichever log is longer is more
    /// up-to-date." (thesis §3.6.1)
    func isUpToDate(_ candidate: VoteRequest) -> Bool {
        #if PlantedBugs
            if PlantedBug.active == .votesForAShorterLog { return candidate.lastTerm >= lastTerm }
        #endif
        return (candidate.lastTerm, candidate.lastIndex) >= (lastTerm, lastIndex)
    }

    mutating func append(_ entry: LogEntry) {
        terms.append(term: entry.term)
        cache.append(entry)
        lastTimestamp = max(lastTimestamp, entry.timestamp)
    }

    mutating func truncate(from index: LogIndex) {
        precondition(index > commitIndex, "truncating from \(index), committed \(commitIndex)")
        terms.truncate(from: index)
        cache.truncate(from: index)
        durableIndex = min(durableIndex, index.previous)
        damage.truncate(from: index)
        #if PlantedBugs
            if PlantedBug.active == .staleAcknowledgementCounts { return }
        #endif
        for position in 0..<appendsInFlight.count {
            appendsInFlight[position].end = min(appendsInFlight[position].end, index.previous)
        }
    }

    mutating func issued(_ ticket: AppendTicket) {
        appendsInFlight.append(AppendInFlight(ticket: ticket, end: lastIndex))
    }

    mutating func acknowledged(_ ticket: AppendTicket) {
        while let oldest = appendsInFlight.first, oldest.ticket <= ticket {
            durableIndex = max(durableIndex, oldest.end)
            appendsInFlight.popFirst()
        }
        damage.acknowledged(ticket)
    }

    mutating func commit(through index: LogIndex) {
        precondition(index <= lastIndex, "commit \(index) beyond \(lastIndex)")
        commitIndex = max(commitIndex, index)
    }

    /// Only what is durable here: a state machine ahead of its own log could not be told from one
    /// whose log was lost.
    var handoutLimit: LogIndex {
        #if PlantedBugs
            if PlantedBug.active == .handsOutBeforeItIsDurable { return commitIndex }
        #endif
        return min(commitIndex, durableIndex)
    }

    mutating func nextHandout(_ settings: RaftSettings) -> CommittedRange? {
        guard !needsSnapshot, handouts.count < settings.maxHandoutsInFlight else { return nil }
        let first = handedIndex.next
        var handoutLimit = handoutLimit
        if let lost = damage.first(from: first) { handoutLimit = min(handoutLimit, lost.previous) }
        if let ceiling = handoutCeiling { handoutLimit = min(handoutLimit, ceiling.previous) }
        guard first <= handoutLimit else { return nil }
        let range: CommittedRange
        if first < cache.firstIndex {
            let through = min(handoutLimit, cache.firstIndex.previous)
            range = CommittedRange(first: first, through: through, entries: nil)
        } else {
            let entries = cache.slice(
                from: first, through: handoutLimit, maxBytes: settings.maxHandoutBytes
            ).entries
            range = CommittedRange(
                first: first, through: handedIndex + UInt64(entries.count), entries: entries)
        }
        handedIndex = range.through
        handouts.append(range.through)
        return range
    }

    /// There is no state machine: what could be handed out counts as applied.
    mutating func skipHandouts() {
        handedIndex = max(handedIndex, handoutLimit)
        appliedIndex = handedIndex
    }

    mutating func applied(through index: LogIndex) {
        precondition(index <= handedIndex, "applied \(index), handed out \(handedIndex)")
        appliedIndex = max(appliedIndex, index)
        while let end = handouts.first, end <= appliedIndex { handouts.popFirst() }
    }

    mutating func persisted(through index: LogIndex) {
        precondition(index <= handedIndex, "persisted \(index), handed out \(handedIndex)")
        persistedIndex = max(persistedIndex, index)
    }

    mutating func evict(_ settings: RaftSettings) {
        cache.evict(toBytes: settings.cacheBytesMax, through: handoutLimit)
    }
}

// Where a log begins: behind what was truncated, or behind a snapshot.
extension RaftLog {
    /// The state machine is behind the log's first entry: only a snapshot brings it on.
    var needsSnapshot: Bool { appliedIndex < terms.baseIndex }

    /// Removes the entries up to `index`, which is applied.
    mutating func forget(through index: LogIndex) {
        precondition(
            index <= min(commitIndex, durableIndex),
            "forgetting through \(index), committed \(commitIndex), durable \(durableIndex)")
        terms.forget(through: index)
        cache.forget(through: index)
        damage.forget(through: index)
    }

    /// What a snapshot holds is committed and, with the state machine, durable, whether the log
    /// holds it or not.
    ///
    /// - Returns: whether the log holds the snapshot's place, and therefore all before it, too: what
    ///   it holds behind it stays.
    mutating func covered(by snapshot: SnapshotMetadata) -> Bool {
        guard term(at: snapshot.index) == snapshot.term else { return false }
        commitIndex = max(commitIndex, snapshot.index)
        durableIndex = max(durableIndex, snapshot.index)
        return true
    }

    /// The state machine durably is what the snapshot holds: the log begins behind it.
    mutating func begin(behind snapshot: SnapshotMetadata, keepsSuffix: Bool) {
        let index = snapshot.index
        precondition(index >= handedIndex, "a snapshot of \(index), handed out \(handedIndex)")
        if keepsSuffix {
            if index > terms.baseIndex { forget(through: index) }
        } else {
            terms.restart(behind: index, term: snapshot.term)
            cache.restart(at: index.next)
            damage.removeAll()
            commitIndex = index
            durableIndex = index
            // Work in flight was about entries that are gone.
            for position in 0..<appendsInFlight.count {
                appendsInFlight[position].end = min(appendsInFlight[position].end, index)
            }
        }
        lastTimestamp = max(lastTimestamp, snapshot.timestamp)
        handouts.removeAll()
        (handedIndex, appliedIndex, persistedIndex) = (index, index, index)
        handoutCeiling = nil
    }

    /// A stamp at or above those of all entries up to `index`.
    func timestamp(through index: LogIndex) -> HybridTimestamp {
        cache.holds(index) ? cache[index].timestamp : lastTimestamp
    }
}

// Entries whose contents the disk has lost: see also RaftLog+Damage.swift.
extension RaftLog {
    /// The disk has lost the contents of these entries.
    ///
    /// - Returns: whether any of them still is in the log.
    mutating func lost(_ indexes: ClosedRange<LogIndex>) -> Bool {
        guard let inLog = indexes.part(above: terms.baseIndex)?.part(below: lastIndex.next) else {
            return false
        }
        damage.insert(inLog)
        return true
    }

    mutating func supplied(_ entry: LogEntry, with ticket: AppendTicket) {
        damage.supplied(entry.index, with: ticket)
        lastTimestamp = max(lastTimestamp, entry.timestamp)
    }
}
