import Primitives
import RecordModel

/// A member as group 0 holds it, under the key `member/<id in hexadecimal>`
/// (docs/formats/system-records.md).
package struct MemberRecord: Hashable, Sendable {
    static let version: UInt8 = 1
    static let keyPrefix = Bytes("member/".utf8)

    package var id: NodeID
    /// Empty until the member has started once, as in etcd.
    package var name: String
    package var zone: String
    package var peerURLs: [String]
    package var clientURLs: [String]

    static func key(of id: NodeID) -> Bytes { keyPrefix + Bytes(id.description.utf8) }

    func encoded() -> Bytes {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(id.rawValue)
        writer.writeLengthPrefixed(Bytes(name.utf8))
        writer.writeLengthPrefixed(Bytes(zone.utf8))
        for urls in [peerURLs, clientURLs] {
            writer.writeVarint(UInt64(urls.count))
            for url in urls { writer.writeLengthPrefixed(Bytes(url.utf8)) }
        }
        return writer.bytes
    }

    init(
        id: NodeID, name: String, zone: String, peerURLs: [String], clientURLs: [String]
    ) {
        self.id = id
        self.name = name
        self.zone = zone
        self.peerURLs = peerURLs
        self.clientURLs = clientURLs
    }

    init(decoding bytes: Bytes) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self, "version")
        guard version == Self.version else { throw .unsupportedVersion(UInt64(version)) }
        id = NodeID(try reader.read("id"))
        name = String(decoding: try reader.readLengthPrefixed("name"), as: UTF8.self)
        zone = String(decoding: try reader.readLengthPrefixed("zone"), as: UTF8.self)
        peerURLs = try Self.readURLs(&reader)
        clientURLs = try Self.readURLs(&reader)
        try reader.expectEnd()
    }

    private static func readURLs(_ reader: inout ByteReader) throws(DecodingFailure) -> [String] {
        let count = try reader.readCount("urls")
        var urls: [String] = []
        for _ in 0..<count {
            urls.append(String(decoding: try reader.readLengthPrefixed("url"), as: UTF8.self))
        }
        return urls
    }
}
