import Primitives

/// The encoding of one version of one key, as recovery points and restores carry it
/// (docs/formats/version-row.md). It has no format version of its own: the stream that holds rows
/// states it. Each row opens with its length, so rows are concatenated as they are.
///
/// The encoding is canonical: one version has one encoding, and `LogicalDigest.add(row:)` takes
/// exactly the bytes that `encode` wrote for a row, length included.
package enum VersionRow {
    package static func encode(_ version: RecordVersion, into writer: inout ByteWriter) {
        var fields = ByteWriter(reserving: 64)
        version.encodeFields(into: &fields)
        encode(key: version.key, fields: fields.bytes, into: &writer)
    }

    package static func encode(_ version: RecordVersion) -> Bytes {
        var writer = ByteWriter(reserving: 96)
        encode(version, into: &writer)
        return writer.bytes
    }

    /// A row from fields that `RecordVersion.encodeFields` wrote earlier, without decoding them.
    package static func encode(
        key: Bytes, fields: some Collection<UInt8>, into writer: inout ByteWriter
    ) {
        writer.writeVarint(
            UInt64(varintLength(UInt64(key.count)) + key.count + fields.count))
        writer.writeLengthPrefixed(key)
        writer.writeRaw(fields)
    }

    /// Takes the next row from the reader.
    package static func decode(
        from reader: inout ByteReader
    ) throws(DecodingFailure) -> RecordVersion {
        var body = ByteReader(try reader.readLengthPrefixed("row"))
        let key = Bytes(try body.readLengthPrefixed("key"))
        let version = try RecordVersion(key: key, decodingFields: &body)
        try body.expectEnd()
        return version
    }

    /// All rows of a concatenation.
    package static func decodeAll(_ rows: Bytes) throws(DecodingFailure) -> [RecordVersion] {
        var reader = ByteReader(rows)
        var versions: [RecordVersion] = []
        while reader.remaining > 0 { versions.append(try decode(from: &reader)) }
        return versions
    }

    /// Adds each row of a concatenation to a running count and digest. Looks at lengths only.
    package static func tally(
        _ rows: Bytes, count: inout UInt64, digest: inout LogicalDigest
    ) throws(DecodingFailure) {
        var reader = ByteReader(rows)
        while reader.remaining > 0 {
            let start = reader.offset
            _ = try reader.readLengthPrefixed("row")
            digest.add(row: rows[start..<reader.offset])
            count += 1
        }
    }

    private static func varintLength(_ value: UInt64) -> Int {
        max(1, (64 - value.leadingZeroBitCount + 6) / 7)
    }
}

extension RecordVersion {
    private static let putTag: UInt8 = 0
    private static let deletionTag: UInt8 = 1

    /// Whether fields that `encodeFields` wrote are those of a deletion.
    package static func isDeletion(fields: some Collection<UInt8>) -> Bool {
        fields.first == deletionTag
    }

    /// Everything but the key: what a version row and a stored value have in common.
    package func encodeFields(into writer: inout ByteWriter) {
        switch kind {
        case .put: writer.write(Self.putTag)
        case .deletion: writer.write(Self.deletionTag)
        }
        writer.writeVarint(UInt64(bitPattern: modRevision.rawValue))
        writer.writeVarint(UInt64(subRevision))
        writer.writeVarint(timestamp.microseconds)
        writer.writeVarint(UInt64(timestamp.logical))
        guard case .put(let record) = kind else { return }
        precondition(
            record.key == key && record.modRevision == modRevision
                && record.timestamp == timestamp,
            "version \(modRevision) holds a record of revision \(record.modRevision)")
        writer.writeVarint(UInt64(bitPattern: record.createRevision.rawValue))
        writer.writeVarint(UInt64(bitPattern: record.version))
        writer.writeVarint(UInt64(bitPattern: record.lease))
        writer.writeTerms(record.terms)
        writer.writeLengthPrefixed(record.value)
    }

    /// Reads what `encodeFields` wrote. Refuses terms that are not in order.
    package init(key: Bytes, decodingFields reader: inout ByteReader) throws(DecodingFailure) {
        let tagOffset = reader.offset
        let tag = try reader.read(UInt8.self, "kind")
        guard tag == Self.putTag || tag == Self.deletionTag else {
            throw .invalid(field: "kind", offset: tagOffset)
        }
        let modRevision = Revision(try reader.readPositive("modRevision"))
        let subRevision = try reader.readVarint32("subRevision")
        let timestamp = HybridTimestamp(
            microseconds: try reader.readVarint("timestamp"),
            logical: try reader.readVarint32("timestamp.logical"))
        var kind = Kind.deletion
        if tag == Self.putTag {
            let createRevision = Revision(try reader.readPositive("createRevision"))
            let version = try reader.readPositive("version")
            let lease = Int64(bitPattern: try reader.readVarint("lease"))
            let termsOffset = reader.offset
            let terms = try reader.readTerms()
            for (term, following) in zip(terms, terms.dropFirst()) where !(term < following) {
                throw .invalid(field: "terms", offset: termsOffset)
            }
            kind = .put(
                Record(
                    key: key, value: Bytes(try reader.readLengthPrefixed("value")),
                    createRevision: createRevision, modRevision: modRevision, version: version,
                    lease: lease, timestamp: timestamp, terms: terms))
        }
        self.init(
            key: key, modRevision: modRevision, subRevision: subRevision, timestamp: timestamp,
            kind: kind)
    }
}

extension ByteWriter {
    mutating func writeTerms(_ terms: [IndexTerm]) {
        writeVarint(UInt64(terms.count))
        for term in terms {
            writeLengthPrefixed(term.name)
            writeLengthPrefixed(term.value)
        }
    }
}

extension ByteReader {
    mutating func readTerms() throws(DecodingFailure) -> [IndexTerm] {
        // A term takes two bytes at least.
        let count = try readCount("terms", elementBytesMin: 2)
        var terms: [IndexTerm] = []
        terms.reserveCapacity(count)
        for _ in 0..<count {
            let name = Bytes(try readLengthPrefixed("term.name"))
            terms.append(IndexTerm(name: name, value: Bytes(try readLengthPrefixed("term.value"))))
        }
        return terms
    }

    /// A count of elements that the rest of the bytes can hold: a hostile count allocates nothing.
    mutating func readCount(
        _ field: StaticStringName, elementBytesMin: Int
    ) throws(DecodingFailure) -> Int {
        let at = offset
        let count = try readCount(field)
        guard count <= remaining / elementBytesMin else {
            throw .truncated(field: field, offset: at)
        }
        return count
    }

    mutating func readVarint32(_ field: StaticStringName) throws(DecodingFailure) -> UInt32 {
        let at = offset
        guard let value = UInt32(exactly: try readVarint(field)) else {
            throw .invalid(field: field, offset: at)
        }
        return value
    }

    /// A varint from 1 to `Int64.max`.
    mutating func readPositive(_ field: StaticStringName) throws(DecodingFailure) -> Int64 {
        let at = offset
        guard let value = Int64(exactly: try readVarint(field)), value > 0 else {
            throw .invalid(field: field, offset: at)
        }
        return value
    }
}
