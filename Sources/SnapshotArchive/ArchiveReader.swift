import Primitives
import RecordModel

/// Reads the rows of a recovery point for a restore. The manifest is checked on opening, each pack
/// before its first row is handed out, each keyspace's count and digest before its end is
/// reported. Every call may block on the disk. To be used by one task or thread at a time.
package final class ArchiveReader {
    package let manifest: Manifest
    package let manifestDigest: SHA256Digest
    private let directory: ArchiveDirectory
    private let packs: ArchiveDirectory

    /// - Parameter expectedManifest: what the manifest's SHA-256 must be, from a place that whoever
    ///   can write to the directory cannot reach. Without it only accidents are found, not forgery.
    /// - Throws: `noManifest`, `damaged`, `unsupportedVersion`, `unexpectedManifest`, or what the
    ///   system said.
    package init(
        opening path: String, expectedManifest: SHA256Digest? = nil
    ) throws(ArchiveError) {
        directory = try ArchiveDirectory.open(at: path)
        let file = try ManifestFile(in: directory)
        try file.expect(expectedManifest, in: directory)
        try file.expectDigestFile(in: directory)
        manifest = try file.decoded(in: directory)
        manifestDigest = file.digest
        packs = try directory.open(subdirectory: ArchiveLayout.packs)
    }

    /// The keyspace's rows in order.
    ///
    /// - Parameter chunkBytesMax: bytes of one chunk, at least 1; a row that alone is larger comes
    ///   alone.
    /// - Throws: `noSuchKeyspace`.
    package func rows(
        of keyspace: String, chunkBytesMax: Int = ArchiveLimits.chunkBytesMax
    ) throws(ArchiveError) -> RowChunks {
        precondition(chunkBytesMax >= 1, "chunks of \(chunkBytesMax) bytes")
        guard let found = manifest.keyspaces.first(where: { $0.name == keyspace }) else {
            throw .noSuchKeyspace(path: directory.path, keyspace: printable(keyspace))
        }
        return RowChunks(keyspace: found, packs: packs, chunkBytesMax: chunkBytesMax)
    }
}

/// Whole rows of one keyspace.
package struct RowChunk: Hashable, Sendable {
    /// From 0, without gaps, in each keyspace. The same for every reading with one chunk size.
    package var sequence: UInt64
    /// As `VersionRow` encodes them, one after another.
    package var rows: Bytes
    package var rowCount: UInt64
}

/// The rows of one keyspace, chunk by chunk. Holds one pack's rows in memory, and its file while
/// it is being decompressed.
package struct RowChunks {
    package let keyspace: Manifest.Keyspace
    private let packs: ArchiveDirectory
    private let chunkBytesMax: Int
    private var sequence: RowSequence
    private var nextPack = 0
    private var pending: Bytes = []
    private var pendingOffset = 0
    private var nextChunk: UInt64 = 0
    private var failure: ArchiveError?

    init(keyspace: Manifest.Keyspace, packs: ArchiveDirectory, chunkBytesMax: Int) {
        self.keyspace = keyspace
        self.packs = packs
        self.chunkBytesMax = chunkBytesMax
        sequence = RowSequence(cut: keyspace.revision)
    }

    /// nil once every row was handed out and all of them are what the manifest states. Until then
    /// what was handed out must not serve. After an error, the same error again.
    package mutating func next() throws(ArchiveError) -> RowChunk? {
        if let failure { throw failure }
        do throws(ArchiveError) {
            if pendingOffset == pending.count {
                guard nextPack < keyspace.packs.count else {
                    try finish()
                    return nil
                }
                try openPack()
            }
            return try takeChunk()
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func openPack() throws(ArchiveError) {
        let entry = keyspace.packs[nextPack]
        let path = packs.path(of: ArchiveLayout.packName(entry.digest))
        pending = []
        pendingOffset = 0
        let rows: Bytes
        do throws(PackCheck.Failure) {
            rows = try PackCheck.rows(
                of: entry, keyspace: keyspace.name, sequence: UInt64(nextPack), in: packs)
        } catch {
            switch error {
            case .file(let error): throw error
            case .altered(let found, _):
                throw .damaged(path: path, reason: "its SHA-256 is \(found), not its name")
            case .content(.unsupportedVersion(let found)):
                throw .unsupportedVersion(
                    path: path, found: found, supported: UInt64(PackFile.formatVersion))
            case .content(let problem):
                throw .damaged(path: path, reason: problem.description)
            }
        }
        do throws(RowProblem) {
            try PackCheck.take(rows, of: entry, into: &sequence)
        } catch {
            throw .rows(keyspace: keyspace.name, problem: error)
        }
        pending = rows
        nextPack += 1
    }

    private mutating func takeChunk() throws(ArchiveError) -> RowChunk {
        var reader = ByteReader(pending[pendingOffset...])
        var end = pendingOffset
        var rowCount: UInt64 = 0
        do throws(DecodingFailure) {
            while reader.remaining > 0 {
                _ = try reader.readLengthPrefixed("row")
                let rowEnd = pendingOffset + reader.offset
                if rowCount > 0, rowEnd - pendingOffset > chunkBytesMax { break }
                end = rowEnd
                rowCount += 1
            }
        } catch {
            preconditionFailure("rows that were checked do not decode at \(end): \(error)")
        }
        defer {
            pendingOffset = end
            nextChunk += 1
        }
        return RowChunk(
            sequence: nextChunk, rows: Bytes(pending[pendingOffset..<end]), rowCount: rowCount)
    }

    private func finish() throws(ArchiveError) {
        guard sequence.rowCount == keyspace.rowCount else {
            throw .rowCountMismatch(
                keyspace: keyspace.name, stated: keyspace.rowCount, received: sequence.rowCount)
        }
        guard sequence.digest == keyspace.digest else {
            throw .digestMismatch(
                keyspace: keyspace.name, stated: keyspace.digest, received: sequence.digest)
        }
    }
}
