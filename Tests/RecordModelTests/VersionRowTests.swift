import Primitives
import RecordModel
import Testing

@Suite struct VersionRowTests {
    static let put = RecordVersion(
        key: bytes("p1"), modRevision: Revision(9), subRevision: 1,
        timestamp: HybridTimestamp(microseconds: 1_000_000, logical: 2),
        kind: .put(
            Record(
                key: bytes("p1"), value: bytes("hello"), createRevision: Revision(7),
                modRevision: Revision(9), version: 3, lease: 0,
                timestamp: HybridTimestamp(microseconds: 1_000_000, logical: 2),
                terms: [IndexTerm(name: bytes("nhs"), value: bytes("999"))])))
    static let deletion = RecordVersion(
        key: bytes("p1"), modRevision: Revision(300), subRevision: 0,
        timestamp: HybridTimestamp(microseconds: 1_000_001), kind: .deletion)

    /// docs/formats/version-row.md, "Worked example".
    @Test func theWorkedExampleIsEncodedAsDocumented() throws {
        let documented = hex(
            """
            1c  02 70 31  00 09 01 c0 84 3d 02  07 03 00
                01 03 6e 68 73 03 39 39 39  05 68 65 6c 6c 6f
            0b  02 70 31  01 ac 02 00 c1 84 3d 00
            """)
        #expect(VersionRow.encode(Self.put) + VersionRow.encode(Self.deletion) == documented)
        #expect(try VersionRow.decodeAll(documented) == [Self.put, Self.deletion])
    }

    @Test func rowsAreCountedAndSummedInAnyOrderAndPieces() throws {
        let first = VersionRow.encode(Self.put)
        let second = VersionRow.encode(Self.deletion)
        var (count, digest) = (UInt64(0), LogicalDigest())
        try VersionRow.tally(first + second, count: &count, digest: &digest)
        var (otherCount, otherDigest) = (UInt64(0), LogicalDigest())
        try VersionRow.tally(second, count: &otherCount, digest: &otherDigest)
        #expect(otherDigest != digest)
        try VersionRow.tally(first, count: &otherCount, digest: &otherDigest)
        #expect((count, digest) == (otherCount, otherDigest))
        #expect(count == 2)
        var direct = LogicalDigest()
        direct.add(row: first)
        direct.add(row: second)
        #expect(direct == digest)
        // docs/formats/version-row.md; computed apart from this program.
        #expect(digest.description == "5f4165e64c09f632d371ea82e9a7b858")
        #expect(LogicalDigest(bytes: digest.bytes) == digest)
    }

    @Test func badRowsAreRefused() {
        let row = VersionRow.encode(Self.put)
        for length in 1..<row.count {
            #expect(throws: DecodingFailure.self) {
                try VersionRow.decodeAll(Bytes(row[..<length]))
            }
        }
        // A length that leaves bytes of the row over.
        var long = row
        long[0] += 1
        #expect(throws: DecodingFailure.trailingBytes(count: 1)) {
            try VersionRow.decodeAll(long + [0])
        }
        // Terms out of order.
        #expect(throws: DecodingFailure.invalid(field: "terms", offset: 10)) {
            try VersionRow.decodeAll(
                hex("13 01 61 00 02 00 05 00 02 01 00 02 01 62 00 01 61 00 01 78"))
        }
        // No such kind.
        #expect(throws: DecodingFailure.invalid(field: "kind", offset: 2)) {
            try VersionRow.decodeAll(hex("07 01 61 02 02 00 05 00"))
        }
    }
}
