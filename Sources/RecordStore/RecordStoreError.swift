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

extension RecordStoreError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .storage(let error): "\(error)"
        case .corruptRow(let table, let failure):
            "a row of table \(table) is damaged" + (failure.map { ": \($0)" } ?? "")
        case .inconsistent(let what): what
        case .unsupportedSemantics(let level, let index):
            "entry \(index) asks for semantics level \(level.rawValue), which this version of spined "
                + "does not have: upgrade it"
        case .keyspaceMismatch(let group, let stored, let asked):
            "group \(group) holds keyspace \(stored), not \(asked)"
        }
    }
}
