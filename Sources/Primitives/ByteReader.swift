/// Why bytes could not be decoded: a peer, disk or client broke its contract.
package enum DecodingFailure: Error, Equatable, Sendable {
    /// The bytes end inside a field.
    case truncated(field: StaticStringName, offset: Int)
    /// A field holds a value that the format does not have.
    case invalid(field: StaticStringName, offset: Int)
    /// The format's version is not one that this program reads.
    case unsupportedVersion(UInt64)
    /// Bytes follow the end of the value.
    case trailingBytes(count: Int)
}

/// The name of a field in an error, equatable by its text.
package struct StaticStringName: Equatable, Sendable, ExpressibleByStringLiteral,
    CustomStringConvertible
{
    private let name: StaticString
    package init(stringLiteral name: StaticString) { self.name = name }
    package static func == (a: Self, b: Self) -> Bool { a.description == b.description }
    package var description: String { name.description }
}

/// Reads what `ByteWriter` writes. Never reads past the end: each read states its field, and a
/// short buffer is a `DecodingFailure.truncated` naming it.
package struct ByteReader: Sendable {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    package init(_ bytes: Bytes) {
        self.init(bytes[...])
    }

    package init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    /// Bytes consumed so far.
    package var offset: Int { position - bytes.startIndex }
    package var remaining: Int { bytes.endIndex - position }

    package mutating func read<T: FixedWidthInteger>(
        _ type: T.Type, _ field: StaticStringName
    ) throws(DecodingFailure) -> T {
        T(littleEndian: try loadRaw(field))
    }

    /// The same, with the type taken from where the value goes.
    package mutating func read<T: FixedWidthInteger>(
        _ field: StaticStringName
    ) throws(DecodingFailure) -> T {
        T(littleEndian: try loadRaw(field))
    }

    package mutating func readBigEndian<T: FixedWidthInteger>(
        _ type: T.Type, _ field: StaticStringName
    ) throws(DecodingFailure) -> T {
        T(bigEndian: try loadRaw(field))
    }

    package mutating func readBool(_ field: StaticStringName) throws(DecodingFailure) -> Bool {
        let at = offset
        switch try read(UInt8.self, field) {
        case 0: return false
        case 1: return true
        default: throw .invalid(field: field, offset: at)
        }
    }

    package mutating func readVarint(_ field: StaticStringName) throws(DecodingFailure) -> UInt64 {
        let at = offset
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try read(UInt8.self, field)
            if shift == 63 && byte > 1 { throw .invalid(field: field, offset: at) }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
            if shift > 63 { throw .invalid(field: field, offset: at) }
        }
    }

    /// A varint that must fit a count of things in memory.
    package mutating func readCount(_ field: StaticStringName) throws(DecodingFailure) -> Int {
        let at = offset
        guard let count = Int(exactly: try readVarint(field)) else {
            throw .invalid(field: field, offset: at)
        }
        return count
    }

    package mutating func readRaw(
        count: Int, _ field: StaticStringName
    ) throws(DecodingFailure) -> ArraySlice<UInt8> {
        guard count >= 0, remaining >= count else {
            throw .truncated(field: field, offset: offset)
        }
        defer { position += count }
        return bytes[position..<position + count]
    }

    package mutating func readLengthPrefixed(
        _ field: StaticStringName
    ) throws(DecodingFailure) -> ArraySlice<UInt8> {
        let count = try readCount(field)
        return try readRaw(count: count, field)
    }

    /// To be called after the last field: what is left is an error, not ignored.
    package func expectEnd() throws(DecodingFailure) {
        if remaining != 0 { throw .trailingBytes(count: remaining) }
    }

    private mutating func loadRaw<T: FixedWidthInteger>(
        _ field: StaticStringName
    ) throws(DecodingFailure) -> T {
        let size = MemoryLayout<T>.size
        guard remaining >= size else { throw .truncated(field: field, offset: offset) }
        var value: T = 0
        withUnsafeMutableBytes(of: &value) { target in
            for i in 0..<size { target[i] = bytes[position + i] }
        }
        position += size
        return value
    }
}
