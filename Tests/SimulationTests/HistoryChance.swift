import Primitives
import RecordModel
import Simulation

/// Clients at a store that is correct: each operation takes effect at one moment between its
/// request and its answer. Chance chooses who moves next, which outcomes stay unknown (their
/// operations take effect much later, or never) and which operations are refused.
struct ChanceWorld {
    /// A store: performs an operation at its moment and tells the answer.
    private enum Stage<Answer> {
        case asked
        case done(Answer)
    }

    var generator: SeededGenerator
    var clients: Int
    var operations: Int
    /// Of a hundred operations.
    var unknownRate: UInt64 = 15
    var refusedRate: UInt64 = 5

    init(seed: UInt64, clients: Int, operations: Int) {
        generator = SeededGenerator(seed: seed)
        self.clients = clients
        self.operations = operations
    }

    mutating func upTo(_ bound: UInt64) -> UInt64 { generator.next() % bound }

    mutating func history<Request, Answer>(
        request: (inout ChanceWorld) -> Request, perform: (Request) -> Answer
    ) -> History<Request, Answer> {
        var history = History<Request, Answer>()
        var open: [Int: (id: OperationID, request: Request, stage: Stage<Answer>)] = [:]
        var late: [Request] = []
        var moment: UInt64 = 0
        var asked = 0
        while asked < operations || !open.isEmpty {
            moment += 1
            if !late.isEmpty, upTo(12) == 0 {
                _ = perform(late.remove(at: Int(upTo(UInt64(late.count)))))
            }
            let client = Int(upTo(UInt64(clients)))
            guard let (id, request, stage) = open[client] else {
                if asked == operations { continue }
                asked += 1
                let wanted = request(&self)
                let id = history.invoke(HistoryClient(client), wanted, at: moment)
                open[client] = (id, wanted, .asked)
                continue
            }
            switch stage {
            case .asked:
                let chance = upTo(100)
                if chance < unknownRate {
                    if upTo(4) > 0 { late.append(request) }
                    history.complete(id, .unknown, at: moment)
                    open[client] = nil
                } else if chance < unknownRate + refusedRate {
                    history.complete(id, .refused, at: moment)
                    open[client] = nil
                } else {
                    open[client] = (id, request, .done(perform(request)))
                }
            case .done(let answer):
                let isKnown = upTo(100) >= unknownRate
                history.complete(id, isKnown ? .answered(answer) : .unknown, at: moment)
                open[client] = nil
            }
        }
        return history
    }
}

extension History {
    /// The same events, with one answer replaced.
    func replacing(_ id: OperationID, _ answer: Answer) -> Self {
        var events: [(position: Int, id: Int, isCompletion: Bool)] = []
        for (number, entry) in entries.enumerated() {
            events.append((entry.invoked, number, false))
            if let completed = entry.completed { events.append((completed, number, true)) }
        }
        events.sort { $0.position < $1.position }
        var copy = Self()
        for (moment, event) in events.enumerated() {
            let entry = entries[event.id]
            let moment = UInt64(moment)
            guard event.isCompletion else {
                _ = copy.invoke(entry.client, entry.request, at: moment)
                continue
            }
            let outcome = entry.id == id ? .answered(answer) : entry.outcome
            copy.complete(entry.id, outcome, at: moment)
        }
        return copy
    }

    var answered: [Entry] {
        entries.filter {
            if case .answered = $0.outcome { return true }
            return false
        }
    }
}

/// Tries every order: the definition of linearizability itself, for histories of a few operations.
///
/// - Parameters:
///   - mayBeLate: whether an operation may stand before one that was completed when it was invoked.
///   - next: the states that can follow an operation with this answer; nil is an unknown one.
func everyOrder<Request, Answer, State: Hashable>(
    of history: History<Request, Answer>, from state: State,
    mayBeLate: (Request) -> Bool = { _ in false },
    next: (State, Request, Answer?) -> [State]
) -> Bool {
    var entries: [(entry: History<Request, Answer>.Entry, answer: Answer?)] = []
    for entry in history.entries {
        switch entry.outcome {
        case .answered(let answer): entries.append((entry, answer))
        case .unknown: entries.append((entry, nil))
        case .refused: continue
        }
    }
    var answered = 0
    var before = Array(repeating: 0, count: entries.count)
    for (index, (entry, answer)) in entries.enumerated() {
        if answer != nil { answered |= 1 << index }
        if mayBeLate(entry.request) { continue }
        for (other, (earlier, _)) in entries.enumerated() {
            if let completed = earlier.completed, completed < entry.invoked {
                before[index] |= 1 << other
            }
        }
    }
    var work = [OrderPoint(state: state, placed: 0)]
    var seen = Set(work)
    while let point = work.popLast() {
        if point.placed & answered == answered { return true }
        for (index, (entry, answer)) in entries.enumerated()
        where point.placed & (1 << index) == 0 && before[index] & ~point.placed == 0 {
            for after in next(point.state, entry.request, answer) {
                let further = OrderPoint(state: after, placed: point.placed | 1 << index)
                if seen.insert(further).inserted { work.append(further) }
            }
        }
    }
    return false
}

/// Where some order has come to: the state, and a bit for each operation that is placed.
private struct OrderPoint<State: Hashable>: Hashable {
    var state: State
    var placed: Int
}
