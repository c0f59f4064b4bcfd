import FHIRCore
import Primitives
import RecordModel

/// Where a page of a search or history ended, as the `_page` parameter of its next link carries it:
/// base64url of version (1 byte), CRC-32C of what was asked (4), the position, CRC-32C of all
/// before (4). It holds all that is needed, so it outlives restarts and works at every node. The
/// checksums find damage and a token of another search; a forged one reaches nothing that the
/// search itself would not show.
struct PageToken: Hashable, Sendable {
    enum Position: Hashable, Sendable {
        case search(QueryPosition)
        case history(before: Revision)
    }

    var fingerprint: UInt32
    var position: Position

    private static let searchVersion: UInt8 = 1
    private static let historyVersion: UInt8 = 2

    var text: String {
        var writer = ByteWriter()
        switch position {
        case .search(let position):
            writer.write(Self.searchVersion)
            writer.write(fingerprint)
            writer.write(position.alternative)
            writer.writeLengthPrefixed(position.value)
            writer.writeLengthPrefixed(position.key)
        case .history(let before):
            writer.write(Self.historyVersion)
            writer.write(fingerprint)
            writer.write(before.rawValue)
        }
        writer.write(CRC32C.checksum(writer.bytes))
        return Base64URL.encode(writer.bytes)
    }

    /// - Parameter fingerprint: of the request that the token came with.
    init(_ text: String, fingerprint: UInt32) throws(FHIRFailure) {
        guard let bytes = Base64URL.decode(text), bytes.count > 4 else { throw Self.failure }
        do {
            var checksum = ByteReader(bytes.suffix(4))
            guard try checksum.read(UInt32.self, "checksum") == CRC32C.checksum(bytes.dropLast(4))
            else { throw Self.failure }
            var reader = ByteReader(bytes.dropLast(4))
            let version = try reader.read(UInt8.self, "version")
            self.fingerprint = try reader.read(UInt32.self, "fingerprint")
            switch version {
            case Self.searchVersion:
                position = .search(
                    QueryPosition(
                        alternative: try reader.read(UInt32.self, "alternative"),
                        value: Bytes(try reader.readLengthPrefixed("value")),
                        key: Bytes(try reader.readLengthPrefixed("key"))))
            case Self.historyVersion:
                position = .history(before: Revision(try reader.read(Int64.self, "before")))
            default: throw Self.failure
            }
            try reader.expectEnd()
        } catch {
            throw Self.failure
        }
        if self.fingerprint != fingerprint { throw Self.failure }
    }

    init(fingerprint: UInt32, position: Position) {
        self.fingerprint = fingerprint
        self.position = position
    }

    private static let failure = FHIRFailure(
        400, .value, "_page is not from a next link of this request")

    /// Of what a search looks for: the same parameters give the same order of results.
    static func fingerprint(of query: RecordQuery) -> UInt32 {
        var writer = ByteWriter()
        for clause in query.clauses {
            writer.writeVarint(UInt64(clause.alternatives.count))
            for match in clause.alternatives {
                writer.writeLengthPrefixed(match.name)
                switch match.values {
                case .exact(let value):
                    writer.write(UInt8(0))
                    writer.writeLengthPrefixed(value)
                case .prefix(let prefix):
                    writer.write(UInt8(1))
                    writer.writeLengthPrefixed(prefix)
                case .range(let from, let to):
                    writer.write(UInt8(2 + (from == nil ? 0 : 1) + (to == nil ? 0 : 2)))
                    writer.writeLengthPrefixed(from ?? [])
                    writer.writeLengthPrefixed(to ?? [])
                }
            }
        }
        return CRC32C.checksum(writer.bytes)
    }
}

/// RFC 4648 section 5, without padding.
enum Base64URL {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: Bytes) -> String {
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[Int(bits >> UInt32(count) & 63)])
            }
        }
        if count > 0 { text.append(alphabet[Int(bits << UInt32(6 - count) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }

    /// nil for other characters, and for bits left over that are not zero.
    static func decode(_ text: String) -> Bytes? {
        var bytes: Bytes = []
        var bits: UInt32 = 0
        var count = 0
        for character in text.utf8 {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        guard count < 6, bits & ((1 << UInt32(count)) - 1) == 0 else { return nil }
        return bytes
    }
}
