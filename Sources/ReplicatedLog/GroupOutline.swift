import Primitives

/// What of a group an append is checked against: the index and, in front of it, the parts of the
/// same batch that have not been written yet. A batch that does not follow is our bug, and stops
/// the program before it reaches the disk.
struct GroupOutline {
    private let id: GroupID
    private var hardTerm: Term
    private var start: LogIndex
    private var startTerm: Term
    private var startIsLost: Bool
    private var last: LogIndex
    private var runs: [TermRun]

    init(_ id: GroupID, _ group: GroupIndex) {
        self.id = id
        hardTerm = group.hardState.term
        start = group.start.index
        startTerm = group.start.term
        startIsLost = group.distrust == .startLost
        last = group.last
        runs = group.runs
    }

    private var lastTerm: Term { runs.last?.term ?? startTerm }

    private func term(of index: LogIndex) -> Term {
        index == start ? startTerm : runs[runs.position(of: index)].term
    }

    /// - Returns: the group's last entry once `part.start` has taken effect; `nil` when there is no
    ///   start, or one that changes nothing.
    mutating func take(_ part: GroupAppend) -> (index: LogIndex, term: Term)? {
        if part.isReset { self = GroupOutline(id, GroupIndex()) }
        let begun = part.start.flatMap { begin($0) }
        if let state = part.hardState {
            precondition(
                state.term >= hardTerm, "group \(id): term \(hardTerm) falls to \(state.term)")
            hardTerm = state.term
        }
        if let from = part.replaceFrom {
            precondition(
                from > start && from <= last.next,
                "group \(id): replace from \(from) in \(start)...\(last)")
            last = from.previous
            while let run = runs.last, run.firstIndex >= from { runs.removeLast() }
        }
        for entry in part.entries {
            precondition(
                entry.index == last.next && entry.term >= lastTerm,
                "group \(id): entry \(entry.index) of term \(entry.term) where \(last.next) of "
                    + "term \(lastTerm) or later follows")
            if entry.term > lastTerm || runs.isEmpty {
                runs.append(TermRun(firstIndex: entry.index, term: entry.term))
            }
            last = entry.index
        }
        for entry in part.repaired {
            precondition(
                entry.index > start && entry.index <= last && term(of: entry.index) == entry.term,
                "group \(id): repaired entry \(entry.index) of term \(entry.term) in "
                    + "\(start)...\(last)")
        }
        return begun
    }

    private mutating func begin(_ new: LogStart) -> (index: LogIndex, term: Term)? {
        if new.replacesAll {
            precondition(new.index >= start, "group \(id): start \(start) falls to \(new.index)")
            runs = []
            last = new.index
        } else {
            if new.index < start || new.index == start && !startIsLost { return nil }
            precondition(
                new.index <= last && term(of: new.index) == new.term,
                "group \(id): start \(new.index) of term \(new.term) in \(start)...\(last)")
            let first = new.index.next
            if first <= last {
                runs.removeFirst(runs.position(of: first))
                runs[0].firstIndex = first
            } else {
                runs = []
            }
        }
        (start, startTerm, startIsLost) = (new.index, new.term, false)
        return (last, lastTerm)
    }
}
