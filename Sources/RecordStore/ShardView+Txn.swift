import Primitives
import RecordModel

/// Which list each transaction takes: the outermost first, then those nested in the list it takes,
/// in order. Decided for all before any of them runs (etcd `compareToPath`).
struct TxnPath {
    private var choices: [Bool] = []
    private var position = 0

    mutating func append(_ succeeded: Bool) { choices.append(succeeded) }

    mutating func next() -> Bool {
        defer { position += 1 }
        return choices[position]
    }
}

extension TxnRequest {
    func operations(_ succeeded: Bool) -> [Operation] { succeeded ? success : failure }
}

extension ShardView {
    func path(of txn: TxnRequest) throws(RecordStoreError) -> TxnPath {
        var path = TxnPath()
        try extend(&path, by: txn)
        return path
    }

    private func extend(_ path: inout TxnPath, by txn: TxnRequest) throws(RecordStoreError) {
        var succeeded = true
        for compare in txn.compares where succeeded { succeeded = try holds(compare) }
        path.append(succeeded)
        for case .txn(let nested) in txn.operations(succeeded) { try extend(&path, by: nested) }
    }

    /// etcd `applyCompare`.
    func holds(_ compare: Compare) throws(RecordStoreError) -> Bool {
        var isEmpty = true
        var holds = true
        try forEachNewest(in: compare.range) { (record) throws(RecordStoreError) in
            isEmpty = false
            holds = compare.holds(for: record)
            return holds
        }
        return isEmpty ? compare.holdsForNothing : holds
    }

    /// Revisions of the ranges that the transaction will read, checked against the state before it
    /// (etcd `checkRequestRange`). A negative one, which means the newest elsewhere, is held against
    /// the floor as well; where nothing was compacted yet that is -1.
    func checkRanges(
        _ txn: TxnRequest, _ path: inout TxnPath
    ) throws(RecordReadFailure) {
        let first = compactRevision == .none ? Revision(-1) : compactRevision
        for operation in txn.operations(path.next()) {
            switch operation {
            case .range(let request):
                guard let asked = request.revision, asked != .none else { continue }
                if asked > revision { throw .refused(.futureRevision(current: revision)) }
                if asked < first { throw .refused(.compacted(floor: compactRevision)) }
            case .txn(let nested): try checkRanges(nested, &path)
            case .put, .deleteRange: continue
            }
        }
    }

    /// Runs a transaction that changes nothing.
    func readOnly(
        _ txn: TxnRequest, _ path: inout TxnPath
    ) throws(RecordReadFailure) -> TxnResult {
        let succeeded = path.next()
        var results: [OperationResult] = []
        for operation in txn.operations(succeeded) {
            switch operation {
            case .range(let request): results.append(.range(try range(request)))
            case .txn(let nested): results.append(.txn(try readOnly(nested, &path)))
            case .put, .deleteRange:
                preconditionFailure("a transaction that writes was given to a reader")
            }
        }
        return TxnResult(succeeded: succeeded, results: results)
    }
}

extension Compare {
    fileprivate func holds(for record: Record) -> Bool {
        switch target {
        case .version(let wanted): return relation.holds(record.version, wanted)
        case .createRevision(let wanted): return relation.holds(record.createRevision, wanted)
        case .modRevision(let wanted): return relation.holds(record.modRevision, wanted)
        case .lease(let wanted): return relation.holds(record.lease, wanted)
        case .value(let wanted):
            switch relation {
            case .equal: return record.value == wanted
            case .notEqual: return record.value != wanted
            case .less: return record.value.lexicographicallyPrecedes(wanted)
            case .greater: return wanted.lexicographicallyPrecedes(record.value)
            }
        }
    }

    fileprivate var holdsForNothing: Bool {
        switch target {
        case .version(let wanted), .lease(let wanted): return relation.holds(0, wanted)
        case .createRevision(let wanted), .modRevision(let wanted):
            return relation.holds(.none, wanted)
        case .value: return false
        }
    }
}

extension Compare.Relation {
    fileprivate func holds<T: Comparable>(_ value: T, _ wanted: T) -> Bool {
        switch self {
        case .equal: value == wanted
        case .greater: value > wanted
        case .less: value < wanted
        case .notEqual: value != wanted
        }
    }
}
