import Primitives
import RecordModel
import StorageEngine

/// What stops a shard. A refusal of a command or a read is not among these: that is
/// `CommandRefusal`.
package enum RecordStoreError: Error, Equatable, Sendable {
    case storage(StorageError)
    /// A stored row does not decode, or does not match its checksum: the replica's data cannot be
    /// trusted.
    case corruptRow(table: String, DecodingFailure?)
    /// Rows of two tables contradict each other; the text says which.
    case inconsistent(String)
    /// The entry asks for a meaning that this program does not have: it must be upgraded before
    /// it can apply.
    case unsupportedSemantics(SemanticsLevel, LogIndex)
    /// The engine holds the group under another keyspace.
    case keyspaceMismatch(group: GroupID, stored: KeyspaceID, asked: KeyspaceID)
}

/// Why a read gave no answer.
package enum RecordReadFailure: Error, Equatable, Sendable {
    case refused(CommandRefusal)
    case store(RecordStoreError)
}
