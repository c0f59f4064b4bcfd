import Primitives

/// The encoding of a command in a log entry (docs/formats/command.md).
extension Command {
    /// The format that `encode` writes, and the newest that can be read.
    package static let formatVersion: UInt8 = 1

    package func encode() -> Bytes {
        var writer = ByteWriter(reserving: 64)
        writer.write(Self.formatVersion)
        writer.write(id.node.rawValue)
        writer.writeVarint(id.incarnation)
        writer.writeVarint(id.sequence)
        switch body {
        case .operation(let operation):
            writer.write(BodyTag.operation)
            operation.encode(into: &writer)
        case .compact(let revision):
            writer.write(BodyTag.compact)
            writer.writeZigzag(revision.rawValue)
        case .restoreBegin(let restoreID, let revision, let compactRevision):
            writer.write(BodyTag.restoreBegin)
            writer.writeLengthPrefixed(restoreID.utf8)
            writer.writeZigzag(revision.rawValue)
            writer.writeZigzag(compactRevision.rawValue)
        case .restoreRows(let restoreID, let sequence, let rows):
            writer.write(BodyTag.restoreRows)
            writer.writeLengthPrefixed(restoreID.utf8)
            writer.writeVarint(sequence)
            writer.writeLengthPrefixed(rows)
        case .restoreFinish(let restoreID, let rowCount, let digest):
            writer.write(BodyTag.restoreFinish)
            writer.writeLengthPrefixed(restoreID.utf8)
            writer.writeVarint(rowCount)
            writer.writeRaw(digest.bytes)
        case .restoreActivate(let restoreID):
            writer.write(BodyTag.restoreActivate)
            writer.writeLengthPrefixed(restoreID.utf8)
        case .lease(let command):
            writer.write(BodyTag.lease)
            command.encode(into: &writer)
        }
        return writer.bytes
    }

    package init(decoding bytes: Bytes) throws(DecodingFailure) {
        try self.init(decoding: bytes[...])
    }

    /// Strict: unknown tags and flags, trailing bytes and transactions nested deeper than
    /// `Operation.nestingDepthMax` are refused.
    package init(decoding bytes: ArraySlice<UInt8>) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self, "version")
        guard version == Self.formatVersion else { throw .unsupportedVersion(UInt64(version)) }
        id = ProposalID(
            node: NodeID(try reader.read(UInt64.self, "id.node")),
            incarnation: try reader.readVarint("id.incarnation"),
            sequence: try reader.readVarint("id.sequence"))
        let at = reader.offset
        switch try reader.read(UInt8.self, "body") {
        case BodyTag.operation:
            body = .operation(try Operation(decoding: &reader, depth: 0))
        case BodyTag.compact:
            body = .compact(through: Revision(try reader.readZigzag("revision")))
        case BodyTag.restoreBegin:
            body = .restoreBegin(
                restoreID: try reader.readText("restoreID"),
                revision: Revision(try reader.readZigzag("revision")),
                compactRevision: Revision(try reader.readZigzag("compactRevision")))
        case BodyTag.restoreRows:
            body = .restoreRows(
                restoreID: try reader.readText("restoreID"),
                sequence: try reader.readVarint("sequence"),
                rows: Bytes(try reader.readLengthPrefixed("rows")))
        case BodyTag.restoreFinish:
            let restoreID = try reader.readText("restoreID")
            let rowCount = try reader.readVarint("rowCount")
            let digestOffset = reader.offset
            let raw = Bytes(try reader.readRaw(count: 16, "digest"))
            guard let digest = LogicalDigest(bytes: raw) else {
                throw .invalid(field: "digest", offset: digestOffset)
            }
            body = .restoreFinish(restoreID: restoreID, rowCount: rowCount, digest: digest)
        case BodyTag.restoreActivate:
            body = .restoreActivate(restoreID: try reader.readText("restoreID"))
        case BodyTag.lease: body = .lease(try LeaseCommand(decoding: &reader))
        default:
            throw .invalid(field: "body", offset: at)
        }
        try reader.expectEnd()
    }

    private enum BodyTag {
        static let operation: UInt8 = 1
        static let compact: UInt8 = 2
        static let restoreBegin: UInt8 = 3
        static let restoreRows: UInt8 = 4
        static let restoreFinish: UInt8 = 5
        static let restoreActivate: UInt8 = 6
        static let lease: UInt8 = 8
    }
}

extension ByteWriter {
    /// A signed integer as a varint whose length grows with the distance from zero: 0, -1, 1, -2
    /// are 0, 1, 2, 3.
    mutating func writeZigzag(_ value: Int64) {
        writeVarint(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }
}

extension ByteReader {
    mutating func readZigzag(_ field: StaticStringName) throws(DecodingFailure) -> Int64 {
        let raw = try readVarint(field)
        return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }

    mutating func readText(_ field: StaticStringName) throws(DecodingFailure) -> String {
        let at = offset
        guard let text = String(validating: try readLengthPrefixed(field), as: UTF8.self) else {
            throw .invalid(field: field, offset: at)
        }
        return text
    }
}
