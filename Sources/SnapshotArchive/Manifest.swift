import Primitives
import RecordModel

/// What a recovery point holds: `manifest.json` (docs/formats/recovery-point.md).
package struct Manifest: Hashable, Sendable {
    package static let format = "spine-recovery-point"
    /// The only version that this program writes and reads.
    package static let formatVersion: UInt64 = 1

    package struct Pack: Hashable, Sendable {
        /// Of the file's bytes; also its name.
        package var digest: SHA256Digest
        /// Of the file.
        package var bytes: UInt64
        package var uncompressedBytes: UInt64
        /// At least 1.
        package var rowCount: UInt64
        package var firstKey: Bytes
        package var lastKey: Bytes
    }

    package struct Keyspace: Hashable, Sendable {
        package var name: String
        /// The cut: every change up to this revision is in, none above it.
        package var revision: Revision
        /// The floor of history when the cut was taken; 0: none.
        package var compactRevision: Revision
        /// Stamp of the cut.
        package var timestamp: HybridTimestamp
        package var rowCount: UInt64
        package var digest: LogicalDigest
        /// In row order. Empty for a keyspace without rows.
        package var packs: [Pack]

        package var bytes: UInt64 { packs.reduce(0) { $0 + $1.bytes } }
        package var uncompressedBytes: UInt64 { packs.reduce(0) { $0 + $1.uncompressedBytes } }
    }

    /// When the recovery point was taken, as its creator says.
    package var created: HybridTimestamp
    /// The cluster that it was taken from.
    package var clusterID: ClusterID
    package var productVersion: String
    /// In the order in which they were taken, names unique.
    package var keyspaces: [Keyspace]
}
