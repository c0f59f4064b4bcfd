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
        let last = terms.lastIndex
        guard restored.appliedIndex <= last else {
            throw .appliedAheadOfLog(appliedIndex: restored.appliedIndex, lastIndex: last)
        }
        guard restored.appliedIndex >= terms.baseIndex else {
            throw .appliedBehindLog(
                appliedIndex: restored.appliedIndex, firstIndex: terms.firstIndex)
        }
        guard restored.hardState.commitIndex <= last else {
            throw .committedEntriesMissing(
                commitIndex: restored.hardState.commitIndex, lastIndex: last)
        }
        cache = EntryCache(nextIndex: last.next)
        lastTimestamp = restored.log.lastTimestamp
        // What was applied was committed, whatever the hint says.
        commitIndex = max(restored.hardState.commitIndex, restored.appliedIndex)
        durableIndex = last
        handedIndex = restored.appliedIndex
        appliedIndex = restored.appliedIndex
    }

    var firstIndex: LogIndex { terms.firstIndex }
    var lastIndex: LogIndex { terms.lastIndex }
    var lastTerm: Term { terms.lastTerm }
    func term(at index: LogIndex) -> Term? { terms.term(at: index) }

    /// "If the logs have last entries with different terms, then the log with the later term is
    /// more up-to-date. If the logs end with the same term, then whichever log is longer is more
    /// up-to-date." (thesis §3.6.1)
    func isUpToDate(_ candidate: VoteRequest) -> Bool {
        (candidate.lastTerm, candidate.lastIndex) >= (lastTerm, lastIndex)
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
    }

    mutating func commit(through index: LogIndex) {
        precondition(index <= lastIndex, "commit \(index) beyond \(lastIndex)")
        commitIndex = max(commitIndex, index)
    }

    /// Only what is durable here: a state machine ahead of its own log could not be told from one
    /// whose log was lost.
    var handoutLimit: LogIndex { min(commitIndex, durableIndex) }

    mutating func nextHandout(_ settings: RaftSettings) -> CommittedRange? {
        guard handedIndex < handoutLimit, handouts.count < settings.maxHandoutsInFlight else {
            return nil
        }
        let first = handedIndex.next
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

    mutating func evict(_ settings: RaftSettings) {
        cache.evict(toBytes: settings.cacheBytesMax, through: handoutLimit)
    }
}
