import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

@Suite struct QueryTests {
    func patients() throws -> Shard {
        let shard = try Shard(.fhir)
        try shard.run(put("p1", "", [term("family", "ab"), term("given", "x"), term("g", "f")]))
        try shard.run(put("p2", "", [term("family", "abc"), term("g", "m")]))
        try shard.run(put("p3", "", [term("family", "b"), term("family", "ab"), term("g", "f")]))
        try shard.run(put("p4", "", [term("familyx", "ab")]))
        return shard
    }

    func match(_ name: String, _ values: TermMatch.Values) -> TermMatch {
        TermMatch(name: bytes(name), values: values)
    }

    func keys(
        _ shard: Shard, _ clauses: [[TermMatch]], limit: Int = 10
    ) throws -> [String] {
        let query = RecordQuery(
            clauses: clauses.map { RecordQuery.Clause(anyOf: $0) }, limit: limit)
        return try shard.store.makeReader().query(query).records
            .map { String(decoding: $0.key, as: UTF8.self) }
    }

    @Test func termsMatchExactlyByPrefixAndByRange() throws {
        let shard = try patients()
        #expect(try keys(shard, [[match("family", .exact(bytes("ab")))]]) == ["p1", "p3"])
        #expect(try keys(shard, [[match("family", .prefix(bytes("ab")))]]) == ["p1", "p3", "p2"])
        #expect(try keys(shard, [[match("family", .prefix([]))]]) == ["p1", "p3", "p2"])
        let range = TermMatch.Values.range(from: bytes("abc"), to: bytes("b"))
        #expect(try keys(shard, [[match("family", range)]]) == ["p2"])
        #expect(
            try keys(shard, [[match("family", .range(from: bytes("abc"), to: nil))]])
                == ["p2", "p3"])
        #expect(
            try keys(shard, [[match("family", .range(from: nil, to: bytes("abc")))]])
                == ["p1", "p3"])
        #expect(try keys(shard, [[match("nothing", .prefix([]))]]) == [])
    }

    @Test func clausesNarrowAndAlternativesWiden() throws {
        let shard = try patients()
        let ab = match("family", .prefix(bytes("ab")))
        let female = match("g", .exact(bytes("f")))
        let male = match("g", .exact(bytes("m")))
        #expect(try keys(shard, [[ab], [female]]) == ["p1", "p3"])
        #expect(try keys(shard, [[ab], [female, male]]) == ["p1", "p3", "p2"])
        #expect(try keys(shard, [[ab], [female], [male]]) == [])
        // Once each, where the first alternative finds it.
        #expect(try keys(shard, [[male, ab]]) == ["p2", "p1", "p3"])
    }

    @Test func theIndexFollowsTheRecord() throws {
        let shard = try patients()
        let ab = [[match("family", .exact(bytes("ab")))]]
        try shard.run(put("p1", "", [term("family", "zz"), term("family", "ab")]))
        #expect(try keys(shard, ab) == ["p1", "p3"])
        try shard.run(put("p1", "", [term("family", "zz")]))
        #expect(try keys(shard, ab) == ["p3"])
        try shard.run(delete("p3"))
        #expect(try keys(shard, ab) == [])
        // A plain put carries no terms.
        try shard.run(put("p1", ""))
        #expect(try keys(shard, [[match("family", .prefix(bytes("z")))]]) == [])
        let left = try dump(shard.engine).filter { $0[0][0] == Table.index.rawValue }
        #expect(left.count == 3)
    }

    @Test func pagesJoinWithoutGapOrRepetition() throws {
        let shard = try patients()
        var query = RecordQuery(
            clauses: [
                .init(anyOf: [
                    match("g", .exact(bytes("m"))), match("family", .prefix([])),
                ])
            ], limit: 1)
        var seen: [String] = []
        var pages = 0
        repeat {
            let page = try shard.store.makeReader().query(query)
            seen += page.records.map { String(decoding: $0.key, as: UTF8.self) }
            query.after = page.next
            pages += 1
            try #require(pages < 9, "pages without end")
        } while query.after != nil
        #expect(seen == ["p2", "p1", "p3"])
        // No empty page at the end.
        #expect(pages == 3)
    }

    @Test func theDrivingClauseBoundsTheKeysRead() throws {
        let shard = try Shard(.fhir)
        for number in 0..<500 {
            try shard.run(
                put("p\(number)", "", [term("all", "1"), term("id", "\(number)")]))
        }
        let reader = try shard.store.makeReader()
        var query = RecordQuery(
            clauses: [
                .init(anyOf: [match("id", .exact(bytes("77")))]),
                .init(anyOf: [match("all", .exact(bytes("1")))]),
            ], limit: 10)
        var result = try reader.query(query)
        #expect(result.records.count == 1)
        #expect(result.keysRead == 2)
        query.clauses[0] = .init(anyOf: [match("id", .exact(bytes("none")))])
        #expect(try reader.query(query).keysRead == 0)
        // A page costs its own records and one look ahead.
        query.clauses = [.init(anyOf: [match("all", .exact(bytes("1")))])]
        result = try reader.query(query)
        #expect(result.records.count == 10)
        #expect(result.keysRead == 22)
        query.after = result.next
        #expect(try reader.query(query).keysRead == 22)
    }

    @Test func aQueryOfNothingIsRefused() throws {
        let reader = try patients().store.makeReader()
        for query in [
            RecordQuery(clauses: [], limit: 1),
            RecordQuery(clauses: [.init(anyOf: [])], limit: 1),
            RecordQuery(clauses: [.init(anyOf: [match("g", .prefix([]))])], limit: 0),
        ] {
            #expect(throws: RecordReadFailure.self) { try reader.query(query) }
        }
    }
}
