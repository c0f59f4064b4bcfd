import Primitives
import RecordModel

/// The operations on one key, as the search takes them.
struct KeyPart {
    struct Operation {
        let entry: KeyHistory.Entry
        var step: KeyStep
        let isAnswered: Bool
    }

    enum Event {
        case invoked(Int)
        case returned(Int)
    }

    let group: GroupID
    let key: Bytes
    /// Those that took effect or may have, in the order of their invocations. Reads of unknown
    /// outcome are left out: they show nothing.
    var operations: [Operation] = []
    /// In the order of real time.
    var events: [Event] = []
    /// Those that took no effect: named where a violation shows one's value.
    var refused: [KeyHistory.Entry] = []
    /// Answers that do not belong to their request.
    var malformed: [KeyHistory.Entry] = []

    /// By group and key, in their order.
    static func partition(_ history: KeyHistory) -> [KeyPart] {
        var places: [Place: Int] = [:]
        var parts: [(place: Place, entries: [KeyHistory.Entry])] = []
        for entry in history.entries {
            let place = Place(group: entry.request.group, key: entry.request.key)
            if let index = places[place] {
                parts[index].entries.append(entry)
            } else {
                places[place] = parts.count
                parts.append((place, [entry]))
            }
        }
        parts.sort { $0.place < $1.place }
        return parts.map { KeyPart($0.place, $0.entries) }
    }

    private struct Place: Hashable, Comparable {
        var group: GroupID
        var key: Bytes
        static func < (a: Self, b: Self) -> Bool {
            if a.group != b.group { return a.group < b.group }
            return a.key.lexicographicallyPrecedes(b.key)
        }
    }

    private init(_ place: Place, _ entries: [KeyHistory.Entry]) {
        group = place.group
        key = place.key
        var values = ValueNumbers()
        var moments: [(position: Int, event: Event)] = []
        for entry in entries {
            let step: KeyStep
            switch entry.outcome {
            case .refused:
                refused.append(entry)
                continue
            case .unknown:
                guard let unseen = values.step(entry.request.action) else { continue }
                step = unseen
            case .answered(let answer):
                guard let told = values.step(entry.request.action, answer) else {
                    malformed.append(entry)
                    continue
                }
                step = told
            }
            let number = operations.count
            operations.append(
                Operation(entry: entry, step: step, isAnswered: entry.completed != nil))
            moments.append((entry.invoked, .invoked(number)))
            if let completed = entry.completed { moments.append((completed, .returned(number))) }
        }
        let answered = Set(operations.compactMap(\.step.writtenRevision))
        let mentioned = Set(operations.compactMap(\.step.mentionedValue))
        for number in operations.indices {
            operations[number].step = operations[number].step.knowing(answered)
            // Explanations name what an answered write put; what was not answered need not be told
            // apart where nothing can tell.
            if !operations[number].isAnswered {
                operations[number].step = operations[number].step.namingOnly(mentioned)
            }
        }
        moments.sort { $0.position < $1.position }
        events = moments.map(\.event)
        valuesByNumber = values.all
    }

    private let valuesByNumber: [Bytes]

    func value(_ number: Int32) -> Bytes { valuesByNumber[Int(number) - 1] }
}

/// Numbers the values of a key, so that states are small and quick to compare.
private struct ValueNumbers {
    private(set) var all: [Bytes] = []
    private var numbers: [Bytes: Int32] = [:]

    private mutating func number(_ value: Bytes) -> Int32 {
        if let number = numbers[value] { return number }
        all.append(value)
        let number = Int32(all.count)
        numbers[value] = number
        return number
    }

    /// What an operation does whose answer is not known; nil for one that changes nothing.
    mutating func step(_ action: KeyRequest.Action) -> KeyStep? {
        switch action {
        case .read: nil
        case .put(let value): .put(value: number(value), revision: nil)
        case .compareAndPut(let condition, let value): step(condition, putting: value, nil)
        case .delete: .delete(existed: nil, revision: nil)
        }
    }

    /// nil where the answer does not belong to the action.
    mutating func step(_ action: KeyRequest.Action, _ answer: KeyAnswer) -> KeyStep? {
        switch (action, answer) {
        case (.read, .absent): .readAbsent
        case (.read, .present(let value, let revision)):
            .read(value: number(value), revision: revision?.rawValue)
        case (.put(let value), .written(let revision)):
            .put(value: number(value), revision: revision?.rawValue)
        case (.compareAndPut(let condition, let value), .written(let revision)):
            step(condition, putting: value, revision?.rawValue)
        case (.compareAndPut(.value(let expected), _), .conditionFailed):
            .unlessValue(expected.map { number($0) } ?? KeyRegister.absent)
        case (.compareAndPut(.modRevision(let expected), _), .conditionFailed):
            .unlessRevision(expected.rawValue)
        case (.delete, .deleted(let existed, let revision)):
            .delete(existed: existed, revision: revision?.rawValue)
        default: nil
        }
    }

    private mutating func step(
        _ condition: KeyRequest.Condition, putting value: Bytes, _ revision: Int64?
    ) -> KeyStep {
        switch condition {
        case .value(let expected):
            .putIfValue(
                expected.map { number($0) } ?? KeyRegister.absent, value: number(value),
                revision: revision)
        case .modRevision(let expected):
            .putIfRevision(expected.rawValue, value: number(value), revision: revision)
        }
    }
}
