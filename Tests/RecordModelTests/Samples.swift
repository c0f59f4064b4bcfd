import Primitives
import RecordModel

func bytes(_ text: String) -> Bytes { Bytes(text.utf8) }

/// Two hexadecimal digits a byte; white space is overlooked.
func hex(_ text: String) -> Bytes {
    let digits = text.filter { !$0.isWhitespace }.map { UInt8($0.hexDigitValue ?? 255) }
    precondition(digits.count % 2 == 0 && !digits.contains(255), "not hexadecimal: \(text)")
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// Random values of every shape that a command can have.
struct CommandGenerator {
    var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func number() -> Int64 {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return 0
        case 1: return .max
        case 2: return .min
        case 3: return -1
        case 4: return Int64.random(in: 1...300, using: &random)
        default: return Int64.random(in: .min ... .max, using: &random)
        }
    }

    mutating func revision() -> Revision { Revision(number()) }

    mutating func optionalRevision() -> Revision? {
        Bool.random(using: &random) ? revision() : nil
    }

    mutating func text(max: Int = 6) -> Bytes {
        (0..<Int.random(in: 0...max, using: &random)).map { _ in
            UInt8.random(in: 0...255, using: &random)
        }
    }

    mutating func list<T>(max: Int, _ make: (inout CommandGenerator) -> T) -> [T] {
        var made: [T] = []
        for _ in 0..<Int.random(in: 0...max, using: &random) { made.append(make(&self)) }
        return made
    }

    mutating func range() -> KeyRange {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return KeyRange(lower: text(), end: .single)
        case 1: return KeyRange(lower: text(), end: .before(text()))
        default: return KeyRange(lower: text(), end: .unbounded)
        }
    }

    mutating func term() -> IndexTerm { IndexTerm(name: text(), value: text()) }

    mutating func compare() -> Compare {
        let relations: [Compare.Relation] = [.equal, .greater, .less, .notEqual]
        let targets: [Compare.Target] = [
            .version(number()), .createRevision(revision()), .modRevision(revision()),
            .value(text()), .lease(number()),
        ]
        return Compare(
            range: range(), relation: relations[Int.random(in: 0..<4, using: &random)],
            target: targets[Int.random(in: 0..<5, using: &random)])
    }

    mutating func operation(depth: Int) -> Operation {
        switch Int.random(in: 0..<(depth > 0 ? 4 : 3), using: &random) {
        case 0:
            var request = RangeRequest(
                range: range(), revision: optionalRevision(), limit: Int(number()),
                keysOnly: .random(using: &random), countOnly: .random(using: &random),
                minModRevision: optionalRevision(), maxModRevision: optionalRevision(),
                minCreateRevision: optionalRevision(), maxCreateRevision: optionalRevision())
            request.sortOrder = [.none, .ascend, .descend][Int.random(in: 0..<3, using: &random)]
            request.sortTarget =
                [.key, .version, .create, .mod, .value][Int.random(in: 0..<5, using: &random)]
            return .range(request)
        case 1:
            return .put(
                PutRequest(
                    key: text(), value: text(max: 300), lease: number(),
                    wantsPrevious: .random(using: &random), ignoresValue: .random(using: &random),
                    ignoresLease: .random(using: &random), terms: list(max: 3) { $0.term() }))
        case 2:
            return .deleteRange(
                DeleteRangeRequest(range: range(), wantsPrevious: .random(using: &random)))
        default:
            return .txn(
                TxnRequest(
                    compares: list(max: 3) { $0.compare() },
                    success: list(max: 3) { $0.operation(depth: depth - 1) },
                    failure: list(max: 3) { $0.operation(depth: depth - 1) }))
        }
    }

    mutating func leaseCommand() -> LeaseCommand {
        let id = LeaseID(number())
        let generation = LogIndex(random.next() >> 30)
        let term = Term(random.next() >> 50)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return .grant(id, seconds: number())
        case 1: return .revoke(id)
        case 2: return .expire(id, generation: generation, term: term)
        case 3:
            let checkpoints = list(max: 4) { generator in
                LeaseCheckpoint(
                    id: LeaseID(generator.number()),
                    generation: LogIndex(generator.random.next() >> 20),
                    remainingSeconds: generator.number())
            }
            return .checkpoint(checkpoints, term: term)
        default: return .renew(id, generation: generation, term: term)
        }
    }

    mutating func command() -> Command {
        let name = ["", "restore-1", "Wiederherstellung ü"][Int.random(in: 0..<3, using: &random)]
        let body: Command.Body
        switch Int.random(in: 0..<11, using: &random) {
        case 0: body = .compact(through: revision())
        case 1:
            body = .restoreBegin(
                restoreID: name, revision: revision(), compactRevision: revision())
        case 2:
            body = .restoreRows(
                restoreID: name, sequence: random.next(), rows: text(max: 200))
        case 3:
            body = .restoreFinish(
                restoreID: name, rowCount: random.next(),
                digest: LogicalDigest(high: random.next(), low: random.next()))
        case 4: body = .restoreActivate(restoreID: name)
        case 5, 6: body = .lease(leaseCommand())
        default: body = .operation(operation(depth: 4))
        }
        let id = ProposalID(
            node: NodeID(random.next()), incarnation: random.next() >> 40,
            sequence: random.next() >> 20)
        return Command(id: id, body: body)
    }
}
