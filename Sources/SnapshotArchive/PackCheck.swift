import Primitives
import RecordModel

/// The steps from a pack's file to rows that can be trusted. They work on one copy of the bytes in
/// memory, so that what was checked is what is used, whoever writes to the file meanwhile.
enum PackCheck {
    enum Failure: Error {
        case file(ArchiveError)
        /// The SHA-256 is another than the name says.
        case altered(found: SHA256Digest, bytes: Int)
        case content(PackFile.Problem)
    }

    /// Reads the file, compares its SHA-256, and only then looks into it.
    static func rows(
        of entry: Manifest.Pack, keyspace: String, sequence: UInt64, in packs: ArchiveDirectory
    ) throws(Failure) -> Bytes {
        let file: Bytes
        let found: SHA256Digest
        do throws(ArchiveError) {
            file = try packs.read(
                object: ArchiveLayout.packName(entry.digest),
                limit: ArchiveLimits.packFileBytesMax)
            found = try SHA256Digest(of: file)
        } catch {
            throw .file(error)
        }
        guard found == entry.digest else { throw .altered(found: found, bytes: file.count) }
        guard file.count == Int(entry.bytes) else {
            throw .content(
                .malformed("the file has \(file.count) bytes, the manifest states \(entry.bytes)"))
        }
        do throws(PackFile.Problem) {
            return try PackFile(file, entry: entry, keyspace: keyspace, sequence: sequence).rows
        } catch {
            throw .content(error)
        }
    }

    /// Runs a pack's rows through the keyspace's sequence and compares with the manifest's entry.
    static func take(
        _ rows: Bytes, of entry: Manifest.Pack, into sequence: inout RowSequence
    ) throws(RowProblem) {
        let before = sequence.rowCount
        var cursor = RowCursor(rows, firstRow: before)
        while let row = try cursor.next() {
            try sequence.take(row)
            if sequence.rowCount == before + 1, row.version.key != entry.firstKey {
                throw .keyBounds(row: before)
            }
        }
        let found = sequence.rowCount - before
        guard found == entry.rowCount else {
            throw .count(stated: entry.rowCount, found: found)
        }
        guard sequence.lastKey == entry.lastKey else {
            throw .keyBounds(row: sequence.rowCount - 1)
        }
    }
}
