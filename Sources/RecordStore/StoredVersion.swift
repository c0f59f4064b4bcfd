import Primitives
import RecordModel

/// The value of a row of `current` and `history`: one version of one record. Moving a superseded
/// version from one table to the other copies these bytes as they are.
///
/// The checksum covers the record's key as well, so that a value under another key is found out.
enum StoredVersion {
    static let formatVersion: UInt8 = 1
    private static let checksumBytes = 4

    static func encode(_ version: RecordVersion) -> Bytes {
        var valueBytes = 0
        if case .put(let record) = version.kind { valueBytes = record.value.count }
        var writer = ByteWriter(reserving: valueBytes + 64)
        writer.write(formatVersion)
        version.encodeFields(into: &writer)
        var crc = CRC32C()
        crc.update(version.key)
        crc.update(writer.bytes)
        writer.write(crc.value)
        return writer.bytes
    }

    static func decode(
        _ raw: Bytes, key: Bytes, in table: Table
    ) throws(RecordStoreError) -> RecordVersion {
        var reader = ByteReader(try fields(of: raw, key: key, in: table))
        do {
            let version = try RecordVersion(key: key, decodingFields: &reader)
            try reader.expectEnd()
            return version
        } catch {
            throw .corruptRow(table: "\(table)", error)
        }
    }

    /// The fields as `RecordVersion.encodeFields` wrote them, after the checksum has been compared.
    static func fields(
        of raw: Bytes, key: Bytes, in table: Table
    ) throws(RecordStoreError) -> ArraySlice<UInt8> {
        guard raw.count > checksumBytes, let version = raw.first else {
            throw .corruptRow(table: "\(table)", .truncated(field: "checksum", offset: raw.count))
        }
        let end = raw.count - checksumBytes
        var crc = CRC32C()
        crc.update(key)
        crc.update(raw[..<end])
        let stored = raw[end...].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard stored == crc.value else {
            throw .corruptRow(table: "\(table)", .invalid(field: "checksum", offset: end))
        }
        guard version == formatVersion else {
            throw .corruptRow(table: "\(table)", .unsupportedVersion(UInt64(version)))
        }
        return raw[1..<end]
    }

    /// The revision, from fields that are known to be sound.
    static func position(
        ofFields fields: ArraySlice<UInt8>, in table: Table
    ) throws(RecordStoreError) -> (revision: Revision, subRevision: UInt32) {
        var reader = ByteReader(fields)
        do {
            _ = try reader.read(UInt8.self, "kind")
            let revision = Int64(truncatingIfNeeded: try reader.readVarint("modRevision"))
            let subRevision = UInt32(truncatingIfNeeded: try reader.readVarint("subRevision"))
            return (Revision(revision), subRevision)
        } catch {
            throw .corruptRow(table: "\(table)", error)
        }
    }
}

/// The value of a row of `index`. What a query needs is in the key; a put that keeps a term does
/// not write its row again.
enum StoredIndexEntry {
    static let formatVersion: UInt8 = 1
    static let value: Bytes = [formatVersion]
}
