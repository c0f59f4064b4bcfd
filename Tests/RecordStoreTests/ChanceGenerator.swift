import Primitives
import RecordModel

/// Random commands and reads over few keys, values and terms, so that they meet.
struct ChanceGenerator {
    var random: SeededGenerator

    static let keys: [Bytes] = [
        [0x61], [0x61, 0], [0x61, 0, 0], [0x61, 0, 1], [0x61, 0, 0xFF], [0x61, 0x62], [0x62], [0],
        [0, 0xFF], [0xFF], [0xFF, 0xFF], [0x63],
    ]
    static let values: [Bytes] = [[], [0], [1], [0, 0], [0xFF], [0x61], [0x61, 0x62]]

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &random) == 0 }

    mutating func pick<T>(_ choices: [T]) -> T {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }

    mutating func key() -> Bytes { chance(40) ? [] : pick(Self.keys) }

    mutating func range() -> KeyRange {
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1: return .key(key())
        case 2, 3: return KeyRange(lower: key(), end: .before(pick(Self.keys)))
        case 4: return KeyRange(lower: key(), end: .unbounded)
        default: return .prefix(pick(Self.keys))
        }
    }

    /// Around the revisions that there are.
    mutating func revision(_ now: Int64) -> Revision {
        Revision(Int64.random(in: -1...(now + 1), using: &random))
    }

    mutating func optionalRevision(_ now: Int64) -> Revision? {
        chance(4) ? revision(now) : nil
    }

    mutating func rangeRequest(_ now: Int64) -> RangeRequest {
        RangeRequest(
            range: range(), revision: chance(2) ? revision(now) : nil,
            limit: chance(2) ? 0 : Int.random(in: 1...5, using: &random),
            sortOrder: pick([.none, .none, .ascend, .descend]),
            sortTarget: pick([.key, .key, .version, .create, .mod, .value]),
            keysOnly: chance(6), countOnly: chance(8), minModRevision: optionalRevision(now),
            maxModRevision: optionalRevision(now), minCreateRevision: optionalRevision(now),
            maxCreateRevision: optionalRevision(now))
    }

    mutating func terms() -> [IndexTerm] {
        (0..<Int.random(in: 0...4, using: &random)).map { _ in
            IndexTerm(name: pick([[], [0], [0x61], [0x61, 0]]), value: pick(Self.values))
        }
    }

    mutating func operation(_ now: Int64, depth: Int = 3) -> Operation {
        switch Int.random(in: 0..<(depth > 0 ? 12 : 8), using: &random) {
        case 0: return .range(rangeRequest(now))
        case 1...5:
            let ignoresValue = chance(8)
            let ignoresLease = chance(8)
            return .put(
                PutRequest(
                    key: key(), value: ignoresValue && !chance(8) ? [] : pick(Self.values),
                    lease: chance(40) ? 7 : 0, wantsPrevious: chance(2),
                    ignoresValue: ignoresValue, ignoresLease: ignoresLease, terms: terms()))
        case 6, 7:
            return .deleteRange(DeleteRangeRequest(range: range(), wantsPrevious: chance(2)))
        default:
            func list(_ count: Int) -> [Operation] {
                (0..<count).map { _ in operation(now, depth: depth - 1) }
            }
            var compares: [Compare] = []
            while chance(2) { compares.append(compare(now)) }
            return .txn(
                TxnRequest(
                    compares: compares, success: list(Int.random(in: 0...4, using: &random)),
                    failure: list(Int.random(in: 0...3, using: &random))))
        }
    }

    mutating func compare(_ now: Int64) -> Compare {
        Compare(
            range: range(), relation: pick([.equal, .greater, .less, .notEqual]),
            target: pick([
                .version(Int64.random(in: 0...3, using: &random)),
                .createRevision(revision(now)), .modRevision(revision(now)),
                .value(pick(Self.values)), .lease(0),
            ]))
    }

    mutating func body(_ now: Int64) -> Command.Body {
        if chance(60) { return .compact(through: Revision(now - 20 + revision(10).rawValue)) }
        return .operation(operation(now))
    }

    mutating func match() -> TermMatch {
        let name: Bytes = pick([[], [0], [0x61], [0x61, 0]])
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return TermMatch(name: name, values: .exact(pick(Self.values)))
        case 1: return TermMatch(name: name, values: .prefix(pick(Self.values)))
        default:
            return TermMatch(
                name: name,
                values: .range(
                    from: chance(3) ? nil : pick(Self.values),
                    to: chance(3) ? nil : pick(Self.values)))
        }
    }

    mutating func query() -> RecordQuery {
        var clauses: [RecordQuery.Clause] = []
        repeat {
            var alternatives = [match()]
            while chance(2) { alternatives.append(match()) }
            clauses.append(RecordQuery.Clause(anyOf: alternatives))
        } while chance(3)
        return RecordQuery(clauses: clauses, limit: Int.random(in: 1...4, using: &random))
    }
}
