import Primitives

/// Where an entry's record stands: 12 bytes for each entry in the log.
struct EntryLocation: Hashable, Sendable {
    var segment: UInt32
    /// Byte offset in the segment of the record's first byte. Segments end below 4 GiB
    /// (`LogLimits`).
    var offset: UInt32
    /// Length of the record, without what sectors add.
    var length: UInt32
}

/// What a record changes in the index of its group.
enum IndexChange: Hashable, Sendable {
    case hardState(HardState)
    case replaceFrom(LogIndex)
    case entry(LogIndex, Term, EntryLocation)
    case start(
        LogIndex, Term, HybridTimestamp, lastIndex: LogIndex, lastTerm: Term)
}

/// One group's part of the log, in memory.
///
/// Invariants:
/// 1. `base >= start`; equal but for recovery, while entries between them are known to have
///    existed in segments that are gone.
/// 2. `locations[i]` is entry `base + 1 + i`; locations ascend.
/// 3. `runs` ascend strictly in index and term, begin at `base + 1`, and are empty exactly when
///    `locations` is.
struct GroupIndex: Sendable {
    private(set) var hardState = HardState()
    /// The last entry removed from the front, zero when none was.
    private(set) var start: LogIndex = .zero
    private(set) var startTerm: Term = .zero
    private(set) var startTimestamp: HybridTimestamp = .zero
    private(set) var base: LogIndex = .zero
    /// The term of entry `base`, `nil` when it is not known.
    private(set) var baseTerm: Term? = .zero
    private(set) var locations: [EntryLocation] = []
    private(set) var runs: [TermRun] = []

    var last: LogIndex { base + UInt64(locations.count) }
    var lastTerm: Term? { runs.last?.term ?? baseTerm }

    func contains(_ index: LogIndex) -> Bool { index > base && index <= last }

    func location(of index: LogIndex) -> EntryLocation {
        precondition(contains(index), "entry \(index) is outside \(base.next)...\(last)")
        return locations[Int(index.rawValue - base.rawValue - 1)]
    }

    /// The term of an entry in `base...last`.
    func term(of index: LogIndex) -> Term? {
        if index == base { return baseTerm }
        precondition(contains(index), "entry \(index) is outside \(base.next)...\(last)")
        return runs[run(of: index)].term
    }

    /// Position in `runs` of the run that holds an index above `base`.
    private func run(of index: LogIndex) -> Int {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].firstIndex <= index { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }

    /// Applies a change that a record states. `false`, and nothing changed, when the change cannot
    /// follow what came before it.
    mutating func apply(_ change: IndexChange) -> Bool {
        switch change {
        case .hardState(let state):
            guard state.term >= hardState.term else { return false }
            hardState = state
        case .replaceFrom(let index):
            guard index > start, index <= last.next else { return false }
            removeSuffix(from: index)
        case .entry(let index, let term, let location):
            guard index == last.next, term >= lastTerm ?? .zero else { return false }
            if term != runs.last?.term { runs.append(TermRun(firstIndex: index, term: term)) }
            locations.append(location)
        case .start(let index, let term, let timestamp, let lastIndex, let lastTerm):
            guard index >= start, lastIndex == last, index <= lastIndex,
                self.lastTerm == nil || self.lastTerm == lastTerm
            else { return false }
            removePrefix(through: index, term: term, timestamp: timestamp)
        }
        return true
    }

    /// A group first met in the checkpoint of the oldest segment: its entries up to `lastIndex`
    /// were in segments that are gone.
    init(
        checkpoint start: LogIndex, term: Term, timestamp: HybridTimestamp, lastIndex: LogIndex,
        lastTerm: Term
    ) {
        self.start = start
        startTerm = term
        startTimestamp = timestamp
        base = lastIndex
        baseTerm = lastTerm
    }

    init() {}

    private mutating func removeSuffix(from index: LogIndex) {
        if index <= base {
            base = index.previous
            baseTerm = base == start ? startTerm : nil
            locations.removeAll()
            runs.removeAll()
            return
        }
        locations.removeLast(Int(last.next.rawValue - index.rawValue))
        while let run = runs.last, run.firstIndex >= index { runs.removeLast() }
    }

    private mutating func removePrefix(
        through index: LogIndex, term: Term, timestamp: HybridTimestamp
    ) {
        if index == start { return }
        start = index
        startTerm = term
        startTimestamp = timestamp
        guard index >= base else { return }
        let removed = Int(index.rawValue - base.rawValue)
        if removed < locations.count {
            runs.removeFirst(run(of: index.next))
            runs[0].firstIndex = index.next
        } else {
            runs.removeAll()
        }
        locations.removeFirst(removed)
        base = index
        baseTerm = term
    }
}
