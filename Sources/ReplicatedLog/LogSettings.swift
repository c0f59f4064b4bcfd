import Primitives

/// Whose log it is. Written into every segment; segments of another one are refused.
package struct LogIdentity: Hashable, Sendable {
    package var cluster: ClusterID
    package var node: NodeID
    package init(cluster: ClusterID, node: NodeID) {
        self.cluster = cluster
        self.node = node
    }
}

package struct LogSettings: Hashable, Sendable {
    /// Size of a new segment in bytes. A batch that needs more gets a segment of its own size.
    package var segmentBytes: Int
    /// Refuse to begin a new log (`LogError.missing`): set by a shell that knows that this node has
    /// had one.
    package var requireExisting: Bool
    /// Open a damaged log with what is intact, and say of each group what is not, instead of
    /// refusing with `LogError.corruption`. Who sets this owes the log a list of the node's groups
    /// (`ReplicatedLog.declareComplete`): a salvage may lose a group altogether.
    package var salvagesDamage: Bool

    package init(
        segmentBytes: Int = 64 << 20, requireExisting: Bool = false, salvagesDamage: Bool = false
    ) {
        precondition(
            LogLimits.segmentBytes.contains(segmentBytes),
            "segmentBytes \(segmentBytes) is outside \(LogLimits.segmentBytes)")
        self.segmentBytes = segmentBytes
        self.requireExisting = requireExisting
        self.salvagesDamage = salvagesDamage
    }
}

/// What the format and its reader can hold. Constants of format version 2.
package enum LogLimits {
    /// The largest payload of one entry.
    package static let payloadBytesMax = 64 << 20
    /// A batch is closed and written once it holds this much; one larger record makes a larger
    /// batch of its own.
    package static let batchBytesTarget = 4 << 20
    /// A batch is closed and written once it holds this many records.
    package static let batchRecordsTarget = 16_384
    /// Segment sizes that `LogSettings` takes. The upper end leaves room for one largest record.
    package static let segmentBytes = (16 << 10)...(1 << 30)
    /// Groups on one node: each segment opens by restating all of them.
    package static let groupsMax = 65_536
    /// What `entries` reads from the device in one go, before any single larger record.
    package static let readBytesTarget = 1 << 20
    /// Entries in a row that a salvage takes for damaged because the entries before and behind them
    /// are of one term. With more, the group is distrusted and what is behind them is left out.
    package static let unnamedEntriesMax: UInt64 = 1 << 20
}
