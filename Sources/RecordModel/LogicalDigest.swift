import Primitives

/// A digest of the logical content of a keyspace (every version of every key), independent of the
/// order in which rows are added: the sum of a 128-bit hash per row, so that a restore can be
/// compared with its source however rows were batched. It finds accidents, not forgery: archives
/// carry SHA-256 for that.
package struct LogicalDigest: Hashable, Sendable, CustomStringConvertible {
    package var high: UInt64
    package var low: UInt64
    package init(high: UInt64 = 0, low: UInt64 = 0) {
        self.high = high
        self.low = low
    }

    /// Adds one row, given as its canonical encoding (`VersionRow.encode`).
    package mutating func add(row: some Collection<UInt8>) {
        let done: Void? = row.withContiguousStorageIfAvailable { add($0) }
        if done == nil { Array(row).withUnsafeBufferPointer { add($0) } }
    }

    /// Concrete, because a generic loop over another module's bytes costs an allocation per byte.
    private mutating func add(_ row: UnsafeBufferPointer<UInt8>) {
        var a: UInt64 = 0xCBF2_9CE4_8422_2325
        var b: UInt64 = 0x9AE1_6A3B_2F90_404F
        for byte in row {
            a = (a ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
            b = (b &+ UInt64(byte)) &* 0x9E37_79B9_7F4A_7C15
            b ^= b >> 29
        }
        low &+= Self.mix(a)
        high &+= Self.mix(b ^ UInt64(truncatingIfNeeded: row.count))
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// 32 lower-case hexadecimal digits.
    package var description: String {
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        return hex(high) + hex(low)
    }

    /// 16 bytes, big-endian.
    package var bytes: Bytes {
        var writer = ByteWriter(reserving: 16)
        writer.writeBigEndian(high)
        writer.writeBigEndian(low)
        return writer.bytes
    }

    package init?(bytes: Bytes) {
        guard bytes.count == 16 else { return nil }
        high = bytes[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
