import Primitives
import RecordModel
import Simulation
import Testing

/// Whole histories by chance, against a store written down apart from the checker's model.
@Suite struct HistoryStoreChanceTests {
    /// The keys and values of these tests are single bytes.
    struct Cell: Hashable {
        var value: UInt8
        var create: Int64
        var mod: Int64
        var version: Int64
    }

    struct Store: Hashable {
        var cells: [UInt8: Cell] = [:]
        var revision: Int64 = 1
        /// What earlier revisions held, from revision 1 on.
        var past: [[UInt8: Cell]] = [[:]]

        mutating func reply(_ request: StoreRequest) -> StoreReply {
            let before = revision
            var wrote = false
            let then = truth(of: request.operation)
            let answer = run(request.operation, then, &wrote)
            if wrote {
                revision = before + 1
                past.append(cells)
            }
            return StoreReply(answer, revision: Revision(revision))
        }

        private func truth(of operation: StoreOperation) -> Bool {
            guard case .txn(let compares, _, _) = operation else { return true }
            return compares.allSatisfy { compare in
                let cell = cells[compare.range.lower[0]]
                switch compare.target {
                case .modRevision(let wanted): return (cell?.mod ?? 0) == wanted.rawValue
                case .version(let wanted): return (cell?.version ?? 0) == wanted
                case .value(let wanted): return cell.map { [$0.value] == wanted } ?? false
                default: fatalError("these tests make no such condition")
                }
            }
        }

        private mutating func run(
            _ operation: StoreOperation, _ truth: Bool, _ wrote: inout Bool
        ) -> StoreAnswer {
            switch operation {
            case .range(let range, let at, _):
                let seen = at.map { past[min(Int($0.rawValue), past.count) - 1] } ?? cells
                let records = shown(seen, range)
                return .range(records, count: records.count)
            case .put(let key, let value, let wantsPrevious):
                let old = cells[key[0]]
                cells[key[0]] = Cell(
                    value: value[0], create: old?.create ?? revision + 1, mod: revision + 1,
                    version: (old?.version ?? 0) + 1)
                wrote = true
                return .put(previous: wantsPrevious ? old.map { record(key[0], $0) } : nil)
            case .delete(let range, _):
                let gone = shown(cells, range)
                for record in gone { cells[record.key[0]] = nil }
                wrote = wrote || !gone.isEmpty
                return .delete(count: gone.count, previous: [])
            case .txn(_, let yes, let no):
                return .txn(succeeded: truth, (truth ? yes : no).map { run($0, true, &wrote) })
            }
        }

        private func shown(_ cells: [UInt8: Cell], _ range: KeyRange) -> [StoreRecord] {
            cells.keys.sorted().filter { range.contains([$0]) }.map { record($0, cells[$0]!) }
        }

        private func record(_ key: UInt8, _ cell: Cell) -> StoreRecord {
            StoreRecord(
                key: [key], value: [cell.value], createRevision: Revision(cell.create),
                modRevision: Revision(cell.mod), version: cell.version)
        }
    }

    static func simple(_ world: inout ChanceWorld) -> StoreOperation {
        let key = [UInt8(97 + world.upTo(3))]
        let range =
            world.upTo(2) == 0 ? KeyRange.key(key) : KeyRange(lower: key, end: .before([100]))
        switch world.upTo(8) {
        case 0..<3: return .range(range)
        case 3..<7:
            return .put(
                key: key, value: [UInt8(world.upTo(4))], wantsPrevious: world.upTo(3) == 0)
        default: return .delete(range)
        }
    }

    static func request(_ world: inout ChanceWorld) -> StoreRequest {
        if world.upTo(3) > 0 {
            let operation = simple(&world)
            return StoreRequest(
                operation, isSerializable: !operation.mayWrite && world.upTo(4) == 0)
        }
        let key = KeyRange.key([UInt8(97 + world.upTo(3))])
        let target: Compare.Target =
            switch world.upTo(3) {
            case 0: .modRevision(Revision(Int64(world.upTo(6))))
            case 1: .version(Int64(world.upTo(3)))
            default: .value([UInt8(world.upTo(4))])
            }
        return StoreRequest(
            .txn(
                compares: [Compare(range: key, relation: .equal, target: target)],
                then: [simple(&world), simple(&world)], otherwise: [simple(&world)]))
    }

    static func history(_ seed: UInt64, clients: Int, operations: Int) -> StoreHistory {
        var world = ChanceWorld(seed: seed, clients: clients, operations: operations)
        // Serializable reads are answered from any state of the past.
        var states = [Store()]
        var chance = SeededGenerator(seed: seed &+ 1)
        return world.history(
            request: request,
            perform: { request in
                var state =
                    request.isSerializable
                    ? states.randomElement(using: &chance)! : states[states.count - 1]
                let reply = state.reply(request)
                if !request.isSerializable { states.append(state) }
                return reply
            })
    }

    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func whatACorrectStoreAnswersPasses(seed: UInt64) {
        let history = Self.history(seed, clients: 6, operations: 200)
        let verdict = RevisionOrder().check(history)
        #expect(verdict == .linearizable, "seed \(seed): \(verdict)")
    }

    /// A reply like one that the store could have given: some number or value is another.
    static func falsified(
        _ reply: StoreReply, _ generator: inout SeededGenerator
    ) -> StoreReply {
        var reply = reply
        if generator.next() % 3 == 0 {
            let up = generator.next() % 2 == 0
            reply.revision = Revision(max(1, reply.revision.rawValue + (up ? 1 : -1)))
            return reply
        }
        reply.answer = falsified(reply.answer, &generator)
        return reply
    }

    private static func falsified(
        _ answer: StoreAnswer, _ generator: inout SeededGenerator
    ) -> StoreAnswer {
        switch answer {
        case .range(var records, let count):
            guard let index = records.indices.randomElement(using: &generator) else {
                return .range([], count: 1)
            }
            switch generator.next() % 4 {
            case 0:
                records.remove(at: index)
                return .range(records, count: count - 1)
            case 1: records[index].value = [UInt8(generator.next() % 4)]
            case 2: records[index].modRevision = records[index].createRevision
            default: records[index].version += 1
            }
            return .range(records, count: count)
        case .put: return .put(previous: nil)
        case .delete(let count, let previous):
            return .delete(count: count == 0 ? 1 : 0, previous: previous)
        case .txn(let succeeded, var answers):
            guard let index = answers.indices.randomElement(using: &generator) else {
                return .txn(succeeded: !succeeded, answers)
            }
            answers[index] = falsified(answers[index], &generator)
            return .txn(succeeded: succeeded, answers)
        }
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func agreesWithTryingEveryOrder(batch: UInt64) {
        var bad = 0
        for seed in batch * 20..<batch * 20 + 20 {
            var history = Self.history(seed, clients: 4, operations: 7)
            var generator = SeededGenerator(seed: seed)
            for _ in 0..<seed % 3 {
                guard let entry = history.answered.randomElement(using: &generator),
                    case .answered(let reply) = entry.outcome
                else { break }
                history = history.replacing(entry.id, Self.falsified(reply, &generator))
            }
            let isGood = everyOrder(
                of: history, from: Store(), mayBeLate: \.isSerializable,
                next: { state, request, reply in
                    var state = state
                    let given = state.reply(request)
                    return reply == nil || reply == given ? [state] : []
                })
            let verdict = RevisionOrder().check(history)
            #expect(isGood == (verdict == .linearizable), "seed \(seed): \(verdict)")
            #expect(isGood != verdict.isViolation, "seed \(seed)")
            if !isGood { bad += 1 }
        }
        #expect(bad > 0 && bad < 20, "batch \(batch) tries only one verdict")
    }
}
