import Primitives

/// etcd's `PutRequest`, with index terms.
package struct PutRequest: Hashable, Sendable {
    package var key: Bytes
    package var value: Bytes
    package var lease: Int64
    package var wantsPrevious: Bool
    /// Keep the value that is there; refused with `keyNotFound` where there is none.
    package var ignoresValue: Bool
    package var ignoresLease: Bool
    /// Replaces the record's terms. A plain etcd put carries none.
    package var terms: [IndexTerm]

    package init(
        key: Bytes, value: Bytes, lease: Int64 = 0, wantsPrevious: Bool = false,
        ignoresValue: Bool = false, ignoresLease: Bool = false, terms: [IndexTerm] = []
    ) {
        self.key = key
        self.value = value
        self.lease = lease
        self.wantsPrevious = wantsPrevious
        self.ignoresValue = ignoresValue
        self.ignoresLease = ignoresLease
        self.terms = terms
    }
}

/// etcd's `DeleteRangeRequest`.
package struct DeleteRangeRequest: Hashable, Sendable {
    package var range: KeyRange
    package var wantsPrevious: Bool
    package init(range: KeyRange, wantsPrevious: Bool = false) {
        self.range = range
        self.wantsPrevious = wantsPrevious
    }
}

/// etcd's `RangeRequest`.
package struct RangeRequest: Hashable, Sendable {
    package enum SortOrder: UInt8, Sendable { case none, ascend, descend }
    package enum SortTarget: UInt8, Sendable { case key, version, create, mod, value }

    package var range: KeyRange
    /// nil: the newest.
    package var revision: Revision?
    /// 0: no limit.
    package var limit: Int
    package var sortOrder: SortOrder
    package var sortTarget: SortTarget
    package var keysOnly: Bool
    package var countOnly: Bool
    package var minModRevision: Revision?
    package var maxModRevision: Revision?
    package var minCreateRevision: Revision?
    package var maxCreateRevision: Revision?

    package init(
        range: KeyRange, revision: Revision? = nil, limit: Int = 0, sortOrder: SortOrder = .none,
        sortTarget: SortTarget = .key, keysOnly: Bool = false, countOnly: Bool = false,
        minModRevision: Revision? = nil, maxModRevision: Revision? = nil,
        minCreateRevision: Revision? = nil, maxCreateRevision: Revision? = nil
    ) {
        self.range = range
        self.revision = revision
        self.limit = limit
        self.sortOrder = sortOrder
        self.sortTarget = sortTarget
        self.keysOnly = keysOnly
        self.countOnly = countOnly
        self.minModRevision = minModRevision
        self.maxModRevision = maxModRevision
        self.minCreateRevision = minCreateRevision
        self.maxCreateRevision = maxCreateRevision
    }
}

/// One condition of a transaction: true when it holds for every key in the range. A range that
/// holds no key compares as version, revisions and lease 0, and every compare of its value is
/// false, `notEqual` too (etcd `applyCompare`).
///
/// All compares of a transaction, those of nested ones included, look at the state before it.
package struct Compare: Hashable, Sendable {
    package enum Relation: UInt8, Sendable { case equal, greater, less, notEqual }
    package enum Target: Hashable, Sendable {
        case version(Int64)
        case createRevision(Revision)
        case modRevision(Revision)
        case value(Bytes)
        case lease(Int64)
    }
    package var range: KeyRange
    package var relation: Relation
    package var target: Target
    package init(range: KeyRange, relation: Relation, target: Target) {
        self.range = range
        self.relation = relation
        self.target = target
    }
}

/// etcd's `TxnRequest`: one of two lists of operations, chosen by the compares, at one revision.
package struct TxnRequest: Hashable, Sendable {
    package var compares: [Compare]
    package var success: [Operation]
    package var failure: [Operation]
    package init(compares: [Compare] = [], success: [Operation] = [], failure: [Operation] = []) {
        self.compares = compares
        self.success = success
        self.failure = failure
    }
}

/// What a client can ask of a shard in one step.
package indirect enum Operation: Hashable, Sendable {
    case range(RangeRequest)
    case put(PutRequest)
    case deleteRange(DeleteRangeRequest)
    case txn(TxnRequest)

    /// False for what can be answered without a log entry.
    package var changesState: Bool {
        switch self {
        case .range: return false
        case .put, .deleteRange: return true
        case .txn(let txn):
            return txn.success.contains(where: \.changesState)
                || txn.failure.contains(where: \.changesState)
        }
    }
}
