import Primitives
import RecordModel
import Simulation
import Testing

/// Histories by chance: those of a correct store must pass, and on small ones, with an answer
/// falsified or not, the checker must agree with trying every order.
@Suite struct HistoryKeyChanceTests {
    /// A key with its revisions, written down apart from the checker's.
    struct Cell: Hashable {
        var value: Bytes?
        var modRevision: Int64 = 0
        var last: Int64 = 1
    }

    static func request(_ world: inout ChanceWorld, keys: UInt64, values: UInt64) -> KeyRequest {
        let value = Bytes([UInt8(world.upTo(values))])
        let action: KeyRequest.Action
        switch world.upTo(10) {
        case 0..<4: action = .read
        case 4..<6: action = .put(value)
        case 6: action = .delete
        case 7: action = .compareAndPut(.value(nil), value)
        case 8: action = .compareAndPut(.value([UInt8(world.upTo(values))]), value)
        default: action = .compareAndPut(.modRevision(Revision(Int64(world.upTo(8)))), value)
        }
        return KeyRequest(
            group: GroupID(1), key: [UInt8(97 + world.upTo(keys))], action)
    }

    /// What a store with one counter of revisions does.
    struct Store {
        var cells: [Bytes: Cell] = [:]
        var revision: Int64 = 1

        mutating func perform(_ request: KeyRequest) -> KeyAnswer {
            let cell = cells[request.key] ?? Cell()
            switch request.action {
            case .read:
                return cell.value.map { .present($0, modRevision: Revision(cell.modRevision)) }
                    ?? .absent
            case .put(let value): return write(request.key, value)
            case .compareAndPut(.value(let wanted), let value):
                return cell.value == wanted ? write(request.key, value) : .conditionFailed
            case .compareAndPut(.modRevision(let wanted), let value):
                return cell.modRevision == wanted.rawValue
                    ? write(request.key, value) : .conditionFailed
            case .delete:
                guard cell.value != nil else { return .deleted(existed: false, revision: nil) }
                revision += 1
                cells[request.key] = Cell()
                return .deleted(existed: true, revision: Revision(revision))
            }
        }

        private mutating func write(_ key: Bytes, _ value: Bytes) -> KeyAnswer {
            revision += 1
            cells[key] = Cell(value: value, modRevision: revision)
            return .written(revision: Revision(revision))
        }
    }

    static func history(
        _ seed: UInt64, clients: Int, operations: Int, keys: UInt64, values: UInt64
    ) -> KeyHistory {
        var world = ChanceWorld(seed: seed, clients: clients, operations: operations)
        var store = Store()
        return world.history(
            request: { request(&$0, keys: keys, values: values) }, perform: { store.perform($0) })
    }

    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func whatACorrectStoreAnswersPasses(seed: UInt64) {
        let history = Self.history(seed, clients: 6, operations: 300, keys: 3, values: 40)
        let verdict = KeyLinearizability().check(history)
        #expect(verdict == .linearizable, "seed \(seed): \(verdict)")
    }

    /// Above every revision in these histories.
    static let unmentioned: Int64 = 11

    /// One step of a key for which an untold revision may be any: each that an answer or a condition
    /// can mention is tried, and one that none does.
    static func steps(_ cell: Cell, _ request: KeyRequest, _ answer: KeyAnswer?) -> [Cell] {
        func written(_ value: Bytes?, _ told: Revision?) -> [Cell] {
            if let told {
                return told.rawValue > cell.last
                    ? [
                        Cell(
                            value: value, modRevision: value == nil ? 0 : told.rawValue,
                            last: told.rawValue)
                    ] : []
            }
            return (cell.last + 1...max(cell.last + 1, unmentioned)).map {
                Cell(value: value, modRevision: value == nil ? 0 : $0, last: $0)
            }
        }
        switch (request.action, answer) {
        case (.read, nil): return []
        case (.read, .absent): return cell.value == nil ? [cell] : []
        case (.read, .present(let value, let told)):
            return cell.value == value && (told == nil || told?.rawValue == cell.modRevision)
                ? [cell] : []
        case (.put(let value), .written(let told)): return written(value, told)
        case (.put(let value), nil): return written(value, nil)
        case (.compareAndPut(let condition, let value), let answer):
            let holds =
                switch condition {
                case .value(let wanted): cell.value == wanted
                case .modRevision(let wanted): cell.modRevision == wanted.rawValue
                }
            switch answer {
            case .written(let told): return holds ? written(value, told) : []
            case .conditionFailed: return holds ? [] : [cell]
            case nil: return holds ? written(value, nil) : []
            default: return []
            }
        case (.delete, .deleted(let existed, let told)):
            return existed == (cell.value != nil)
                ? (existed == true ? written(nil, told) : [cell]) : []
        case (.delete, nil): return cell.value == nil ? [] : written(nil, nil)
        default: return []
        }
    }

    /// Another answer that its request could have.
    static func falsified(
        _ entry: KeyHistory.Entry, _ generator: inout SeededGenerator
    ) -> KeyAnswer {
        let revision = Revision(Int64(generator.next() % 7) + 2)
        let told = generator.next() % 2 == 0 ? nil : revision
        switch entry.request.action {
        case .read:
            return generator.next() % 4 == 0
                ? .absent : .present([UInt8(generator.next() % 3)], modRevision: told)
        case .put: return .written(revision: told)
        case .compareAndPut:
            return generator.next() % 2 == 0 ? .conditionFailed : .written(revision: told)
        case .delete:
            return generator.next() % 2 == 0
                ? .deleted(existed: false, revision: nil)
                : .deleted(existed: true, revision: told)
        }
    }

    /// Twenty seeds at a time.
    @Test(arguments: 0..<30 as Range<UInt64>)
    func agreesWithTryingEveryOrder(batch: UInt64) {
        var bad = 0
        for seed in batch * 20..<batch * 20 + 20 {
            var history = Self.history(
                seed, clients: 4, operations: 7, keys: 1, values: 3)
            var generator = SeededGenerator(seed: seed)
            for _ in 0..<seed % 3 {
                guard let entry = history.answered.randomElement(using: &generator) else { break }
                history = history.replacing(entry.id, Self.falsified(entry, &generator))
            }
            let isGood = everyOrder(of: history, from: Cell(), next: Self.steps)
            let verdict = KeyLinearizability().check(history)
            #expect(isGood == (verdict == .linearizable), "seed \(seed): \(verdict)")
            #expect(isGood != verdict.isViolation, "seed \(seed)")
            if !isGood { bad += 1 }
        }
        #expect(bad > 0 && bad < 20, "batch \(batch) tries only one verdict")
    }
}
