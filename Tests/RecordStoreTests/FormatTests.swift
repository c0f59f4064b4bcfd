import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

/// docs/formats/record-tables.md, "Worked example": what the engine holds, byte by byte. The
/// checksums were computed apart from this program.
@Suite struct FormatTests {
    @Test func theWorkedExampleIsStoredAsDocumented() throws {
        let shard = try Shard(.fhir)
        let nhs = [term("nhs", "999")]
        try shard.run(.operation(put("p\0", "v1", nhs)), stamp: 1_000_000)
        try shard.run(.operation(put("p\0", "v2", nhs)), stamp: 1_000_001)

        let current = hex("01 00000002 70 00ff 0001")
        let v1 = hex("01 00 02 00 c0843d 00  02 01 00  01 03 6e6873 03 393939  02 7631  7b27b78a")
        let v2 = hex("01 00 03 00 c1843d 00  02 02 00  01 03 6e6873 03 393939  02 7632  4f1adfd1")
        let superseded = hex("02 00000002 70 00ff 0001 0000000000000002 00000000")
        let change2 = hex("03 00000002 0000000000000002 00000000")
        let change3 = hex("03 00000002 0000000000000003 00000000")
        let index = hex("04 00000002 6e6873 0001 393939 0001 70 00ff 0001")
        #expect(
            try dump(shard.engine, without: [.applied]) == [
                [current, v2], [superseded, v1],
                [change2, hex("02 00 00 00 02 7000  8d459363")],
                [change3, hex("02 00 02 00 02 7000  e54ec022")],
                [index, hex("01")],
            ])

        try shard.run(.operation(delete("p\0")), stamp: 1_000_002)
        #expect(
            try dump(shard.engine) == [
                [superseded, v1],
                [hex("02 00000002 70 00ff 0001 0000000000000003 00000000"), v2],
                [
                    hex("02 00000002 70 00ff 0001 0000000000000004 00000000"),
                    hex("01 01 04 00 c2843d 00  2461c00d"),
                ],
                [change2, hex("02 00 00 00 02 7000  8d459363")],
                [change3, hex("02 00 02 00 02 7000  e54ec022")],
                [
                    hex("03 00000002 0000000000000004 00000000"),
                    hex("02 01 03 00 02 7000  c066b463"),
                ],
                [
                    hex("0a 00000002"),
                    hex(
                        "02 02000000 03 01 04 00 c2843d 00 aa4b97f5a89c2647 00 00 00  31a1f021"),
                ],
            ])
    }

    /// Engines and shards that meet these keys rely on their order.
    @Test func keysOfAnyBytesStayInTheirOrder() throws {
        let shard = try Shard(.default)
        var generator = SeededGenerator(seed: 21)
        print("seed 21")
        var keys: Set<Bytes> = []
        while keys.count < 400 {
            let length = Int.random(in: 1...4, using: &generator)
            let choices: [UInt8] = [0, 0, 1, 2, 0xFE, 0xFF, 0xFF]
            keys.insert(
                (0..<length).map { _ in choices[Int.random(in: 0..<7, using: &generator)] })
        }
        let sorted = keys.sorted { $0.lexicographicallyPrecedes($1) }
        for key in sorted.shuffled(using: &generator) {
            try shard.run(
                .put(
                    PutRequest(
                        key: key, value: [], terms: [IndexTerm(name: key, value: key)])))
        }
        #expect(try shard.range(RangeRequest(range: .everything)).records.map(\.key) == sorted)
        for lower in sorted.prefix(60) {
            let found = try shard.range(RangeRequest(range: .prefix(lower))).records.map(\.key)
            #expect(found == sorted.filter { $0.starts(with: lower) })
            let query = RecordQuery(
                clauses: [.init(anyOf: [TermMatch(name: lower, values: .prefix(lower))])],
                limit: 10)
            #expect(
                try shard.store.makeReader().query(query).records.map(\.key) == [lower])
        }
    }
}
