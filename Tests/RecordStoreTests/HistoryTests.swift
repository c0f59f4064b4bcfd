import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

@Suite struct HistoryTests {
    /// Revisions: put 2, put 3, delete 4, put 5.
    func shard(_ keyspace: KeyspaceID) throws -> Shard {
        let shard = try Shard(keyspace)
        try shard.run(put("a", "1"))
        try shard.run(put("a", "2"))
        try shard.run(delete("a"))
        try shard.run(put("a", "3"))
        return shard
    }

    func revisions(_ versions: [RecordVersion]) -> [Int64] {
        versions.map(\.modRevision.rawValue)
    }

    @Test func historyIsNewestFirstWithDeletions() throws {
        let shard = try shard(.fhir)
        let reader = try shard.store.makeReader()
        let all = try reader.history(of: bytes("a"), limit: 10)
        #expect(revisions(all) == [5, 4, 3, 2])
        #expect(all[1].kind == .deletion)
        #expect(all[1].timestamp == HybridTimestamp(microseconds: 1_003))
        #expect(revisions(try reader.history(of: bytes("a"), limit: 2)) == [5, 4])
        #expect(
            revisions(try reader.history(of: bytes("a"), limit: 2, before: Revision(4)))
                == [3, 2])
        #expect(try reader.history(of: bytes("a"), limit: 0) == [])
        #expect(try reader.history(of: bytes("a\0"), limit: 9) == [])
    }

    @Test func aVersionIsFoundAtItsRevisionOnly() throws {
        let shard = try shard(.fhir)
        try shard.run(put("b", "1"))
        let reader = try shard.store.makeReader()
        for revision in 2...5 {
            let found = try reader.version(of: bytes("a"), at: Revision(Int64(revision)))
            #expect(found?.modRevision == Revision(Int64(revision)))
        }
        #expect(try reader.version(of: bytes("a"), at: Revision(6)) == nil)
        #expect(try reader.version(of: bytes("b"), at: Revision(5)) == nil)
        #expect(throws: RecordReadFailure.refused(.futureRevision(current: Revision(6)))) {
            try reader.version(of: bytes("a"), at: Revision(7))
        }
        #expect(try reader.record(bytes("a"), at: Revision(3)).map(shown) == "a=2")
        #expect(try reader.record(bytes("a"), at: Revision(4)) == nil)
    }

    @Test func compactionHidesNoClinicalHistory() throws {
        let shard = try shard(.fhir)
        try shard.run(.compact(through: Revision(5)))
        let reader = try shard.store.makeReader()
        #expect(revisions(try reader.history(of: bytes("a"), limit: 10)) == [5, 4, 3, 2])
        #expect(try reader.version(of: bytes("a"), at: Revision(2)) != nil)
        #expect(throws: RecordReadFailure.refused(.compacted(floor: Revision(5)))) {
            try reader.range(RangeRequest(range: .everything, revision: Revision(2)))
        }
    }

    @Test func elsewhereHistoryEndsAtWhatTheFloorShows() throws {
        let shard = try shard(.default)
        try shard.run(.compact(through: Revision(3)))
        var reader = try shard.store.makeReader()
        #expect(revisions(try reader.history(of: bytes("a"), limit: 10)) == [5, 4, 3])
        #expect(throws: RecordReadFailure.refused(.compacted(floor: Revision(3)))) {
            try reader.version(of: bytes("a"), at: Revision(2))
        }
        try shard.run(.compact(through: Revision(4)))
        reader = try shard.store.makeReader()
        #expect(revisions(try reader.history(of: bytes("a"), limit: 10)) == [5])
    }

    @Test func aReaderStaysWhereItIs() throws {
        let shard = try shard(.default)
        let reader = try shard.store.makeReader()
        try shard.run(put("a", "4"))
        try shard.run(put("z", "1"))
        #expect(reader.revision == Revision(5))
        #expect(reader.appliedIndex == LogIndex(4))
        #expect(reader.newestTimestamp == HybridTimestamp(microseconds: 1_004))
        #expect(try reader.range(RangeRequest(range: .everything)).records.map(shown) == ["a=3"])
        #expect(shard.store.revision == Revision(7))
    }
}
