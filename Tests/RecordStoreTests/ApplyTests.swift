import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

@Suite struct ApplyTests {
    @Test func entriesThatAreNoCommandsOnlyMoveTheIndex() throws {
        let shard = try Shard()
        func plain(_ index: UInt64, _ payload: LogEntry.Payload) -> LogEntry {
            LogEntry(
                term: Term(2), index: LogIndex(index),
                timestamp: HybridTimestamp(microseconds: index), payload: payload)
        }
        let applied = try shard.store.apply([
            plain(1, .empty), plain(2, .configuration([1])), entry(3, .operation(put("a", "1"))),
        ])
        #expect(applied.map(\.index.rawValue) == [1, 2, 3])
        #expect(applied[0].outcome == nil)
        #expect(applied[1].proposalID == nil)
        #expect(
            applied[2].proposalID
                == ProposalID(node: NodeID(1), incarnation: 1, sequence: 3))
        #expect(shard.store.appliedIndex == LogIndex(3))
        #expect(shard.store.revision == Revision(2))
    }

    @Test func bytesThatAreNoCommandAreRefusedAndPassed() throws {
        let shard = try Shard()
        let rotten = LogEntry(
            term: Term(1), index: LogIndex(1), timestamp: HybridTimestamp(microseconds: 1),
            payload: .command([1, 2, 3]))
        let applied = try shard.store.apply([rotten])
        guard case .failure(.malformed) = applied[0].outcome?.result else {
            throw Surprise("not refused")
        }
        #expect(shard.store.appliedIndex == LogIndex(1))
        #expect(try shard.run(put("a", "1")).revision == Revision(2))
    }

    @Test func aLevelThatIsNotKnownStopsTheShard() throws {
        let shard = try Shard()
        var later = entry(2, .operation(put("a", "1")))
        later.semantics = SemanticsLevel(2)
        #expect(
            throws: RecordStoreError.unsupportedSemantics(SemanticsLevel(2), LogIndex(2))
        ) {
            try shard.store.apply([entry(1, .operation(put("b", "1"))), later])
        }
        // Nothing of the call has taken effect.
        #expect(shard.store.appliedIndex == .zero)
        #expect(try dump(shard.engine).isEmpty)
    }

    @Test func aReplayIsSkippedUpToTheAppliedIndex() throws {
        let shard = try Shard()
        let entries = (1...5).map { entry(UInt64($0), .operation(put("a", "\($0)"))) }
        _ = try shard.store.apply(Array(entries[..<3]))
        #expect(try shard.store.apply(Array(entries[..<2])) == [])
        #expect(try shard.store.apply(entries).map(\.index.rawValue) == [4, 5])
        #expect(shard.store.revision == Revision(6))
    }

    @Test func aFailedCommitLeavesTheStoreWhereItWas() throws {
        let shard = try Shard()
        try shard.run(put("a", "1"))
        shard.engine.inject(.noSpace("full"), at: .commit)
        #expect(throws: RecordStoreError.storage(.noSpace("full"))) {
            try shard.run(put("a", "2"))
        }
        #expect(shard.store.appliedIndex == LogIndex(1))
        #expect(shard.store.revision == Revision(2))
    }

    @Test func theIndexToReplayFromIsWhatIsOnDisk() throws {
        let shard = try Shard()
        func persisted() throws -> UInt64 {
            try RecordStore.persistedAppliedIndex(engine: shard.engine, group: .defaultKeyspace)
                .rawValue
        }
        #expect(try persisted() == 0)
        try shard.run(put("a", "1"))
        try shard.run(put("a", "2"))
        #expect(try persisted() == 0)
        shard.engine.writeBack(batches: 1)
        #expect(try persisted() == 1)
        try shard.engine.flush()
        #expect(try persisted() == 2)
    }

    @Test func shardsOfOneEngineDoNotSeeEachOther() throws {
        let engine = MemoryEngine()
        let one = try Shard(.default, engine: engine)
        let two = try Shard(.fhir, engine: engine)
        try one.run(put("a", "1", [term("n", "1")]))
        try two.run(put("a", "2", [term("n", "1")]))
        try two.run(put("b", "2", [term("n", "1")]))
        #expect(try one.listing(RangeRequest(range: .everything)) == ["a=1"])
        #expect(try two.listing(RangeRequest(range: .everything)) == ["a=2", "b=2"])
        let query = RecordQuery(
            clauses: [.init(anyOf: [TermMatch(name: bytes("n"), values: .prefix([]))])], limit: 9)
        #expect(try one.store.makeReader().query(query).records.count == 1)
        #expect(one.store.revision == Revision(2))
        let export = try one.store.makeReader().exportRows()
        var copy = export
        _ = try copy.nextRows(maxBytes: 1 << 20)
        #expect(copy.count == 1)
        #expect(
            throws: RecordStoreError.keyspaceMismatch(
                group: .fhirKeyspace, stored: .fhir, asked: .default)
        ) {
            try RecordStore(engine: engine, group: .fhirKeyspace, keyspace: .default)
        }
    }

    /// Of an engine that does not check its blocks: the value's own checksum finds the bit.
    @Test func aFlippedBitIsNeverServed() throws {
        for table in [Table.current, .history, .applied] {
            for bit in stride(from: 0, to: 400, by: 7) {
                let engine = MemoryEngine(verifiesChecksums: false)
                let shard = try Shard(engine: engine)
                try shard.run(put("a", "one"))
                try shard.run(put("a", "two"))
                try engine.flush()
                let row = try #require(try dump(engine).first { $0[0][0] == table.rawValue })
                #expect(engine.damageValue(for: row[0], bit: bit))
                #expect(throws: (any Error).self) {
                    let store = try RecordStore(
                        engine: engine, group: .defaultKeyspace, keyspace: .default)
                    var export = try store.makeReader().exportRows()
                    _ = try export.nextRows(maxBytes: 1 << 20)
                }
            }
        }
    }

    @Test func aValueUnderAnotherKeyIsFound() throws {
        let shard = try Shard()
        try shard.run(put("a", "one"))
        try shard.run(put("b", "two"))
        let rows = try dump(shard.engine).filter { $0[0][0] == Table.current.rawValue }
        var batch = WriteBatch()
        batch.put(rows[0][0], rows[1][1])
        try shard.engine.commit(batch)
        #expect(
            throws: RecordReadFailure.store(
                .corruptRow(
                    table: "current",
                    .invalid(field: "checksum", offset: rows[1][1].count - 4)))
        ) {
            try shard.store.makeReader().record(bytes("a"))
        }
    }
}
