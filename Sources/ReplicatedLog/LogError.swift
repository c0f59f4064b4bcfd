import Primitives

/// Why the log could not do what was asked.
package enum LogError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The device failed. From `append` and `sync` it also poisons the log.
    case device(LogDeviceError)
    /// Bytes that were durable are not what was written. On `open`, nothing was changed on disk.
    case corruption(LogCorruption)
    /// The segments belong to another node or cluster.
    case foreign(expected: LogIdentity, found: LogIdentity, segment: SegmentNumber)
    /// A segment's format version is not one that this program reads.
    case unsupportedVersion(UInt16, segment: SegmentNumber)
    /// `LogSettings.requireExisting` is set and the device holds no log: an empty directory where
    /// a log must be has forgotten entries and votes.
    case missing
    /// An earlier `append`, `sync` or `truncateLog` failed with this. What reached the disk is
    /// unknown; only opening the log again, which reads it back, can tell.
    case poisoned(LogDeviceError)
    /// The entries asked for are not in the log (any more): the caller raced with a replaced
    /// suffix or with truncation. `first > last` when the group's log is empty.
    case unavailable(group: GroupID, index: LogIndex, first: LogIndex, last: LogIndex)
    /// One entry or batch is larger than `LogLimits` allows. Nothing was written.
    case tooLarge(bytes: Int, limit: Int)

    package var description: String {
        switch self {
        case .device(let error): "\(error)"
        case .corruption(let corruption): "\(corruption)"
        case .foreign(let expected, let found, let segment):
            "log segment \(segment) belongs to node \(found.node) of cluster \(found.cluster), "
                + "not to node \(expected.node) of cluster \(expected.cluster)"
        case .unsupportedVersion(let version, let segment):
            "log segment \(segment) has format version \(version), which this program cannot read"
        case .missing: "the log of this node is missing"
        case .poisoned(let cause): "the log stopped after an earlier failure: \(cause)"
        case .unavailable(let group, let index, let first, let last):
            "group \(group) has no entry \(index) in its log, which holds \(first)...\(last)"
        case .tooLarge(let bytes, let limit):
            "\(bytes) bytes are more than the log takes at once (\(limit))"
        }
    }
}

/// Durable bytes that are not what was written: never a torn, unsynced tail
/// (`docs/formats/log-segment.md`, "Torn or rotten").
package struct LogCorruption: Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        /// The segment's first sector is not a header.
        case segmentHeader
        /// The log's segments are not numbered without a gap, or one that was begun is missing.
        case segmentMissing
        /// The segment is shorter than its header says.
        case segmentShort
        /// A sector holds neither what was written nor zeroes.
        case sectorRotten
        /// A sector is lost or unreadable although a later write proves that it had been synced.
        case syncedSectorLost
        /// Sectors are intact, but what they say contradicts itself or what came before.
        case contradiction
        /// A record read back is not the one that the index points to.
        case recordMismatch
        /// Entries of a group are missing between its start and its end.
        case entriesMissing
        /// The log was salvaged, and what it lacks has not been repaired yet.
        case repairPending
        /// The entry is one of `RecoveredGroup.damaged`.
        case entryDamaged
    }

    /// Records that are damaged, as far as their identifiers could be read.
    package struct Damage: Hashable, Sendable, CustomStringConvertible {
        package var group: GroupID
        /// The damaged entries' first and last index; `nil` when only hard state or bookkeeping of
        /// the group is damaged.
        package var indexes: ClosedRange<LogIndex>?
        package init(group: GroupID, indexes: ClosedRange<LogIndex>?) {
            self.group = group
            self.indexes = indexes
        }
        package var description: String {
            guard let indexes else { return "group \(group) (hard state)" }
            return "group \(group) entries \(indexes.lowerBound)...\(indexes.upperBound)"
        }
    }

    package var reason: Reason
    package var segment: SegmentNumber
    /// Byte offset in the segment of the first sector that cannot be trusted.
    package var offset: Int
    /// What is damaged, by group in ascending order. Empty when neither the records nor their
    /// identifiers could be read.
    package var damage: [Damage]

    package init(reason: Reason, segment: SegmentNumber, offset: Int, damage: [Damage] = []) {
        self.reason = reason
        self.segment = segment
        self.offset = offset
        self.damage = damage
    }

    package var description: String {
        let what =
            damage.isEmpty
            ? "unknown records" : damage.map(\.description).joined(separator: ", ")
        return "log corruption (\(reason)) in segment \(segment) at byte \(offset): \(what)"
    }
}
