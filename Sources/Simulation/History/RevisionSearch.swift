import Primitives
import RecordModel

/// Performs a history in the order of its revisions on the sequential model, and fills gaps with
/// operations of unknown outcome until every answer is explained.
///
/// Where an answer differs, only those gaps are tried anew whose filling can matter to it: the
/// search jumps back to the latest of them. A gap whose candidates are exhausted hands on what they
/// failed for (conflict-directed backjumping, as `RevisionOrder` cites it).
///
/// Invariants, between steps:
/// 1. The model holds what the operations of `placed` made, and stands at its revision.
/// 2. `choices` are the gaps up to that revision, in order, each with the operation that fills it;
///    `fills` is the reverse of that.
struct RevisionSearch {
    private struct Choice {
        let gap: Int
        let mark: StoreModel.Mark
        let placedCount: Int
        /// The operation that fills it now.
        var holder: Int?
        /// Index of the candidate to be tried next.
        var next = 0
        /// Gaps before this one that its candidates failed for.
        var conflict = SlotSet()
    }

    private enum Step {
        case done
        case conflict(SlotSet)
        case limit
    }

    let history: StoreHistory
    let gaps: RevisionGaps
    private let last: Revision
    /// Operations by the revision that they made.
    private let writers: [Revision: Int]
    /// Operations that changed nothing, by the revision that they were answered at.
    private let observers: [Revision: [Int]]
    private let stepsMax: Int
    private var steps = 0
    private(set) var model: StoreModel
    /// Operations in the order found so far.
    private(set) var placed: [OperationID] = []
    private var choices: [Choice] = []
    /// The gap that each operation of unknown outcome fills.
    private var fills: [Int?]
    /// What was met furthest behind in the order.
    private(set) var obstacle: RevisionObstacle?

    init(_ history: StoreHistory, _ settings: RevisionOrder) {
        self.history = history
        stepsMax = settings.stepsMax
        model = StoreModel(settings.initialRecords, at: settings.initialRevision)
        var last = settings.initialRevision
        var writers: [Revision: Int] = [:]
        var observers: [Revision: [Int]] = [:]
        for (number, entry) in history.entries.enumerated() {
            guard case .answered(let reply) = entry.outcome else { continue }
            last = max(last, reply.revision)
            if reply.answer.tellsOfChange {
                writers[reply.revision] = number
            } else {
                observers[reply.revision, default: []].append(number)
            }
        }
        self.last = last
        self.writers = writers
        self.observers = observers
        gaps = RevisionGaps(history, writers, from: settings.initialRevision, through: last)
        fills = Array(repeating: nil, count: gaps.unknowns.count)
    }

    mutating func run() -> HistoryVerdict {
        if let hopeless = gaps.hopeless { return .violation(explain(hopeless)) }
        var step = observe()
        while true {
            switch step {
            case .limit: return .unknown(stepsTaken: steps)
            case .conflict(let conflict):
                guard let next = retry(conflict) else { return .violation(explain()) }
                step = next
            case .done:
                if model.revision == last { return .linearizable }
                step = advance()
            }
        }
    }

    // MARK: Forwards

    /// Makes the next revision, and answers what was asked at it.
    private mutating func advance() -> Step {
        let revision = model.revision.next
        if let writer = writers[revision] {
            let step = perform(writer)
            guard case .done = step else { return step }
            return observe()
        }
        guard let gap = gaps.numbers[revision] else {
            preconditionFailure("revision \(revision) is neither a write nor a gap")
        }
        choices.append(Choice(gap: gap, mark: model.mark, placedCount: placed.count))
        return fill()
    }

    private mutating func observe() -> Step {
        for observer in observers[model.revision] ?? [] {
            let step = perform(observer)
            guard case .done = step else { return step }
        }
        return .done
    }

    private mutating func perform(_ number: Int) -> Step {
        let entry = history.entries[number]
        guard case .answered(let reply) = entry.outcome else {
            preconditionFailure("\(entry.id) has no answer to be held against")
        }
        guard steps < stepsMax else { return .limit }
        steps += 1
        let before = model.mark
        let expected = model.perform(entry.request.operation)
        if expected == reply.answer && model.revision == reply.revision {
            placed.append(entry.id)
            return .done
        }
        let conflict = gaps.relevant(
            to: Footprint(entry.request.operation).reads, through: reply.revision)
        model.undo(to: before)
        met(RevisionObstacle(entry: entry, revision: reply.revision, expected: expected))
        return .conflict(conflict)
    }

    // MARK: Gaps

    /// Fills the latest gap with its next candidate that makes the revision as answers show it.
    private mutating func fill() -> Step {
        let level = choices.count - 1
        let gap = gaps.gaps[choices[level].gap]
        while choices[level].next < gap.candidates.count {
            let candidate = gap.candidates[choices[level].next]
            choices[level].next += 1
            if let earlier = fills[candidate] {
                choices[level].conflict.insert(earlier)
                continue
            }
            guard steps < stepsMax else { return .limit }
            steps += 1
            let unknown = gaps.unknowns[candidate]
            _ = model.perform(unknown.entry.request.operation)
            if model.revision == gap.revision,
                gap.evidence.allSatisfy({ model.record($0.key) == $0 })
            {
                fills[candidate] = choices[level].gap
                choices[level].holder = candidate
                placed.append(unknown.entry.id)
                let step = observe()
                guard case .conflict(let conflict) = step else { return step }
                takeBack(to: level)
                guard conflict.contains(choices[level].gap) else {
                    choices.removeLast()
                    return .conflict(conflict)
                }
                choices[level].conflict.formUnion(conflict)
                choices[level].conflict.remove(choices[level].gap)
                continue
            }
            let before = Revision(gap.revision.rawValue - 1)
            choices[level].conflict.formUnion(
                gaps.relevant(to: unknown.footprint.reads, through: before))
            takeBack(to: level)
        }
        met(RevisionObstacle(entry: nil, revision: gap.revision, expected: nil))
        let conflict = choices[level].conflict
        choices.removeLast()
        return .conflict(conflict)
    }

    /// Returns to the latest gap of a conflict and tries its next candidate. nil where no gap can
    /// mend it.
    private mutating func retry(_ conflict: SlotSet) -> Step? {
        guard let gap = conflict.last else { return nil }
        while let choice = choices.last, choice.gap > gap {
            takeBack(to: choices.count - 1)
            choices.removeLast()
        }
        let level = choices.count - 1
        precondition(
            level >= 0 && choices[level].gap == gap, "gap \(gap) of a conflict is not filled")
        takeBack(to: level)
        choices[level].conflict.formUnion(conflict)
        choices[level].conflict.remove(gap)
        return fill()
    }

    /// To the moment before the gap of this level was filled.
    private mutating func takeBack(to level: Int) {
        let choice = choices[level]
        model.undo(to: choice.mark)
        placed.removeLast(placed.count - choice.placedCount)
        if let holder = choice.holder { fills[holder] = nil }
        choices[level].holder = nil
    }

    private mutating func met(_ found: RevisionObstacle) {
        if let obstacle, obstacle.revision >= found.revision { return }
        obstacle = found
        obstacle?.placed = placed
    }
}
