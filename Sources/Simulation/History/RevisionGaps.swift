import Primitives
import RecordModel

/// The revisions that no answered write made, and which operations of unknown outcome could have
/// made each.
struct RevisionGaps {
    struct Gap {
        let revision: Revision
        /// Records of this revision that answers show.
        var evidence: [StoreRecord]
        /// Numbers of unknown operations, in the order in which to try them.
        var candidates: [Int]
    }

    /// An operation of unknown outcome.
    struct Unknown {
        let entry: StoreHistory.Entry
        let footprint: Footprint
        /// It made a later revision, if any: this one had been made when it was invoked.
        let seen: Revision
    }

    let unknowns: [Unknown]
    private(set) var gaps: [Gap] = []
    /// Number of the gap at a revision.
    private(set) var numbers: [Revision: Int] = [:]
    /// The candidates of each gap, as a set.
    private var candidateSets: [SlotSet] = []

    /// - Parameter writers: by the revision that they were told.
    init(
        _ history: StoreHistory, _ writers: [Revision: Int], from initial: Revision,
        through last: Revision
    ) {
        let precedents = RevisionPlaces.precedents(in: history)
        unknowns = history.entries.enumerated().compactMap { id, entry in
            guard case .unknown = entry.outcome, entry.request.operation.mayWrite else {
                return nil
            }
            return Unknown(
                entry: entry, footprint: Footprint(entry.request.operation),
                seen: max(precedents[id]?.place.revision ?? initial, initial))
        }
        // A wild revision in an answer must not make us count to it.
        let missing = Int(last.rawValue - initial.rawValue) - writers.count
        guard missing <= unknowns.count else {
            var first = initial.next
            while writers[first] != nil { first = first.next }
            gaps = [Gap(revision: first, evidence: [], candidates: [])]
            shortage = missing
            return
        }
        var revision = initial
        while revision < last {
            revision = revision.next
            if writers[revision] != nil { continue }
            numbers[revision] = gaps.count
            gaps.append(Gap(revision: revision, evidence: [], candidates: []))
        }
        gather(history)
        assign()
    }

    /// How many revisions are missing where the unknown operations are too few for them.
    private(set) var shortage: Int?

    /// A gap that nothing can fill.
    var hopeless: Gap? { gaps.first { $0.candidates.isEmpty } }

    private mutating func gather(_ history: StoreHistory) {
        var evidence = Array(repeating: Set<StoreRecord>(), count: gaps.count)
        guard !gaps.isEmpty else { return }
        for entry in history.entries {
            guard case .answered(let reply) = entry.outcome else { continue }
            reply.answer.forEachRecord { record in
                guard let gap = numbers[record.modRevision] else { return }
                if evidence[gap].insert(record).inserted { gaps[gap].evidence.append(record) }
            }
        }
    }

    /// Candidates by time and evidence; then an operation that alone can fill one gap is taken from
    /// all others, until nothing changes.
    private mutating func assign() {
        for number in gaps.indices {
            let gap = gaps[number]
            let fitting = unknowns.indices.filter { index in
                unknowns[index].seen < gap.revision
                    && gap.evidence.allSatisfy { unknowns[index].footprint.puts($0) }
            }
            // What took effect did so mostly soon after it was asked for.
            gaps[number].candidates = fitting.reversed()
        }
        // Operations are bounded by time from below only, so that this counting finds every lack that
        // time alone makes (Hall's theorem, for sets that lie within each other).
        let seen = unknowns.map(\.seen).sorted()
        for number in gaps.indices
        where number >= seen.count || seen[number] >= gaps[number].revision {
            gaps[number].candidates = []
        }
        var settled = gaps.indices.filter { gaps[$0].candidates.count == 1 }
        var isTaken = Array(repeating: false, count: unknowns.count)
        while let number = settled.popLast() {
            guard let only = gaps[number].candidates.first, !isTaken[only] else { continue }
            isTaken[only] = true
            for other in gaps.indices where other != number {
                guard let place = gaps[other].candidates.firstIndex(of: only) else { continue }
                gaps[other].candidates.remove(at: place)
                if gaps[other].candidates.count == 1 { settled.append(other) }
            }
        }
        candidateSets = gaps.map { gap in
            var set = SlotSet()
            for candidate in gap.candidates { set.insert(candidate) }
            return set
        }
    }

    /// Numbers of the gaps through a revision whose filling can change what the keys hold then:
    /// some candidate may write them, or what decides whether such a one does.
    func relevant(to ranges: [KeyRange], through revision: Revision) -> SlotSet {
        var touching = SlotSet()
        var isTouching = Array(repeating: false, count: unknowns.count)
        var ranges = ranges[...]
        while let range = ranges.popFirst() {
            for (index, unknown) in unknowns.enumerated()
            where !isTouching[index] && unknown.footprint.mayWrite(in: range) {
                isTouching[index] = true
                touching.insert(index)
                ranges += unknown.footprint.reads
            }
        }
        var relevant = SlotSet()
        for (number, gap) in gaps.enumerated() {
            if gap.revision > revision { break }
            if !touching.isDisjoint(with: candidateSets[number]) { relevant.insert(number) }
        }
        return relevant
    }
}

/// What an operation may touch, whatever the state.
struct Footprint {
    /// Ranges that decide what it does or answers.
    private(set) var reads: [KeyRange] = []
    private var puts: [(key: Bytes, value: Bytes)] = []
    private var deletes: [KeyRange] = []

    init(_ operation: StoreOperation) { add(operation) }

    private mutating func add(_ operation: StoreOperation) {
        switch operation {
        case .range(let range, _, _): reads.append(range)
        case .put(let key, let value, _):
            puts.append((key, value))
            reads.append(.key(key))
        case .delete(let range, _):
            deletes.append(range)
            reads.append(range)
        case .txn(let compares, let then, let otherwise):
            reads += compares.map(\.range)
            for operation in then + otherwise { add(operation) }
        }
    }

    func puts(_ record: StoreRecord) -> Bool {
        puts.contains { $0.key == record.key && $0.value == record.value }
    }

    func mayWrite(in range: KeyRange) -> Bool {
        puts.contains { range.contains($0.key) } || deletes.contains { $0.overlaps(range) }
    }
}

extension KeyRange {
    /// Whether a key could be in both.
    func overlaps(_ other: KeyRange) -> Bool {
        startsBeforeEnd(of: other) && other.startsBeforeEnd(of: self)
    }

    private func startsBeforeEnd(of other: KeyRange) -> Bool {
        switch other.end {
        case .single: !other.lower.lexicographicallyPrecedes(lower)
        case .before(let upper): lower.lexicographicallyPrecedes(upper)
        case .unbounded: true
        }
    }
}

extension StoreAnswer {
    func forEachRecord(_ body: (StoreRecord) -> Void) {
        switch self {
        case .range(let records, _): records.forEach(body)
        case .put(let previous): previous.map(body)
        case .delete(_, let previous): previous.forEach(body)
        case .txn(_, let answers): for answer in answers { answer.forEachRecord(body) }
        }
    }
}
