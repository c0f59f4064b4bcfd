/// Appends fixed-width little-endian integers, LEB128 variable-length integers and length-prefixed
/// bytes. The formats in `docs/formats/` are written with it.
package struct ByteWriter: Sendable {
    package private(set) var bytes: Bytes

    package init(reserving capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    package var count: Int { bytes.count }

    package mutating func write<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Big-endian, for keys whose byte order must be their numeric order.
    package mutating func writeBigEndian<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Unsigned LEB128: 1 byte below 128, at most 10 bytes.
    package mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    package mutating func writeRaw(_ raw: some Collection<UInt8>) {
        bytes.append(contentsOf: raw)
    }

    /// A varint count, then the bytes.
    package mutating func writeLengthPrefixed(_ raw: some Collection<UInt8>) {
        writeVarint(UInt64(raw.count))
        bytes.append(contentsOf: raw)
    }

    package mutating func write(_ value: Bool) {
        bytes.append(value ? 1 : 0)
    }

    /// Overwrites four bytes written earlier, for lengths and checksums known only afterwards.
    package mutating func overwrite(_ value: UInt32, at offset: Int) {
        precondition(offset + 4 <= bytes.count, "overwrite at \(offset) of \(bytes.count) bytes")
        withUnsafeBytes(of: value.littleEndian) { raw in
            for i in 0..<4 { bytes[offset + i] = raw[i] }
        }
    }
}
