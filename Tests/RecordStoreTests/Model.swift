import Primitives
import RecordModel

/// What a shard must answer, said as plainly as possible: a list of versions for each key, searched
/// from end to end. Shares no code with the store.
struct Model {
    var revision: Int64 = 1
    var floor: Int64 = 0
    var versions: [Bytes: [RecordVersion]] = [:]

    struct Refused: Error {
        var refusal: CommandRefusal
    }

    var keys: [Bytes] { versions.keys.sorted { $0.lexicographicallyPrecedes($1) } }

    func record(_ key: Bytes, at past: Int64 = .max) -> Record? {
        let last = versions[key, default: []].last { $0.modRevision.rawValue <= past }
        guard case .put(let record)? = last?.kind else { return nil }
        return record
    }

    func records(_ range: KeyRange, at past: Int64 = .max) -> [Record] {
        keys.filter(range.contains).compactMap { record($0, at: past) }
    }

    // MARK: Commands

    mutating func apply(_ body: Command.Body, _ stamp: HybridTimestamp) -> Result<
        CommandResult, CommandRefusal
    > {
        let before = self
        do {
            switch body {
            case .compact(let through):
                if through.rawValue <= floor { throw refused(.compacted(floor: Revision(floor))) }
                if through.rawValue > revision {
                    throw refused(.futureRevision(current: Revision(revision)))
                }
                floor = through.rawValue
                return .success(.compacted)
            case .operation(let operation):
                if let refusal = operation.validate() { throw refused(refusal) }
                if case .txn(let txn) = operation { try check(txn) }
                if case .put(let put) = operation, put.lease != 0 {
                    throw refused(.leaseNotFound(put.lease))
                }
                var changes: UInt32 = 0
                let result = try run(operation, &changes, stamp, before)
                if changes > 0 { revision += 1 }
                return .success(.operation(result))
            default:
                preconditionFailure("the model restores nothing")
            }
        } catch {
            self = before
            guard let refused = error as? Refused else { preconditionFailure("\(error)") }
            return .failure(refused.refusal)
        }
    }

    private func refused(_ refusal: CommandRefusal) -> Refused { Refused(refusal: refusal) }

    /// All puts of the lists taken, then all ranges.
    private func check(_ txn: TxnRequest) throws {
        let taken = flatten(txn)
        for case .put(let put) in taken {
            if put.ignoresValue || put.ignoresLease, record(put.key) == nil {
                throw refused(.keyNotFound)
            }
            if put.lease != 0 { throw refused(.leaseNotFound(put.lease)) }
        }
        for case .range(let range) in taken {
            // A negative one is no revision to a transaction, and the newest to a range alone (etcd
            // `checkRequestRange`).
            let first = floor == 0 ? -1 : floor
            if let asked = range.revision?.rawValue, asked < 0, asked < first {
                throw refused(.compacted(floor: Revision(floor)))
            }
            try check(range, now: revision)
        }
    }

    private func flatten(_ txn: TxnRequest) -> [Operation] {
        let list = txn.compares.allSatisfy(holds) ? txn.success : txn.failure
        return list.flatMap { operation -> [Operation] in
            if case .txn(let nested) = operation { return flatten(nested) }
            return [operation]
        }
    }

    private func check(_ range: RangeRequest, now: Int64) throws {
        guard let asked = range.revision?.rawValue, asked > 0 else { return }
        if asked > now { throw refused(.futureRevision(current: Revision(now))) }
        if asked < floor { throw refused(.compacted(floor: Revision(floor))) }
    }

    private mutating func run(
        _ operation: Operation, _ changes: inout UInt32, _ stamp: HybridTimestamp,
        _ before: Model
    ) throws -> OperationResult {
        switch operation {
        case .range(let request):
            let now = changes > 0 ? revision + 1 : revision
            return .range(try range(request, now: now))
        case .put(let put):
            let previous = record(put.key)
            if put.ignoresValue || put.ignoresLease, previous == nil { throw refused(.keyNotFound) }
            let new = Revision(revision + 1)
            let record = Record(
                key: put.key, value: put.ignoresValue ? previous!.value : put.value,
                createRevision: previous?.createRevision ?? new, modRevision: new,
                version: (previous?.version ?? 0) + 1, lease: 0, timestamp: stamp,
                terms: Array(Set(put.terms)).sorted())
            add(put.key, .put(record), &changes, stamp)
            return .put(previous: put.wantsPrevious ? previous : nil)
        case .deleteRange(let request):
            let found = records(request.range)
            for record in found { add(record.key, .deletion, &changes, stamp) }
            return .deleteRange(
                deleted: found.count, previous: request.wantsPrevious ? found : [])
        case .txn(let txn):
            let succeeded = txn.compares.allSatisfy(before.holds)
            var results: [OperationResult] = []
            for operation in succeeded ? txn.success : txn.failure {
                results.append(try run(operation, &changes, stamp, before))
            }
            return .txn(TxnResult(succeeded: succeeded, results: results))
        }
    }

    private mutating func add(
        _ key: Bytes, _ kind: RecordVersion.Kind, _ changes: inout UInt32, _ stamp: HybridTimestamp
    ) {
        versions[key, default: []].append(
            RecordVersion(
                key: key, modRevision: Revision(revision + 1), subRevision: changes,
                timestamp: stamp, kind: kind))
        changes += 1
    }

    func holds(_ compare: Compare) -> Bool {
        let found = records(compare.range)
        if found.isEmpty {
            if case .value = compare.target { return false }
            let zero = Record(
                key: [], value: [], createRevision: Revision(0), modRevision: Revision(0),
                version: 0, timestamp: .zero)
            return holds(compare, zero)
        }
        return found.allSatisfy { holds(compare, $0) }
    }

    private func holds(_ compare: Compare, _ record: Record) -> Bool {
        let order: Int
        func difference(_ a: Int64, _ b: Int64) -> Int { a < b ? -1 : a > b ? 1 : 0 }
        switch compare.target {
        case .version(let wanted): order = difference(record.version, wanted)
        case .createRevision(let wanted):
            order = difference(record.createRevision.rawValue, wanted.rawValue)
        case .modRevision(let wanted):
            order = difference(record.modRevision.rawValue, wanted.rawValue)
        case .lease(let wanted): order = difference(record.lease, wanted)
        case .value(let wanted):
            order =
                record.value == wanted
                ? 0 : record.value.lexicographicallyPrecedes(wanted) ? -1 : 1
        }
        switch compare.relation {
        case .equal: return order == 0
        case .greater: return order > 0
        case .less: return order < 0
        case .notEqual: return order != 0
        }
    }

    // MARK: Reads

    func range(_ request: RangeRequest, now: Int64) throws -> RangeResult {
        try check(request, now: now)
        let asked = request.revision?.rawValue ?? 0
        let all = records(request.range, at: asked > 0 ? asked : .max)
        if request.countOnly { return RangeResult(count: all.count) }
        func bound(_ revision: Revision?, _ zero: Int64) -> Int64 {
            revision == nil || revision?.rawValue == 0 ? zero : revision!.rawValue
        }
        let mods = (bound(request.minModRevision, .min), bound(request.maxModRevision, .max))
        let creates = (
            bound(request.minCreateRevision, .min), bound(request.maxCreateRevision, .max)
        )
        let isFiltered =
            mods.0 != .min || mods.1 != .max || creates.0 != .min || creates.1 != .max
        var found = all
        if request.limit > 0, request.sortOrder == .none, !isFiltered {
            found = Array(found.prefix(request.limit + 1))
        }
        found = found.filter {
            mods.0 <= $0.modRevision.rawValue && $0.modRevision.rawValue <= mods.1
                && creates.0 <= $0.createRevision.rawValue
                && $0.createRevision.rawValue <= creates.1
        }
        let rank: (Record) -> Bytes = { record in
            func big(_ value: Int64) -> Bytes {
                (0..<8).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
            }
            switch request.sortTarget {
            case .key: return record.key
            case .version: return big(record.version)
            case .create: return big(record.createRevision.rawValue)
            case .mod: return big(record.modRevision.rawValue)
            case .value: return record.value
            }
        }
        let descends = request.sortOrder == .descend
        // Insertion, so that equals stay in key order.
        var sorted: [Record] = []
        for record in found {
            let at = sorted.firstIndex {
                descends
                    ? rank($0).lexicographicallyPrecedes(rank(record))
                    : rank(record).lexicographicallyPrecedes(rank($0))
            }
            sorted.insert(record, at: at ?? sorted.count)
        }
        let more = request.limit > 0 && sorted.count > request.limit
        if more { sorted = Array(sorted.prefix(request.limit)) }
        if request.keysOnly {
            sorted = sorted.map {
                var r = $0; r.value = []; return r
            }
        }
        return RangeResult(records: sorted, count: all.count, more: more)
    }

    /// Versions of a key, without those that no read at the floor or above can see.
    func visible(_ key: Bytes, retainsAll: Bool) -> [RecordVersion] {
        history(key, before: .max, retainsAll: retainsAll).reversed()
    }

    func history(_ key: Bytes, before: Int64, retainsAll: Bool) -> [RecordVersion] {
        let all = versions[key, default: []]
        guard !retainsAll else {
            return all.filter { $0.modRevision.rawValue < before }.reversed()
        }
        var shown = all.filter { $0.modRevision.rawValue > floor }
        if let old = all.last(where: { $0.modRevision.rawValue <= floor }), old.kind != .deletion {
            shown.insert(old, at: 0)
        }
        return shown.filter { $0.modRevision.rawValue < before }.reversed()
    }

    /// Everything that the query finds, in order, with the index rows that its first clause names.
    func query(_ query: RecordQuery) -> (records: [Record], places: Int) {
        var found: [(Int, Bytes, Record)] = []
        var places = 0
        for record in records(.everything) {
            var first: (Int, Bytes)?
            for (number, alternative) in query.clauses[0].alternatives.enumerated() {
                let values = record.terms.filter(alternative.matches).map(\.value)
                places += values.count
                if first == nil, let value = values.min(by: { $0.lexicographicallyPrecedes($1) }) {
                    first = (number, value)
                }
            }
            let holds = query.clauses.allSatisfy { clause in
                clause.alternatives.contains { record.terms.contains(where: $0.matches) }
            }
            if let first, holds { found.append((first.0, first.1, record)) }
        }
        found.sort { a, b in
            if a.0 != b.0 { return a.0 < b.0 }
            if a.1 != b.1 { return a.1.lexicographicallyPrecedes(b.1) }
            return a.2.key.lexicographicallyPrecedes(b.2.key)
        }
        return (found.map(\.2), places)
    }
}
