import Primitives
import RecordModel

/// Creates a recovery point in a directory, from the streams in which a cluster hands over its
/// keyspaces: `beginKeyspace`, `append`…, `endKeyspace` for each, then `finish`.
///
/// Holds one pack's rows, compressed and not, in memory. Every call may block on the disk. To be
/// used by one task or thread at a time. After an error the writer must not be used again; the
/// directory then has no manifest, so that it is not a recovery point, and is to be removed.
package final class ArchiveWriter {
    private let directory: ArchiveDirectory
    private let packs: ArchiveDirectory
    private let created: HybridTimestamp
    private let productVersion: String
    private let packBytesTarget: Int

    private var state = State.betweenKeyspaces
    private var clusterID: ClusterID?
    private var keyspaces: [Manifest.Keyspace] = []
    /// Upper bound of the manifest's size so far.
    private var manifestBytes = 4_096

    private enum State {
        case betweenKeyspaces
        case inKeyspace(OpenKeyspace)
        /// After an error, or the end.
        case closed
    }

    private struct OpenKeyspace {
        var keyspace: Manifest.Keyspace
        var sequence: RowSequence
        var pack = OpenPack()
    }

    private struct OpenPack {
        var rows: Bytes = []
        var rowCount: UInt64 = 0
        var firstKey: Bytes = []
        var lastKey: Bytes = []
    }

    /// Makes the directory, or takes an empty one.
    ///
    /// - Parameters:
    ///   - created: now, as the caller's clock says.
    ///   - productVersion: of the program that creates the recovery point; at most
    ///     `ArchiveLimits.productVersionBytesMax` bytes.
    ///   - packBytesTarget: uncompressed bytes at which a pack is closed, 1 to
    ///     `ArchiveLimits.packUncompressedBytesMax`.
    package init(
        creating path: String, created: HybridTimestamp, productVersion: String,
        packBytesTarget: Int = ArchiveLimits.packBytesTarget
    ) throws(ArchiveError) {
        precondition(
            packBytesTarget >= 1 && packBytesTarget <= ArchiveLimits.packUncompressedBytesMax,
            "pack target of \(packBytesTarget) bytes")
        precondition(
            productVersion.utf8.count <= ArchiveLimits.productVersionBytesMax,
            "product version of \(productVersion.utf8.count) bytes")
        directory = try ArchiveDirectory.create(at: path)
        packs = try directory.create(subdirectory: ArchiveLayout.packs)
        self.created = created
        self.productVersion = productVersion
        self.packBytesTarget = packBytesTarget
    }

    /// - Throws: `statement` when the name or the revisions cannot be, when the keyspace is there
    ///   already, or when the stream comes from another cluster than the ones before it.
    package func beginKeyspace(
        _ name: String, revision: Revision, compactRevision: Revision, timestamp: HybridTimestamp,
        clusterID: ClusterID
    ) throws(ArchiveError) {
        guard case .betweenKeyspaces = state else {
            preconditionFailure("beginKeyspace(\(name)) within a keyspace, or after the end")
        }
        state = .closed
        guard Manifest.isKeyspaceName(name) else {
            throw .statement(keyspace: printable(name), reason: "not a keyspace's name")
        }
        guard !keyspaces.contains(where: { $0.name == name }) else {
            throw .statement(keyspace: name, reason: "sent twice")
        }
        guard keyspaces.count < ArchiveLimits.keyspacesMax else {
            throw .statement(
                keyspace: name, reason: "beyond the limit of \(ArchiveLimits.keyspacesMax)")
        }
        guard compactRevision.rawValue >= 0, compactRevision <= revision else {
            throw .statement(
                keyspace: name,
                reason: "compact revision \(compactRevision) with revision \(revision)")
        }
        guard clusterID == self.clusterID ?? clusterID else {
            throw .statement(
                keyspace: name,
                reason: "sent by cluster \(clusterID), other keyspaces by another cluster")
        }
        self.clusterID = clusterID
        manifestBytes += 1_024
        state = .inKeyspace(
            OpenKeyspace(
                keyspace: Manifest.Keyspace(
                    name: name, revision: revision, compactRevision: compactRevision,
                    timestamp: timestamp, rowCount: 0, digest: LogicalDigest(), packs: []),
                sequence: RowSequence(cut: revision)))
    }

    /// Takes in whole rows, in key order, versions of a key from the oldest on.
    ///
    /// - Parameters:
    ///   - rows: as `VersionRow` encodes them, one after another.
    ///   - count: how many the sender says there are.
    package func append(rows: Bytes, count: UInt64) throws(ArchiveError) {
        guard case .inKeyspace(var open) = state else {
            preconditionFailure("append outside a keyspace")
        }
        // Also so that `open` is the only holder of its buffers, which then grow in place.
        state = .closed
        let name = open.keyspace.name
        let before = open.sequence.rowCount
        var cursor = RowCursor(rows, firstRow: before)
        while let row = try Self.checked(name, { () throws(RowProblem) in try cursor.next() }) {
            try Self.checked(name) { () throws(RowProblem) in try open.sequence.take(row) }
            try add(row, to: &open)
        }
        let found = open.sequence.rowCount - before
        guard found == count else {
            throw .rows(keyspace: name, problem: .count(stated: count, found: found))
        }
        state = .inKeyspace(open)
    }

    /// - Throws: `rowCountMismatch`, `digestMismatch` when the rows received are not those that
    ///   the cluster says it sent.
    package func endKeyspace(rowCount: UInt64, digest: LogicalDigest) throws(ArchiveError) {
        guard case .inKeyspace(var open) = state else {
            preconditionFailure("endKeyspace outside a keyspace")
        }
        state = .closed
        let name = open.keyspace.name
        guard open.sequence.rowCount == rowCount else {
            throw .rowCountMismatch(
                keyspace: name, stated: rowCount, received: open.sequence.rowCount)
        }
        guard open.sequence.digest == digest else {
            throw .digestMismatch(
                keyspace: name, stated: digest, received: open.sequence.digest)
        }
        try closePack(of: &open)
        open.keyspace.rowCount = rowCount
        open.keyspace.digest = digest
        keyspaces.append(open.keyspace)
        state = .betweenKeyspaces
    }

    /// Writes the manifest, last of all: with it the directory becomes a recovery point.
    ///
    /// - Returns: the manifest's SHA-256, to be kept apart from the directory.
    package func finish() throws(ArchiveError) -> SHA256Digest {
        guard case .betweenKeyspaces = state, let clusterID else {
            preconditionFailure("finish within a keyspace, before the first, or after the end")
        }
        state = .closed
        let manifest = Manifest(
            created: created, clusterID: clusterID, productVersion: productVersion,
            keyspaces: keyspaces)
        let bytes = manifest.encoded
        let digest = try SHA256Digest(of: bytes)
        try directory.create(
            object: ArchiveLayout.manifestDigest, Bytes(ArchiveLayout.digestLine(digest).utf8))
        try directory.create(object: ArchiveLayout.manifest, bytes)
        return digest
    }

    // MARK: Packs

    private func add(_ row: RowCursor.Row, to open: inout OpenKeyspace) throws(ArchiveError) {
        let bytes = row.encoded.count
        guard bytes <= ArchiveLimits.packUncompressedBytesMax else {
            throw .rows(
                keyspace: open.keyspace.name,
                problem: .tooLarge(row: open.sequence.rowCount - 1, bytes: bytes))
        }
        if open.pack.rows.count + bytes > packBytesTarget { try closePack(of: &open) }
        if open.pack.rowCount == 0 { open.pack.firstKey = row.version.key }
        open.pack.lastKey = row.version.key
        open.pack.rows.append(contentsOf: row.encoded)
        open.pack.rowCount += 1
    }

    /// Writes what has gathered; nothing when nothing has.
    private func closePack(of open: inout OpenKeyspace) throws(ArchiveError) {
        let pack = open.pack
        guard pack.rowCount > 0 else { return }
        open.pack = OpenPack()
        let file = try PackFile(
            keyspace: open.keyspace.name, sequence: UInt64(open.keyspace.packs.count),
            rowCount: pack.rowCount, rows: pack.rows
        ).encoded()
        let entry = Manifest.Pack(
            digest: try SHA256Digest(of: file), bytes: UInt64(file.count),
            uncompressedBytes: UInt64(pack.rows.count), rowCount: pack.rowCount,
            firstKey: pack.firstKey, lastKey: pack.lastKey)
        manifestBytes += Manifest.encodedBytesMax(entry)
        guard manifestBytes <= ArchiveLimits.manifestBytesMax else {
            throw .tooLarge(
                path: directory.path(of: ArchiveLayout.manifest), size: UInt64(manifestBytes),
                limit: UInt64(ArchiveLimits.manifestBytesMax))
        }
        try packs.create(object: ArchiveLayout.packName(entry.digest), file)
        open.keyspace.packs.append(entry)
    }

    private static func checked<T>(
        _ keyspace: String, _ body: () throws(RowProblem) -> T
    ) throws(ArchiveError) -> T {
        do throws(RowProblem) {
            return try body()
        } catch {
            throw .rows(keyspace: keyspace, problem: error)
        }
    }
}
