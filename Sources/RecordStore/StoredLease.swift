import Primitives
import RecordModel

/// The value of a row of `leases` (docs/formats/record-tables.md).
enum StoredLease {
    static let formatVersion: UInt8 = 1

    /// - Parameter row: the key of the row, which the checksum covers as well.
    static func encode(_ lease: Lease, under row: Bytes) -> Bytes {
        var writer = ByteWriter(reserving: 32)
        writer.write(formatVersion)
        writer.writeVarint(UInt64(bitPattern: lease.seconds))
        writer.writeVarint(lease.generation.rawValue)
        writer.writeVarint(UInt64(bitPattern: lease.remainingSeconds))
        writer.write(checksum(writer.bytes[...], row))
        return writer.bytes
    }

    static func decode(
        _ raw: Bytes, id: LeaseID, under row: Bytes
    ) throws(RecordStoreError) -> Lease {
        do {
            return try decoded(raw, id, row)
        } catch {
            throw .corruptRow(table: "leases", error)
        }
    }

    private static func decoded(
        _ raw: Bytes, _ id: LeaseID, _ row: Bytes
    ) throws(DecodingFailure) -> Lease {
        guard raw.count > 4 else { throw .truncated(field: "checksum", offset: raw.count) }
        let end = raw.count - 4
        var tail = ByteReader(raw[end...])
        guard try tail.read(UInt32.self, "checksum") == checksum(raw[..<end], row) else {
            throw .invalid(field: "checksum", offset: end)
        }
        var reader = ByteReader(raw[..<end])
        let version = try reader.read(UInt8.self, "version")
        guard version == formatVersion else { throw .unsupportedVersion(UInt64(version)) }
        let seconds = Int64(bitPattern: try reader.readVarint("seconds"))
        let generation = LogIndex(try reader.readVarint("generation"))
        let remaining = Int64(bitPattern: try reader.readVarint("remainingSeconds"))
        guard 1...Lease.secondsMax ~= seconds, 0...seconds ~= remaining else {
            throw .invalid(field: "seconds", offset: 1)
        }
        try reader.expectEnd()
        return Lease(
            id: id, seconds: seconds, generation: generation, remainingSeconds: remaining)
    }

    private static func checksum(_ value: ArraySlice<UInt8>, _ row: Bytes) -> UInt32 {
        var crc = CRC32C()
        crc.update(row)
        crc.update(value)
        return crc.value
    }
}

/// The value of a row of `lease_keys`: what it says is in its key.
enum StoredLeaseKey {
    static let value: Bytes = [1]
}
