import Primitives

// What a log may promise and give away while some of its entries cannot be read.
extension RaftLog {
    /// What a leader may count of its own log. Damage to what is committed already takes nothing
    /// from what comes behind it.
    var countedIndex: LogIndex {
        guard let lost = damage.first(from: commitIndex.next) else { return durableIndex }
        return min(durableIndex, lost.previous)
    }

    /// The end of the entries from `first` on, through `limit` at most, that can be read from the
    /// disk; nil when the first of them cannot.
    func readable(from first: LogIndex, through limit: LogIndex) -> LogIndex? {
        guard let lost = damage.first(from: first) else { return limit }
        return lost > first ? min(limit, lost.previous) : nil
    }

    /// Damaged entries by term, oldest first.
    func wantedEntries(max: Int) -> [WantedEntries] {
        var runs: [WantedEntries] = []
        for range in damage.wanted {
            var first = range.lowerBound
            while first <= range.upperBound, runs.count < max {
                let term = term(at: first)!
                let through = min(range.upperBound, terms.indexes(of: term)!.upperBound)
                runs.append(WantedEntries(first: first, through: through, term: term))
                first = through.next
            }
        }
        return runs
    }

    /// The first entries of those wanted that this log durably holds, intact.
    func held(of wanted: WantedEntries) -> ClosedRange<LogIndex>? {
        guard wanted.first <= wanted.through, let run = terms.indexes(of: wanted.term) else {
            return nil
        }
        var first = Swift.max(wanted.first, run.lowerBound)
        let through = min(wanted.through, run.upperBound, durableIndex)
        while first <= through {
            if let end = readable(from: first, through: through) { return first...end }
            first = damage.end(of: first).next
        }
        return nil
    }
}
