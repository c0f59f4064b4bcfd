import struct Foundation.Data
import Primitives
import RecordModel

/// From etcd's messages to the model's, with the checks that etcd makes before it proposes.
extension RangeRequest {
    package init(_ wire: Etcdserverpb_RangeRequest) throws(EtcdError) {
        if wire.key.isEmpty { throw .emptyKey }
        guard let order = SortOrder(wire.sortOrder), let target = SortTarget(wire.sortTarget) else {
            throw .invalidSortOption
        }
        self.init(
            range: KeyRange(key: Bytes(wire.key), rangeEnd: Bytes(wire.rangeEnd)),
            revision: Revision(unlessZero: wire.revision),
            // A negative limit means none, as in etcd.
            limit: Int(clamping: max(0, wire.limit)), sortOrder: order, sortTarget: target,
            keysOnly: wire.keysOnly, countOnly: wire.countOnly,
            minModRevision: Revision(unlessZero: wire.minModRevision),
            maxModRevision: Revision(unlessZero: wire.maxModRevision),
            minCreateRevision: Revision(unlessZero: wire.minCreateRevision),
            maxCreateRevision: Revision(unlessZero: wire.maxCreateRevision))
    }
}

extension Revision {
    fileprivate init?(unlessZero value: Int64) {
        guard value != 0 else { return nil }
        self.init(value)
    }
}

extension RangeRequest.SortOrder {
    fileprivate init?(_ wire: Etcdserverpb_RangeRequest.SortOrder) {
        switch wire {
        case .none: self = .none
        case .ascend: self = .ascend
        case .descend: self = .descend
        case .UNRECOGNIZED: return nil
        }
    }
}

extension RangeRequest.SortTarget {
    fileprivate init?(_ wire: Etcdserverpb_RangeRequest.SortTarget) {
        switch wire {
        case .key: self = .key
        case .version: self = .version
        case .create: self = .create
        case .mod: self = .mod
        case .value: self = .value
        case .UNRECOGNIZED: return nil
        }
    }
}

extension PutRequest {
    package init(_ wire: Etcdserverpb_PutRequest) throws(EtcdError) {
        if wire.key.isEmpty { throw .emptyKey }
        if wire.ignoreValue, !wire.value.isEmpty { throw .valueProvided }
        if wire.ignoreLease, wire.lease != 0 { throw .leaseProvided }
        self.init(
            key: Bytes(wire.key), value: Bytes(wire.value), lease: wire.lease,
            wantsPrevious: wire.prevKv, ignoresValue: wire.ignoreValue,
            ignoresLease: wire.ignoreLease)
    }
}

extension DeleteRangeRequest {
    package init(_ wire: Etcdserverpb_DeleteRangeRequest) throws(EtcdError) {
        if wire.key.isEmpty { throw .emptyKey }
        self.init(
            range: KeyRange(key: Bytes(wire.key), rangeEnd: Bytes(wire.rangeEnd)),
            wantsPrevious: wire.prevKv)
    }
}

extension TxnRequest {
    /// Operations of all nested transactions together, in multiples of `operationsMax`: etcd bounds
    /// only those on one way inwards, and the work of checking them grows faster than their number.
    package static let nestedOperationsFactor = 16

    /// - Parameter operationsMax: etcd's `--max-txn-ops`, for each of the three lists. What the
    ///   longest of them has is taken off for the transactions nested in it (etcd
    ///   `checkTxnRequest`).
    package init(
        _ wire: Etcdserverpb_TxnRequest, operationsMax: Int
    ) throws(EtcdError) {
        var budget = operationsMax * Self.nestedOperationsFactor
        try self.init(wire, operationsMax: operationsMax, budget: &budget)
    }

    fileprivate init(
        _ wire: Etcdserverpb_TxnRequest, operationsMax: Int, budget: inout Int
    ) throws(EtcdError) {
        budget -= wire.compare.count + wire.success.count + wire.failure.count
        guard budget >= 0 else { throw .tooManyOperations }
        let longest = max(wire.compare.count, wire.success.count, wire.failure.count)
        guard longest <= operationsMax else { throw .tooManyOperations }
        self.init()
        for compare in wire.compare { compares.append(try Compare(compare)) }
        let left = operationsMax - longest
        for operation in wire.success {
            success.append(try Operation(operation, operationsMax: left, budget: &budget))
        }
        for operation in wire.failure {
            failure.append(try Operation(operation, operationsMax: left, budget: &budget))
        }
    }
}

extension RecordModel.Operation {
    fileprivate init(
        _ wire: Etcdserverpb_RequestOp, operationsMax: Int, budget: inout Int
    ) throws(EtcdError) {
        switch wire.request {
        case .requestRange(let range): self = .range(try RangeRequest(range))
        case .requestPut(let put): self = .put(try PutRequest(put))
        case .requestDeleteRange(let delete):
            self = .deleteRange(try DeleteRangeRequest(delete))
        case .requestTxn(let txn):
            self = .txn(
                try TxnRequest(txn, operationsMax: operationsMax, budget: &budget))
        case nil:
            throw .keyNotFound  // what etcd answers (`checkRequestOp`)
        }
    }
}

extension Compare {
    fileprivate init(_ wire: Etcdserverpb_Compare) throws(EtcdError) {
        if wire.key.isEmpty { throw .emptyKey }
        let relation: Relation
        switch wire.result {
        case .equal: relation = .equal
        case .greater: relation = .greater
        case .less: relation = .less
        case .notEqual: relation = .notEqual
        case .UNRECOGNIZED(let number):
            throw .malformed("compare result \(number) is not one of 0 to 3")
        }
        // The target decides; a union of another kind compares with the target's zero, as in etcd.
        let target: Target
        switch wire.target {
        case .version: target = .version(wire.version)
        case .create: target = .createRevision(Revision(wire.createRevision))
        case .mod: target = .modRevision(Revision(wire.modRevision))
        case .value: target = .value(Bytes(wire.value))
        case .lease: target = .lease(wire.lease)
        case .UNRECOGNIZED(let number):
            throw .malformed("compare target \(number) is not one of 0 to 4")
        }
        self.init(
            range: KeyRange(key: Bytes(wire.key), rangeEnd: Bytes(wire.rangeEnd)),
            relation: relation, target: target)
    }
}
