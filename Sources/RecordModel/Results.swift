import Primitives

package struct RangeResult: Hashable, Sendable {
    package var records: [Record]
    /// Keys in the range, whatever the limit (etcd `RangeResponse.count`).
    package var count: Int
    /// True when the limit left records out.
    package var more: Bool
    package init(records: [Record] = [], count: Int = 0, more: Bool = false) {
        self.records = records
        self.count = count
        self.more = more
    }
}

package struct TxnResult: Hashable, Sendable {
    /// Whether all compares held.
    package var succeeded: Bool
    package var results: [OperationResult]
    package init(succeeded: Bool, results: [OperationResult]) {
        self.succeeded = succeeded
        self.results = results
    }
}

package indirect enum OperationResult: Hashable, Sendable {
    case range(RangeResult)
    case put(previous: Record?)
    case deleteRange(deleted: Int, previous: [Record])
    case txn(TxnResult)
}

/// Why the state machine did not do what was asked. Deterministic: every replica refuses alike.
package enum CommandRefusal: Error, Hashable, Sendable {
    /// etcd's "key is not provided".
    case emptyKey
    /// `ignoresValue` or `ignoresLease` on a key that is not there.
    case keyNotFound
    /// One transaction puts a key twice, or puts what it deletes.
    case duplicateKey
    /// The revision is below the compaction floor.
    case compacted(floor: Revision)
    /// The revision has not been reached.
    case futureRevision(current: Revision)
    case leaseNotFound(Int64)
    case leaseExists(LeaseID)
    /// A lease of more than `Lease.secondsMax` or less than one second.
    case leaseTooLong(seconds: Int64)
    /// A decision of a leader about a lease, after its term or about an earlier generation.
    case leaseDecisionStale(LeaseID)
    /// A value was given together with `ignoresValue`.
    case valueProvided
    /// A lease was given together with `ignoresLease`.
    case leaseProvided
    /// A restore into this keyspace has begun and not been activated: it neither serves nor writes.
    case restoring(restoreID: String)
    /// A restore was asked for in a keyspace that holds records.
    case notEmpty(revision: Revision)
    /// A restore step that does not fit the state the keyspace is in; the text says which.
    case restoreMismatch(String)
    /// The records asked for take more than `AnswerLimits` allows, in bytes.
    case answerTooLarge(limit: Int)
    /// The command would write more than `CommandLimits.changeBytesMax`, in bytes.
    case changeTooLarge(limit: Int)
    /// The entry's bytes could not be decoded: refused by every replica alike, changes nothing.
    case malformed(String)
}

/// What applying one command gave.
package struct CommandOutcome: Hashable, Sendable {
    /// The shard's revision after the command.
    package var revision: Revision
    /// Stamp of the command's entry.
    package var timestamp: HybridTimestamp
    package var result: Result<CommandResult, CommandRefusal>
    package init(
        revision: Revision, timestamp: HybridTimestamp,
        result: Result<CommandResult, CommandRefusal>
    ) {
        self.revision = revision
        self.timestamp = timestamp
        self.result = result
    }
}

package enum CommandResult: Hashable, Sendable {
    case operation(OperationResult)
    /// The floor stands at the revision asked for.
    case compacted
    case restore(RestoreProgress)
    case lease(LeaseResult)
}

/// Where a restore into a keyspace stands.
package struct RestoreProgress: Hashable, Sendable {
    package enum Phase: UInt8, Sendable {
        /// No restore has been begun: the keyspace serves.
        case none
        /// Rows are being taken in. Not serving.
        case loading
        /// All rows are there and the digest matched. Not serving yet.
        case verified
        /// Restored, and serving.
        case active
    }
    package var phase: Phase
    package var restoreID: String
    /// The next sequence number of `restoreRows` that will be taken.
    package var nextSequence: UInt64
    package var rowCount: UInt64
    package var digest: LogicalDigest
    package init(
        phase: Phase, restoreID: String, nextSequence: UInt64, rowCount: UInt64,
        digest: LogicalDigest
    ) {
        self.phase = phase
        self.restoreID = restoreID
        self.nextSequence = nextSequence
        self.rowCount = rowCount
        self.digest = digest
    }
}
