import Primitives
import RecordModel

/// What the FHIR layer needs of a record store: the keyspace `fhir` as an in-process node or a
/// remote client serves it. Every read is linearizable. Calls may run concurrently; none may block
/// the cooperative pool.
package protocol RecordService: Sendable {
    /// Applies the transaction as one log entry, whatever its size up to the keyspace's own limit:
    /// all of it or nothing. A transaction whose compares failed is an answer, not an error.
    func execute(_ txn: TxnRequest) async throws(RecordServiceError) -> AppliedTxn

    /// The record as of a revision (nil: the newest); nil when the key does not exist there.
    func record(
        _ key: Bytes, at revision: Revision?
    ) async throws(RecordServiceError) -> Record?

    /// The version of the key that was written at exactly this revision, put or deletion; nil
    /// when that revision did not change the key. When one revision changed a key twice, the last.
    func version(
        of key: Bytes, modRevision: Revision
    ) async throws(RecordServiceError) -> RecordVersion?

    /// Versions of the key over all its lives, newest first, deletions included.
    ///
    /// - Parameters:
    ///   - limit: at most this many, at least 1.
    ///   - before: only versions whose modRevision is below it; nil starts at the newest.
    func history(
        of key: Bytes, limit: Int, before: Revision?
    ) async throws(RecordServiceError) -> [RecordVersion]

    /// Records by their index terms.
    func query(_ query: RecordQuery) async throws(RecordServiceError) -> QueryResult

    /// Records by their keys.
    func range(_ request: RangeRequest) async throws(RecordServiceError) -> RangeResult
}

/// What an applied transaction gave.
package struct AppliedTxn: Hashable, Sendable {
    /// The keyspace's revision after the transaction: the modRevision of every record it changed.
    package var revision: Revision
    /// Stamp of its log entry: the timestamp of every version it wrote.
    package var timestamp: HybridTimestamp
    package var result: TxnResult
    package init(revision: Revision, timestamp: HybridTimestamp, result: TxnResult) {
        self.revision = revision
        self.timestamp = timestamp
        self.result = result
    }
}

/// Why a `RecordService` did not answer. Reasons are for an operator; they name no record's
/// contents.
package enum RecordServiceError: Error, Hashable, Sendable {
    /// Certainly not done, and may succeed later: no leader, a full queue, a stopping node.
    case unavailable(reason: String)
    /// A write that may or may not have been applied. Never retried by the layer below.
    case outcomeUnknown(reason: String)
    /// Every replica refused it alike; changed nothing.
    case refused(CommandRefusal)
    /// The transaction is larger than one log entry may be. Certainly not done.
    case tooLarge(bytes: Int, limit: Int)
}
