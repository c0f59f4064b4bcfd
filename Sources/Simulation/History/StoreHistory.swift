import Primitives
import RecordModel

/// Operations of all shapes on one group, which `RevisionOrder` checks as a whole.
package typealias StoreHistory = History<StoreRequest, StoreReply>

package struct StoreRequest: Hashable, Sendable {
    package var operation: StoreOperation
    /// A read that may be stale (etcd's `serializable`): answered by any member from what it has.
    /// Writes never are.
    package var isSerializable: Bool

    package init(_ operation: StoreOperation, isSerializable: Bool = false) {
        precondition(
            !isSerializable || !operation.mayWrite, "a write cannot be serializable")
        self.operation = operation
        self.isSerializable = isSerializable
    }
}

/// An answer, and the revision that its header gave: for an operation that changed anything the
/// revision it made, else the revision of the state it was answered from.
package struct StoreReply: Hashable, Sendable {
    package var revision: Revision
    package var answer: StoreAnswer

    package init(_ answer: StoreAnswer, revision: Revision) {
        self.answer = answer
        self.revision = revision
    }
}

/// What the sequential model understands of etcd's requests. Leases, index terms, sorting and
/// filters are not in it; `StoreOperation.init?(_:)` says nil to them.
package indirect enum StoreOperation: Hashable, Sendable {
    /// In key order. `at` nil: the newest. `limit` 0: none.
    case range(KeyRange, at: Revision? = nil, limit: Int = 0)
    case put(key: Bytes, value: Bytes, wantsPrevious: Bool = false)
    case delete(KeyRange, wantsPrevious: Bool = false)
    /// Compares look at the state before the transaction. A compare of a lease sees none.
    case txn(compares: [Compare], then: [StoreOperation], otherwise: [StoreOperation])

    /// False for what changes nothing whatever the state.
    package var mayWrite: Bool {
        switch self {
        case .range: false
        case .put, .delete: true
        case .txn(_, let then, let otherwise):
            then.contains(where: \.mayWrite) || otherwise.contains(where: \.mayWrite)
        }
    }
}

/// A record as answers show it.
package struct StoreRecord: Hashable, Sendable {
    package var key: Bytes
    package var value: Bytes
    package var createRevision: Revision
    package var modRevision: Revision
    package var version: Int64

    package init(
        key: Bytes, value: Bytes, createRevision: Revision, modRevision: Revision, version: Int64
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
    }
}

package indirect enum StoreAnswer: Hashable, Sendable {
    /// `count` is of all keys in the range, whatever the limit.
    case range([StoreRecord], count: Int)
    /// nil where there was none, or none was asked for.
    case put(previous: StoreRecord?)
    case delete(count: Int, previous: [StoreRecord])
    case txn(succeeded: Bool, [StoreAnswer])

    /// Whether an operation with this answer made a revision.
    package var tellsOfChange: Bool {
        switch self {
        case .range: false
        case .put: true
        case .delete(let count, _): count > 0
        case .txn(_, let answers): answers.contains(where: \.tellsOfChange)
        }
    }
}
