import Primitives
import RecordModel

/// Single-key operations, which `KeyLinearizability` checks key by key.
package typealias KeyHistory = History<KeyRequest, KeyAnswer>

/// A linearizable operation on one key of one group.
package struct KeyRequest: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        case read
        case put(Bytes)
        /// Puts where the condition holds, else changes nothing.
        case compareAndPut(Condition, Bytes)
        case delete
    }

    package enum Condition: Hashable, Sendable {
        /// nil: the key is absent.
        case value(Bytes?)
        /// Zero: the key is absent.
        case modRevision(Revision)
    }

    package var group: GroupID
    package var key: Bytes
    package var action: Action

    package init(group: GroupID, key: Bytes, _ action: Action) {
        self.group = group
        self.key = key
        self.action = action
    }
}

/// What an operation on one key was answered. Revisions are those that a state machine with
/// revisions tells; one without them tells nil everywhere.
package enum KeyAnswer: Hashable, Sendable {
    case absent
    case present(Bytes, modRevision: Revision?)
    /// A put, or a compare-and-put whose condition held; `revision` is what it gave the key.
    case written(revision: Revision?)
    /// A compare-and-put whose condition did not hold.
    case conditionFailed
    /// `existed` nil: not told. `revision` only where the deletion took one.
    case deleted(existed: Bool?, revision: Revision?)
}
