import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

@Suite struct TxnTests {
    func version(
        _ key: String, _ relation: Compare.Relation, _ version: Int64
    ) -> Compare {
        Compare(range: .key(bytes(key)), relation: relation, target: .version(version))
    }

    @Test func aTransactionIsOneRevision() throws {
        let shard = try Shard()
        let outcome = try shard.run(.txn(TxnRequest(success: [put("a", "1"), put("b", "1")])))
        #expect(outcome.revision == Revision(2))
        let reader = try shard.store.makeReader()
        let a = try #require(try reader.version(of: bytes("a"), at: Revision(2)))
        let b = try #require(try reader.version(of: bytes("b"), at: Revision(2)))
        #expect((a.subRevision, b.subRevision) == (0, 1))
        // One that changes nothing is none.
        let nothing = TxnRequest(compares: [version("a", .equal, 9)], success: [put("a", "2")])
        #expect(try shard.run(.txn(nothing)).revision == Revision(2))
    }

    @Test func comparesChooseTheList() throws {
        let shard = try Shard()
        try shard.run(put("a", "5"))
        func chosen(_ compares: [Compare]) throws -> Bool {
            try shard.store.makeReader().compare(TxnRequest(compares: compares)).succeeded
        }
        func value(_ relation: Compare.Relation, _ wanted: String, of key: String = "a") -> Compare
        {
            Compare(range: .key(bytes(key)), relation: relation, target: .value(bytes(wanted)))
        }
        func mod(_ relation: Compare.Relation, _ wanted: Int64) -> Compare {
            Compare(
                range: .key(bytes("a")), relation: relation, target: .modRevision(Revision(wanted)))
        }
        #expect(try chosen([]))
        #expect(try chosen([version("a", .equal, 1), mod(.greater, 1)]))
        #expect(try !chosen([version("a", .equal, 1), mod(.less, 2)]))
        #expect(try chosen([value(.equal, "5")]))
        #expect(try chosen([value(.less, "50"), value(.greater, "4"), value(.notEqual, "6")]))
        // What is not there is version 0, and no value is compared with it.
        #expect(try chosen([version("x", .equal, 0)]))
        #expect(try !chosen([value(.notEqual, "5", of: "x")]))
        #expect(try !chosen([value(.equal, "", of: "x")]))
        let lease = Compare(range: .key(bytes("a")), relation: .equal, target: .lease(0))
        let create = Compare(
            range: .key(bytes("a")), relation: .notEqual, target: .createRevision(Revision(2)))
        #expect(try chosen([lease]))
        #expect(try !chosen([create]))
    }

    @Test func aCompareOfARangeHoldsForEveryKeyInIt() throws {
        let shard = try Shard()
        try shard.run(put("a1", "x"))
        try shard.run(put("a2", "y"))
        try shard.run(put("a2", "y"))
        func all(_ relation: Compare.Relation, _ wanted: Int64, _ prefix: String) throws -> Bool {
            let compare = Compare(
                range: .prefix(bytes(prefix)), relation: relation, target: .version(wanted))
            return try shard.store.makeReader().compare(TxnRequest(compares: [compare])).succeeded
        }
        #expect(try all(.greater, 0, "a"))
        #expect(try !all(.equal, 1, "a"))
        #expect(try all(.equal, 0, "b"))
        #expect(try !all(.greater, 0, "b"))
    }

    @Test func readsInATransactionSeeItsWrites() throws {
        let shard = try Shard()
        try shard.run(put("b", "old"))
        try shard.run(put("c", "old"))
        let all = Operation.range(RangeRequest(range: .everything))
        let past = Operation.range(RangeRequest(range: .everything, revision: Revision(3)))
        let result = try shard.result(
            .txn(
                TxnRequest(success: [
                    all, put("a", "new"), put("b", "new"), all, delete("c"), all, past,
                ])))
        guard case .txn(let txn) = result else { throw Surprise("no transaction") }
        let seen = txn.results.compactMap { result -> [String]? in
            guard case .range(let range) = result else { return nil }
            return range.records.map(shown)
        }
        #expect(
            seen == [
                ["b=old", "c=old"], ["a=new", "b=new", "c=old"], ["a=new", "b=new"],
                ["b=old", "c=old"],
            ])
        #expect(
            txn.results[4]
                == .deleteRange(
                    deleted: 1,
                    previous: [
                        Record(
                            key: bytes("c"), value: bytes("old"), createRevision: Revision(3),
                            modRevision: Revision(3), version: 1,
                            timestamp: HybridTimestamp(microseconds: 1_002))
                    ]))
    }

    /// etcd decides all compares before it runs anything (`compareToPath`).
    @Test func nestedComparesLookAtTheStateBefore() throws {
        let shard = try Shard()
        let nested = TxnRequest(
            compares: [version("a", .equal, 0)], success: [put("b", "before")],
            failure: [put("b", "after")])
        let result = try shard.result(.txn(TxnRequest(success: [put("a", "1"), .txn(nested)])))
        guard case .txn(let outer) = result, case .txn(let inner) = outer.results[1] else {
            throw Surprise("no transaction")
        }
        #expect(inner.succeeded)
        #expect(try shard.listing(RangeRequest(range: .everything)) == ["a=1", "b=before"])
    }

    @Test func aRefusedTransactionLeavesNothing() throws {
        let shard = try Shard()
        try shard.run(put("a", "1", [term("n", "1")]))
        let before = try dump(shard.engine, without: [.applied])
        let keep = Operation.put(PutRequest(key: bytes("x"), value: [], ignoresValue: true))
        let future = Operation.range(RangeRequest(range: .everything, revision: Revision(3)))
        #expect(
            try shard.refusal(.txn(TxnRequest(success: [put("b", "1"), keep]))) == .keyNotFound)
        // Even where the transaction itself will make the revision.
        #expect(
            try shard.refusal(.txn(TxnRequest(success: [put("b", "1"), future])))
                == .futureRevision(current: Revision(2)))
        // Found while it runs: the delete, unbounded, is not held against the put.
        let rest = Operation.deleteRange(
            DeleteRangeRequest(range: KeyRange(lower: bytes("a"), end: .unbounded)))
        let late = Operation.put(PutRequest(key: bytes("a"), value: [], ignoresValue: true))
        #expect(
            try shard.refusal(.txn(TxnRequest(success: [put("0", "1"), rest, late])))
                == .keyNotFound)
        #expect(
            try shard.refusal(.txn(TxnRequest(success: [put("b", "1"), put("b", "2")])))
                == .duplicateKey)
        #expect(try dump(shard.engine, without: [.applied]) == before)
        #expect(shard.store.revision == Revision(2))
        #expect(try shard.run(put("b", "1")).revision == Revision(3))
    }

    @Test func aRefusalLeavesNoTraceInTheDigest() throws {
        let early = Operation.txn(TxnRequest(success: [put("b", "1"), put("b", "2")]))
        let rest = Operation.deleteRange(
            DeleteRangeRequest(range: KeyRange(lower: bytes("a"), end: .unbounded)))
        let keep = Operation.put(PutRequest(key: bytes("a"), value: [], ignoresValue: true))
        let late = Operation.txn(TxnRequest(success: [rest, keep]))
        let digests = try [early, late].map { refused in
            let shard = try Shard()
            try shard.run(put("a", "1"))
            #expect(try shard.refusal(refused) != nil)
            return shard.store.effectDigest
        }
        #expect(digests[0] == digests[1])
        let other = try Shard()
        try other.run(put("a", "1"))
        try other.run(put("a", "1"))
        #expect(other.store.effectDigest != digests[0])
    }

    @Test func aKeyMayChangeSeveralTimesWhereEtcdLetsIt() throws {
        let shard = try Shard()
        try shard.run(put("a", "1"))
        let fromA = Operation.deleteRange(
            DeleteRangeRequest(range: KeyRange(lower: bytes("a"), end: .unbounded)))
        let again = TxnRequest(success: [put("a", "2")])
        let gone = TxnRequest(success: [delete("a")])
        try shard.run(.txn(TxnRequest(success: [fromA, .txn(again), .txn(gone)])))
        let reader = try shard.store.makeReader()
        #expect(try reader.record(bytes("a")) == nil)
        let history = try reader.history(of: bytes("a"), limit: 10)
        #expect(history.map(\.modRevision.rawValue) == [3, 3, 3, 2])
        #expect(history.map(\.subRevision) == [2, 1, 0, 0])
        #expect(history[0].kind == .deletion)
        #expect(history[2].kind == .deletion)
        guard case .put(let record) = history[1].kind else { throw Surprise("no put") }
        #expect(record.version == 1)
        #expect(record.createRevision == Revision(3))
        #expect(try reader.version(of: bytes("a"), at: Revision(3)) == history[0])
    }

    /// etcd `checkRequestRange` holds every revision but 0 against what is left; before the first
    /// compaction its floor is -1.
    @Test func aNegativeRevisionInATransactionIsHeldAgainstTheFloor() throws {
        let shard = try Shard()
        try shard.run(put("a", "1"))
        func read(at revision: Int64) throws -> TxnResult {
            let range = RangeRequest(range: .key(bytes("a")), revision: Revision(revision))
            return try shard.store.makeReader().compare(TxnRequest(success: [.range(range)]))
        }
        #expect(try read(at: 0).succeeded)
        #expect(try read(at: -1).succeeded)
        #expect(throws: RecordReadFailure.refused(.compacted(floor: .none))) {
            try read(at: -2)
        }
        try shard.run(.compact(through: Revision(2)))
        #expect(try read(at: 0).succeeded)
        #expect(throws: RecordReadFailure.refused(.compacted(floor: Revision(2)))) {
            try read(at: -1)
        }
        // By itself it means the newest, whatever the floor.
        let alone = RangeRequest(range: .key(bytes("a")), revision: Revision(-1))
        #expect(try shard.store.makeReader().range(alone).count == 1)
    }
}
