import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

@Suite struct OperationTests {
    @Test func versionsAndRevisionsAreCountedAsInEtcd() throws {
        let shard = try Shard()
        #expect(shard.store.revision == Revision(1))
        #expect(try shard.run(put("a", "1")).revision == Revision(2))
        #expect(try shard.run(put("b", "1")).revision == Revision(3))
        #expect(try shard.run(put("a", "2")).revision == Revision(4))
        var a = try #require(try shard.store.makeReader().record(bytes("a")))
        #expect((a.createRevision, a.modRevision) == (Revision(2), Revision(4)))
        #expect(a.version == 2)
        #expect(a.timestamp == HybridTimestamp(microseconds: 1_003))

        #expect(try shard.run(delete("a")).revision == Revision(5))
        #expect(try shard.store.makeReader().record(bytes("a")) == nil)
        // A deletion of nothing is no change.
        #expect(try shard.run(delete("a")).revision == Revision(5))
        #expect(try shard.run(put("a", "3")).revision == Revision(6))
        a = try #require(try shard.store.makeReader().record(bytes("a")))
        #expect((a.createRevision, a.modRevision) == (Revision(6), Revision(6)))
        #expect(a.version == 1)
    }

    @Test func previousRecordsAreGivenWhenAskedFor() throws {
        let shard = try Shard()
        #expect(try shard.result(put("a", "1", wantsPrevious: true)) == .put(previous: nil))
        guard case .put(let previous?) = try shard.result(put("a", "2", wantsPrevious: true))
        else { throw Surprise("no previous record") }
        #expect(shown(previous) == "a=1")
        #expect(try shard.result(put("a", "3")) == .put(previous: nil))
        try shard.run(put("b", "1"))
        guard
            case .deleteRange(let deleted, let records) = try shard.result(
                .deleteRange(DeleteRangeRequest(range: .everything, wantsPrevious: true)))
        else { throw Surprise("no deletion") }
        #expect(deleted == 2)
        #expect(records.map(shown) == ["a=3", "b=1"])
    }

    @Test func ignoredValuesAndLeasesAreKept() throws {
        let shard = try Shard()
        let keep = Operation.put(PutRequest(key: bytes("a"), value: [], ignoresValue: true))
        #expect(try shard.refusal(keep) == .keyNotFound)
        #expect(shard.store.revision == .initial)
        try shard.run(put("a", "1", [term("n", "x")]))
        #expect(try shard.run(keep).revision == Revision(3))
        let record = try #require(try shard.store.makeReader().record(bytes("a")))
        #expect(shown(record) == "a=1")
        #expect(record.version == 2)
        #expect(record.terms == [])
        let keepLease = Operation.put(
            PutRequest(key: bytes("a"), value: bytes("2"), ignoresLease: true))
        #expect(try shard.run(keepLease).revision == Revision(4))
        #expect(try shard.listing(RangeRequest(range: .everything)) == ["a=2"])
    }

    @Test func noLeaseIsKnownYet() throws {
        let shard = try Shard()
        let leased = Operation.put(PutRequest(key: bytes("a"), value: [], lease: 7))
        #expect(try shard.refusal(leased) == .leaseNotFound(7))
        let txn = TxnRequest(success: [put("b", "1"), leased])
        #expect(try shard.refusal(.txn(txn)) == .leaseNotFound(7))
        #expect(try shard.range(RangeRequest(range: .everything)).count == 0)
        #expect(shard.store.revision == .initial)
    }

    @Test func rangesEndWhereEtcdsEnd() throws {
        let shard = try Shard()
        for key in ["a", "a\0", "a\0\u{1}", "ab", "b", "c"] { try shard.run(put(key, "1")) }
        func keys(_ key: String, _ end: Bytes) throws -> [String] {
            try shard.range(RangeRequest(range: KeyRange(key: bytes(key), rangeEnd: end))).records
                .map { String(decoding: $0.key, as: UTF8.self) }
        }
        #expect(try keys("a", []) == ["a"])
        #expect(try keys("a", bytes("b")) == ["a", "a\0", "a\0\u{1}", "ab"])
        #expect(try keys("a\0", bytes("ab")) == ["a\0", "a\0\u{1}"])
        #expect(try keys("b", [0]) == ["b", "c"])
        #expect(try keys("\0", [0]).count == 6)
        #expect(try keys("c", bytes("a")) == [])
        #expect(try shard.range(RangeRequest(range: .prefix(bytes("a\0")))).count == 2)
    }

    @Test func limitsSortsAndFiltersFollowEtcd() throws {
        let shard = try Shard()
        // Revisions: a 2 then 6, b 3, c 4, d 5.
        for (key, value) in [("a", "4"), ("b", "3"), ("c", "2"), ("d", "1"), ("a", "0")] {
            try shard.run(put(key, value))
        }
        var request = RangeRequest(range: .everything, limit: 2)
        var result = try shard.range(request)
        #expect(result.records.map(shown) == ["a=0", "b=3"])
        #expect(result.more)
        #expect(result.count == 4)

        request.limit = 4
        #expect(try shard.range(request).more == false)

        request = RangeRequest(
            range: .everything, limit: 2, sortOrder: .descend, sortTarget: .mod)
        result = try shard.range(request)
        #expect(result.records.map(shown) == ["a=0", "d=1"])
        #expect(result.more)

        // Without an order the limit comes first, and one more than it is sorted.
        request = RangeRequest(range: .everything, limit: 2, sortTarget: .create)
        #expect(try shard.listing(request) == ["a=0", "b=3"])
        request = RangeRequest(range: .everything, limit: 2, sortTarget: .value)
        #expect(try shard.listing(request) == ["a=0", "c=2"])
        request.sortOrder = .ascend
        #expect(try shard.listing(request) == ["a=0", "d=1"])
        request = RangeRequest(range: .everything, sortOrder: .descend, sortTarget: .version)
        #expect(try shard.listing(request) == ["a=0", "b=3", "c=2", "d=1"])
        request = RangeRequest(range: .everything, sortOrder: .descend)
        #expect(try shard.listing(request) == ["d=1", "c=2", "b=3", "a=0"])

        // Filters come before the limit, and do not touch the count.
        request = RangeRequest(
            range: .everything, limit: 1, minModRevision: Revision(4), maxModRevision: Revision(5))
        result = try shard.range(request)
        #expect(result.records.map(shown) == ["c=2"])
        #expect(result.more)
        #expect(result.count == 4)
        request = RangeRequest(
            range: .everything, minCreateRevision: Revision(2), maxCreateRevision: Revision(3))
        #expect(try shard.listing(request) == ["a=0", "b=3"])

        request = RangeRequest(range: .everything, limit: 1, countOnly: true)
        #expect(try shard.range(request) == RangeResult(records: [], count: 4, more: false))
        request = RangeRequest(range: .everything, sortTarget: .value, keysOnly: true)
        result = try shard.range(request)
        #expect(result.records.map(shown) == ["a=", "d=", "c=", "b="])
    }

    @Test func thePastIsReadUntilItIsCompacted() throws {
        let shard = try Shard()
        try shard.run(put("a", "1"))  // 2
        try shard.run(put("b", "1"))  // 3
        try shard.run(delete("a"))  // 4
        try shard.run(put("a", "2"))  // 5
        func at(_ revision: Int64) throws -> [String] {
            try shard.listing(
                RangeRequest(range: .everything, revision: Revision(revision)))
        }
        #expect(try at(1) == [])
        #expect(try at(2) == ["a=1"])
        #expect(try at(3) == ["a=1", "b=1"])
        #expect(try at(4) == ["b=1"])
        #expect(try at(5) == ["a=2", "b=1"])
        #expect(try at(0) == ["a=2", "b=1"])
        #expect(throws: RecordReadFailure.refused(.futureRevision(current: Revision(5)))) {
            try at(6)
        }

        #expect(try shard.run(.compact(through: Revision(4))).result.get() == .compacted)
        #expect(shard.store.revision == Revision(5))
        #expect(throws: RecordReadFailure.refused(.compacted(floor: Revision(4)))) { try at(3) }
        #expect(try at(4) == ["b=1"])
        #expect(
            try shard.refusal(.compact(through: Revision(4))) == .compacted(floor: Revision(4)))
        #expect(
            try shard.refusal(.compact(through: Revision(6)))
                == .futureRevision(current: Revision(5)))
    }
}
