import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

/// What compactions hide goes, and nothing else; nobody can tell when.
@Suite struct RemovalTests {
    /// `a` put three times, `b` put and deleted, `c` put: revisions 2 to 7.
    private func shard(_ keyspace: KeyspaceID = .default) throws -> Shard {
        let shard = try Shard(keyspace)
        for (key, value) in [("a", "1"), ("b", "1"), ("a", "2")] { try shard.run(put(key, value)) }
        try shard.run(delete("b"))
        try shard.run(put("a", "3"))
        try shard.run(put("c", "1"))
        return shard
    }

    private func one() -> RemovalLimits {
        var limits = RemovalLimits()
        limits.changes = 1
        return limits
    }

    @Test func aCompactionHidesAtOnceAndRemovesStepByStep() throws {
        let shard = try shard()
        try shard.run(.compact(through: Revision(6)))
        #expect(try shard.rows(.history).count == 4)
        var steps: [RemovalProgress] = []
        repeat { steps.append(try shard.store.removeSuperseded(one())) } while !steps.last!.isDone
        // Change 2 superseded nothing: its own row goes. 3 likewise, 4 takes version 2 of `a` with
        // it, 5 is the deletion of `b`, with version 3 and its own two rows, 6 keeps its row.
        #expect(steps.map(\.rowsRemoved) == [1, 1, 2, 3, 1])
        #expect(try shard.rows(.history).isEmpty)
        #expect(try shard.rows(.revisions).map { $0[12] } == [6, 7])
        #expect(try shard.listing(RangeRequest(range: .everything)) == ["a=3", "c=1"])
        #expect(
            try shard.listing(RangeRequest(range: .everything, revision: Revision(6))) == ["a=3"])
        #expect(try shard.store.removeSuperseded().rowsRemoved == 0)
    }

    @Test func readsAtTheFloorSeeTheSameBeforeDuringAndAfter() throws {
        let shard = try shard()
        try shard.run(.compact(through: Revision(4)))
        var seen: [[[String]]] = []
        var digests: Set<LogicalDigest> = []
        repeat {
            seen.append(
                try (4...7).map {
                    try shard.listing(RangeRequest(range: .everything, revision: Revision($0)))
                })
            var export = try shard.store.makeReader().exportRows()
            while try !export.nextRows(maxBytes: 30).isEmpty {}
            digests.insert(export.digest)
            #expect(export.count == 5)
        } while try shard.store.removeSuperseded(one()).rowsRemoved > 0
        #expect(seen.count > 3)
        #expect(
            Set(seen) == [[["a=2", "b=1"], ["a=2"], ["a=3"], ["a=3", "c=1"]]])
        #expect(digests.count == 1, "the archive depends on how far removal has come")
    }

    /// A watch may begin at the floor itself.
    @Test func aDeletionAtTheFloorStaysUntilTheNextCompaction() throws {
        let shard = try shard()
        try shard.run(.compact(through: Revision(5)))
        try shard.removeAll()
        let deletion = try shard.rows(.history).filter { $0[5] == UInt8(ascii: "b") }
        #expect(deletion.map { $0[15] } == [5])
        #expect(try shard.rows(.revisions).map { $0[12] } == [5, 6, 7])
        try shard.run(.compact(through: Revision(7)))
        try shard.removeAll()
        #expect(try shard.rows(.history).isEmpty)
        #expect(try shard.rows(.revisions).map { $0[12] } == [7])
    }

    /// A key put and deleted within one revision: events of the floor's own revision need both.
    @Test func whatTheFloorsOwnRevisionMadeAndUnmadeStays() throws {
        let shard = try Shard()
        let everything = Operation.deleteRange(DeleteRangeRequest(range: .everything))
        try shard.run(put("a", "1"))
        try shard.run(.txn(TxnRequest(success: [put("a", "2"), everything, put("b", "1")])))
        try shard.run(.compact(through: Revision(3)))
        try shard.removeAll()
        // Of `a`: the put and the deletion at 3. The version at 2 is gone.
        #expect(try shard.rows(.history).map { [$0[15], $0[19]] } == [[3, 0], [3, 1]])
        #expect(
            try shard.rows(.revisions).map { [$0[12], $0[16]] } == [[3, 0], [3, 1], [3, 2]])
        try shard.run(put("b", "2"))
        try shard.run(.compact(through: Revision(4)))
        try shard.removeAll()
        #expect(try shard.rows(.history).isEmpty)
        #expect(try shard.listing(RangeRequest(range: .everything)) == ["b=2"])
    }

    /// DESIGN, decision 2: "no etcd client can erase clinical history".
    @Test func keyspaceFhirKeepsEverything() throws {
        let shard = try shard(.fhir)
        try shard.run(.deleteRange(DeleteRangeRequest(range: .everything)))
        try shard.run(.compact(through: Revision(8)))
        let before = try dump(shard.engine)
        let progress = try shard.store.removeSuperseded()
        #expect(progress.isDone && progress.rowsRemoved == 0)
        #expect(try dump(shard.engine) == before)
        let reader = try shard.store.makeReader()
        let versions = try reader.history(of: bytes("a"), limit: 9).map(\.modRevision.rawValue)
        #expect(versions == [8, 6, 4, 2])
    }

    /// Steps are not in the log: a crash may take them back, and the next start goes on.
    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func aCrashTakesBackStepsAndNothingElse(seed: UInt64) throws {
        print("seed \(seed)")
        let whole = try shard()
        try whole.run(.compact(through: Revision(6)))
        try whole.removeAll()
        let crashed = try shard()
        try crashed.run(.compact(through: Revision(6)))
        try crashed.engine.flush()
        for _ in 0..<3 { _ = try crashed.store.removeSuperseded(one()) }
        let again = try Shard(engine: crashed.engine.crash(seed: seed))
        #expect(again.store.compactRevision == Revision(6))
        #expect(try again.listing(RangeRequest(range: .everything)) == ["a=3", "c=1"])
        try again.removeAll(changesPerStep: 1)
        #expect(try dump(again.engine) == dump(whole.engine))
    }

    @Test func keysThatAreLongEndAStepEarly() throws {
        let shard = try Shard()
        let key = String(repeating: "k", count: 1_000)
        for number in 0..<50 { try shard.run(put(key, "\(number)")) }
        try shard.run(.compact(through: shard.store.revision))
        var limits = RemovalLimits()
        limits.keyBytes = 10_000
        // A change takes a long row of `history` and a short one of `revisions`.
        let first = try shard.store.removeSuperseded(limits)
        #expect((20...22).contains(first.rowsRemoved) && !first.isDone)
        try shard.removeAll()
        #expect(try shard.rows(.history).isEmpty)
    }

    /// Rows that lack the sub-revision: what they name is searched for. Their checksums were
    /// computed apart from this program.
    @Test func rowsOfTheFirstVersionAreRead() throws {
        let shard = try Shard()
        try shard.run(put("a", "1"))
        try shard.run(put("a", "2"))
        var batch = WriteBatch()
        batch.put(
            hex("03 00000001 0000000000000003 00000000"), hex("01 00 02 01 61  7b084076"))
        try shard.engine.commit(batch)
        try shard.run(.compact(through: Revision(3)))
        #expect(try shard.rows(.history).count == 1)
        try shard.removeAll()
        #expect(try shard.rows(.history).isEmpty)
    }

    @Test func progressIsStoredAsDocumented() throws {
        let shard = try Shard()
        try shard.run(put("a", "1"))
        try shard.run(put("a", "2"))
        try shard.run(.compact(through: Revision(3)))
        try shard.removeAll()
        #expect(
            try dump(shard.engine, without: Set(Table.allCases).subtracting([.removal]))
                == [[hex("0b 00000001"), hex("01 03 03 00  e33ba421")]])
    }

    /// One change that does not decode stops removal, as it would stop apply.
    @Test func aDamagedChangeIsReported() throws {
        let shard = try shard()
        var batch = WriteBatch()
        batch.put(hex("03 00000001 0000000000000003 00000000"), hex("02 00 02 00 01 61 00000000"))
        try shard.engine.commit(batch)
        try shard.run(.compact(through: Revision(6)))
        #expect(throws: RecordStoreError.self) { try shard.removeAll() }
        #expect(try shard.rows(.history).count == 4, "part of the step was done")
    }
}
