import Primitives
import RecordModel

/// The value of a row of `revisions`: which key changed, how, and the place in `history` of the
/// version before (docs/formats/record-tables.md). Names the rows that compaction may remove, and
/// what a watch tells as the previous record, without a search.
struct StoredChange: Hashable, Sendable {
    /// What `encode` writes.
    static let formatVersion: UInt8 = 2
    /// Rows of version 1 lack `previousSubRevision`.
    static let oldestFormatVersion: UInt8 = 1

    var isDeletion: Bool
    /// `Revision.none` where the key was not there.
    var previousRevision: Revision
    /// nil only where the row does not say: it is of version 1.
    var previousSubRevision: UInt32?
    var key: Bytes

    /// - Parameter row: the key of the row, which the checksum covers as well.
    func encode(under row: Bytes) -> Bytes {
        guard let previousSubRevision else {
            preconditionFailure("a change of version 1 is written again")
        }
        var writer = ByteWriter(reserving: key.count + 16)
        writer.write(Self.formatVersion)
        writer.write(isDeletion)
        writer.writeVarint(UInt64(bitPattern: previousRevision.rawValue))
        writer.writeVarint(UInt64(previousSubRevision))
        writer.writeLengthPrefixed(key)
        var crc = CRC32C()
        crc.update(row)
        crc.update(writer.bytes)
        writer.write(crc.value)
        return writer.bytes
    }

    init(
        isDeletion: Bool, previousRevision: Revision, previousSubRevision: UInt32, key: Bytes
    ) {
        self.isDeletion = isDeletion
        self.previousRevision = previousRevision
        self.previousSubRevision = previousSubRevision
        self.key = key
    }

    init(decoding raw: Bytes, under row: Bytes) throws(RecordStoreError) {
        do {
            try self.init(raw, row)
        } catch {
            throw .corruptRow(table: "revisions", error)
        }
    }

    private init(_ raw: Bytes, _ row: Bytes) throws(DecodingFailure) {
        guard raw.count > 4 else { throw .truncated(field: "checksum", offset: raw.count) }
        let end = raw.count - 4
        var crc = CRC32C()
        crc.update(row)
        crc.update(raw[..<end])
        var tail = ByteReader(raw[end...])
        guard try tail.read(UInt32.self, "checksum") == crc.value else {
            throw .invalid(field: "checksum", offset: end)
        }
        var reader = ByteReader(raw[..<end])
        let version = try reader.read(UInt8.self, "version")
        guard (Self.oldestFormatVersion...Self.formatVersion).contains(version) else {
            throw .unsupportedVersion(UInt64(version))
        }
        isDeletion = try reader.readBool("deletion")
        previousRevision = Revision(
            Int64(bitPattern: try reader.readVarint("previousRevision")))
        if version > Self.oldestFormatVersion {
            let at = reader.offset
            guard let sub = UInt32(exactly: try reader.readVarint("previousSubRevision")) else {
                throw .invalid(field: "previousSubRevision", offset: at)
            }
            previousSubRevision = sub
        }
        key = Bytes(try reader.readLengthPrefixed("key"))
        try reader.expectEnd()
    }
}
