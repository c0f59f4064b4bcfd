import Primitives

/// The term of every entry of a log, as runs in memory: a log has few terms, so `term(at:)` never
/// asks the disk.
struct LogTerms: Hashable, Sendable {
    /// The entry before the first: zero, or where the log was cut off behind the state machine.
    private(set) var baseIndex: LogIndex
    private(set) var baseTerm: Term
    private(set) var lastIndex: LogIndex
    /// Ascending in both fields.
    private(set) var runs: [TermRun]

    /// - Throws: `RestoreFailure.inconsistentLog`.
    init(_ summary: LogSummary) throws(RestoreFailure) {
        guard summary.firstIndex > .zero, summary.lastIndex >= summary.firstIndex.previous else {
            throw .inconsistentLog(summary)
        }
        baseIndex = summary.firstIndex.previous
        baseTerm = summary.termBeforeFirst
        lastIndex = summary.lastIndex
        runs = summary.termRuns
        guard isConsistent else { throw .inconsistentLog(summary) }
    }

    /// Runs begin behind the base, end with the log and ascend.
    var isConsistent: Bool {
        if baseIndex == .zero && baseTerm != .zero { return false }
        guard let first = runs.first, let last = runs.last else { return lastIndex == baseIndex }
        guard first.firstIndex == baseIndex.next, first.term >= baseTerm, first.term > .zero,
            last.firstIndex <= lastIndex
        else { return false }
        return zip(runs, runs.dropFirst()).allSatisfy {
            $0.firstIndex < $1.firstIndex && $0.term < $1.term
        }
    }

    var firstIndex: LogIndex { baseIndex.next }
    var lastTerm: Term { runs.last?.term ?? baseTerm }

    /// Nil outside `baseIndex ... lastIndex`.
    func term(at index: LogIndex) -> Term? {
        guard index >= baseIndex, index <= lastIndex else { return nil }
        guard index > baseIndex else { return baseTerm }
        // Nearly every question is about the newest term.
        if let last = runs.last, index >= last.firstIndex { return last.term }
        return runs[runNumber(holding: index)].term
    }

    /// The last index that is neither above `limit` nor of a term above `term`; the base when there
    /// is none. The logs of a leader and a follower cannot agree beyond it when one of them holds
    /// `term` at `limit` (thesis §3.5, conflict hints).
    func lastIndex(atMost limit: LogIndex, termAtMost term: Term) -> LogIndex {
        var end = lastIndex
        for run in runs.reversed() {
            if run.term <= term { return max(baseIndex, min(limit, end)) }
            end = run.firstIndex.previous
        }
        return baseIndex
    }

    mutating func append(term: Term) {
        precondition(term >= lastTerm, "term \(term) after \(lastTerm)")
        lastIndex = lastIndex.next
        if runs.isEmpty || runs[runs.count - 1].term < term {
            runs.append(TermRun(firstIndex: lastIndex, term: term))
        }
    }

    /// Removes the entries from `index` on.
    mutating func truncate(from index: LogIndex) {
        precondition(
            index > baseIndex && index <= lastIndex,
            "truncating from \(index) a log of \(firstIndex)...\(lastIndex)")
        while let last = runs.last, last.firstIndex >= index { runs.removeLast() }
        lastIndex = index.previous
    }

    /// Removes the entries up to `index`: the log begins behind it.
    mutating func forget(through index: LogIndex) {
        guard index > baseIndex, let term = term(at: index) else {
            preconditionFailure("forgetting through \(index) a log of \(firstIndex)...\(lastIndex)")
        }
        if index == lastIndex {
            runs.removeAll()
        } else {
            runs.removeFirst(runNumber(holding: index.next))
            runs[0].firstIndex = index.next
        }
        baseIndex = index
        baseTerm = term
    }

    /// Removes everything: the log begins behind an entry that it did not hold.
    mutating func restart(behind index: LogIndex, term: Term) {
        baseIndex = index
        baseTerm = term
        lastIndex = index
        runs.removeAll()
    }

    /// What a log holds of one term is contiguous.
    func indexes(of term: Term) -> ClosedRange<LogIndex>? {
        guard let number = runs.firstIndex(where: { $0.term == term }) else { return nil }
        let end = number + 1 < runs.count ? runs[number + 1].firstIndex.previous : lastIndex
        return runs[number].firstIndex...end
    }

    private func runNumber(holding index: LogIndex) -> Int {
        var low = 0
        var high = runs.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if runs[middle].firstIndex <= index { low = middle } else { high = middle - 1 }
        }
        return low
    }
}
