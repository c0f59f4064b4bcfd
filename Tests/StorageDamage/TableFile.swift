import Primitives

/// Where the parts of one of RocksDB's table files lie: format version 5, uncompressed metadata.
/// A part is named by its block, whose trailer of five bytes (compression, checksum) it includes.
struct TableFile {
    enum Part: String, CaseIterable {
        case data = "data block"
        case index = "index block"
        case filter = "filter block"
        case rangeDeletions = "block of range deletions"
        case properties = "properties block"
        case metaindex = "metaindex block"
        case checksumType = "checksum type in the footer"
        case handles = "handles in the footer"
        case padding = "padding of the footer"
        case version = "version in the footer"
        case magic = "magic number"

        /// A part that is only some bytes, of which many bits are flipped, not some by chance.
        var isSmall: Bool { self == .checksumType || self == .handles || self == .version }
    }

    private(set) var parts: [Part: Range<Int>] = [:]

    private static let footerBytes = 53
    /// Of the footer: the checksum's type, and two handles with their padding.
    private static let paddedBytes = 41
    private static let trailerBytes = 5

    struct NotATable: Error {}

    init(_ bytes: Bytes) throws {
        let footer = bytes.count - Self.footerBytes
        guard footer > 0 else { throw NotATable() }
        parts[.checksumType] = footer..<footer + 1
        var at = footer + 1
        let metaindex = try Self.handle(bytes, &at)
        parts[.metaindex] = metaindex
        parts[.index] = try Self.handle(bytes, &at)
        parts[.handles] = footer + 1..<at
        parts[.padding] = at..<footer + Self.paddedBytes
        parts[.version] = footer + Self.paddedBytes..<bytes.count - 8
        parts[.magic] = bytes.count - 8..<bytes.count

        // Entries of a block: shared and own length of the key, length of the value; the restart
        // points are at its end.
        at = metaindex.lowerBound
        let contentsEnd = metaindex.upperBound - Self.trailerBytes
        let restarts = (0..<4).reduce(0) { $0 | Int(bytes[contentsEnd - 4 + $1]) << (8 * $1) }
        let end = contentsEnd - 4 - 4 * restarts
        var key = Bytes()
        while at < end {
            let shared = try Self.varint(bytes, &at)
            let own = try Self.varint(bytes, &at)
            let valueBytes = try Self.varint(bytes, &at)
            key = Bytes(key.prefix(shared)) + bytes[at..<at + own]
            at += own
            var valueAt = at
            let block = try Self.handle(bytes, &valueAt)
            at += valueBytes
            let name = String(decoding: key, as: UTF8.self)
            if name == "rocksdb.properties" { parts[.properties] = block }
            if name == "rocksdb.range_del" { parts[.rangeDeletions] = block }
            if name.hasPrefix("fullfilter.") { parts[.filter] = block }
        }
        let firstOther = parts.filter { $0.key != .data }.values.map(\.lowerBound).min() ?? 0
        if firstOther > 0 { parts[.data] = 0..<firstOther }
    }

    private static func handle(_ bytes: Bytes, _ at: inout Int) throws -> Range<Int> {
        let offset = try varint(bytes, &at)
        let size = try varint(bytes, &at)
        guard offset + size + trailerBytes <= bytes.count else { throw NotATable() }
        return offset..<offset + size + trailerBytes
    }

    private static func varint(_ bytes: Bytes, _ at: inout Int) throws -> Int {
        var value = 0
        for shift in stride(from: 0, through: 56, by: 7) {
            guard at < bytes.count else { throw NotATable() }
            let byte = bytes[at]
            at += 1
            value |= Int(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw NotATable()
    }
}
