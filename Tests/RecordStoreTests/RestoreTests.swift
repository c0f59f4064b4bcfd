import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

@Suite struct RestoreTests {
    /// An archive of a small shard: its rows one by one.
    struct Archive {
        var rows: [RecordVersion]
        var revision: Revision
        var compactRevision: Revision = .none

        var digest: LogicalDigest {
            var digest = LogicalDigest()
            for row in rows { digest.add(row: VersionRow.encode(row)) }
            return digest
        }
    }

    func source() throws -> (shard: Shard, archive: Archive) {
        let shard = try Shard(.fhir)
        try shard.run(put("a", "1", [term("n", "x")]))
        try shard.run(.txn(TxnRequest(success: [put("a", "2", [term("n", "y")]), put("b", "1")])))
        try shard.run(delete("b"))
        try shard.run(put("b", "2"))
        try shard.run(put("c", "1", [term("n", "y")]))
        try shard.run(delete("c"))
        return (shard, try archive(shard))
    }

    func archive(_ shard: Shard) throws -> Archive {
        var export = try shard.store.makeReader().exportRows()
        var rows: [RecordVersion] = []
        while case let piece = try export.nextRows(maxBytes: 1), !piece.isEmpty {
            rows += try VersionRow.decodeAll(piece)
            try #require(rows.count < 100, "an export without end")
        }
        #expect(export.count == UInt64(rows.count))
        let archive = Archive(
            rows: rows, revision: shard.store.revision,
            compactRevision: shard.store.compactRevision)
        #expect(export.digest == archive.digest)
        return archive
    }

    func encode(_ rows: some Sequence<RecordVersion>) -> Bytes {
        rows.reduce(into: []) { $0 += VersionRow.encode($1) }
    }

    func begin(_ archive: Archive, _ name: String = "r1") -> Command.Body {
        .restoreBegin(
            restoreID: name, revision: archive.revision, compactRevision: archive.compactRevision)
    }

    func rows(_ sequence: UInt64, _ rows: some Sequence<RecordVersion>) -> Command.Body {
        .restoreRows(restoreID: "r1", sequence: sequence, rows: encode(rows))
    }

    func finish(_ archive: Archive) -> Command.Body {
        .restoreFinish(
            restoreID: "r1", rowCount: UInt64(archive.rows.count), digest: archive.digest)
    }

    let activate = Command.Body.restoreActivate(restoreID: "r1")

    func progress(_ shard: Shard, _ body: Command.Body) throws -> RestoreProgress {
        guard case .restore(let progress) = try shard.run(body, stamp: 9_000).result.get() else {
            throw Surprise("no progress")
        }
        return progress
    }

    func mismatch(_ shard: Shard, _ body: Command.Body, stamp: UInt64? = nil) throws -> String {
        guard case .restoreMismatch(let text) = try shard.refusal(body, stamp: stamp) else {
            throw Surprise("no mismatch: \(body)")
        }
        return text
    }

    @Test func anExportIsInKeyOrderOldestVersionFirst() throws {
        let (_, archive) = try source()
        #expect(
            archive.rows.map { row in
                let key = String(decoding: row.key, as: UTF8.self)
                let ending = row.kind == .deletion ? " deleted" : ""
                return "\(key) \(row.modRevision).\(row.subRevision)\(ending)"
            } == ["a 2.0", "a 3.0", "b 3.1", "b 4.0 deleted", "b 5.0", "c 6.0", "c 7.0 deleted"])
    }

    @Test func aRestoreReproducesTheShard() throws {
        let (source, archive) = try source()
        let shard = try Shard(.fhir)
        #expect(try progress(shard, begin(archive)).phase == .loading)
        #expect(try progress(shard, rows(0, archive.rows[..<2])).rowCount == 2)
        #expect(try progress(shard, rows(1, archive.rows[2..<4])).nextSequence == 2)
        #expect(try progress(shard, rows(2, archive.rows[4...])).digest == archive.digest)
        #expect(try progress(shard, finish(archive)).phase == .verified)
        #expect(shard.store.revision == archive.revision)
        #expect(try progress(shard, activate).phase == .active)
        #expect(
            try dump(shard.engine, without: [.applied])
                == dump(source.engine, without: [.applied]))
        // It goes on where the archive ended.
        #expect(try shard.run(put("a", "3")).revision == Revision(8))
        let record = try #require(try shard.store.makeReader().record(bytes("a")))
        #expect((record.version, record.createRevision) == (3, Revision(2)))
        // Steps that are sent again are answered, and change nothing.
        #expect(try progress(shard, activate).phase == .active)
        #expect(try progress(shard, rows(0, archive.rows[..<2])).rowCount == 7)
        #expect(shard.store.revision == Revision(8))
    }

    @Test func untilItIsActivatedTheShardServesNothing() throws {
        let (_, archive) = try source()
        let shard = try Shard(.fhir)
        func isClosed() throws {
            let refusal = CommandRefusal.restoring(restoreID: "r1")
            #expect(try shard.refusal(put("z", "1")) == refusal)
            #expect(try shard.refusal(get("a")) == refusal)
            #expect(try shard.refusal(.compact(through: Revision(1))) == refusal)
            let reader = try shard.store.makeReader()
            #expect(throws: RecordReadFailure.refused(refusal)) {
                try reader.range(RangeRequest(range: .everything))
            }
            #expect(throws: RecordReadFailure.refused(refusal)) {
                try reader.compare(TxnRequest())
            }
            #expect(throws: RecordReadFailure.refused(refusal)) { try reader.record(bytes("a")) }
            #expect(throws: RecordReadFailure.refused(refusal)) {
                try reader.history(of: bytes("a"), limit: 1)
            }
            #expect(throws: RecordReadFailure.refused(refusal)) {
                try reader.version(of: bytes("a"), at: Revision(1))
            }
            #expect(throws: RecordReadFailure.refused(refusal)) {
                try reader.query(
                    RecordQuery(
                        clauses: [.init(anyOf: [TermMatch(name: [], values: .prefix([]))])],
                        limit: 1))
            }
            #expect(throws: RecordReadFailure.refused(refusal)) { try reader.exportRows() }
            // Neither after a restart.
            let again = try RecordStore(engine: shard.engine, group: .fhirKeyspace, keyspace: .fhir)
            #expect(again.restoreProgress == shard.store.restoreProgress)
            #expect(throws: RecordReadFailure.refused(refusal)) {
                try again.makeReader().record(bytes("a"))
            }
        }
        try shard.run(begin(archive))
        try isClosed()
        try shard.run(rows(0, archive.rows))
        try isClosed()
        try shard.run(finish(archive))
        try isClosed()
        try shard.run(activate, stamp: 9_000)
        #expect(try shard.listing(RangeRequest(range: .everything)) == ["a=2", "b=2"])
    }

    @Test func onlyAnEmptyShardIsRestoredInto() throws {
        let (_, archive) = try source()
        let shard = try Shard(.fhir)
        try shard.run(put("a", "1"))
        try shard.run(delete("a"))
        #expect(try shard.refusal(begin(archive)) == .notEmpty(revision: Revision(3)))
        #expect(try mismatch(shard, rows(0, archive.rows)) == "no restore was begun")
    }

    @Test func aSecondBeginDropsWhatWasTaken() throws {
        let (source, archive) = try source()
        let shard = try Shard(.fhir)
        var other = Archive(rows: [], revision: Revision(900), compactRevision: Revision(2))
        try shard.run(begin(other))
        other.rows = [
            RecordVersion(
                key: bytes("zz"), modRevision: Revision(800), subRevision: 0,
                timestamp: HybridTimestamp(microseconds: 5),
                kind: .put(
                    Record(
                        key: bytes("zz"), value: [], createRevision: Revision(800),
                        modRevision: Revision(800), version: 1,
                        timestamp: HybridTimestamp(microseconds: 5),
                        terms: [term("left", "over")])))
        ]
        try shard.run(rows(0, other.rows))
        // In one batch with rows before and after it, too.
        let next = shard.store.appliedIndex.rawValue
        let applied = try shard.store.apply([
            entry(
                next + 1,
                .restoreBegin(
                    restoreID: "r0", revision: Revision(900), compactRevision: .none)),
            entry(
                next + 2,
                .restoreRows(
                    restoreID: "r0", sequence: 0, rows: encode(other.rows))),
            entry(next + 3, begin(archive)),
            entry(next + 4, rows(0, archive.rows)),
            entry(next + 5, finish(archive)),
            entry(next + 6, activate),
        ])
        for one in applied {
            let result = try #require(one.outcome).result
            #expect(throws: Never.self) { try result.get() }
        }
        #expect(
            try dump(shard.engine, without: [.applied])
                == dump(source.engine, without: [.applied]))
        #expect(shard.store.compactRevision == .none)
    }

    /// Within the batch that empties the shard, too, nothing reads what the engine still holds.
    @Test func whatWasDroppedIsNotReadInTheSameBatch() throws {
        let (_, archive) = try source()
        let shard = try Shard(.fhir)
        try shard.run(begin(archive))
        try shard.run(rows(0, archive.rows))
        let empty = Archive(rows: [], revision: .initial)
        let next = shard.store.appliedIndex.rawValue
        _ = try shard.store.apply([
            entry(next + 1, begin(empty)), entry(next + 2, finish(empty)),
            entry(next + 3, activate), entry(next + 4, .operation(put("a", "new"))),
            entry(next + 5, .operation(.deleteRange(DeleteRangeRequest(range: .prefix([0x62]))))),
        ])
        let reader = try shard.store.makeReader()
        #expect(reader.revision == Revision(2))
        #expect(try reader.record(bytes("a"))?.version == 1)
        var export = try reader.exportRows()
        _ = try export.nextRows(maxBytes: 1 << 20)
        #expect(export.count == 1)
    }

    @Test func stepsOutOfTheirOrderAreRefused() throws {
        let (_, archive) = try source()
        let shard = try Shard(.fhir)
        try shard.run(begin(archive))
        #expect(try mismatch(shard, activate) == "activated before it was finished")
        #expect(try mismatch(shard, rows(1, archive.rows)) == "sequence 1 where 0 is the next")
        let stranger = Command.Body.restoreRows(restoreID: "r2", sequence: 0, rows: [])
        #expect(try mismatch(shard, stranger).contains("another"))
        #expect(try mismatch(shard, finish(archive)).contains("0 rows were taken"))
        try shard.run(rows(0, archive.rows))
        try shard.run(finish(archive))
        #expect(try mismatch(shard, rows(1, archive.rows)).contains("after the restore"))
        // Finished twice is finished.
        #expect(try progress(shard, finish(archive)).phase == .verified)
    }

    /// A stamp is given to each restored version by its source: what comes later is stamped above.
    @Test func activationIsStampedAboveEveryRow() throws {
        let (_, archive) = try source()
        let shard = try Shard(.fhir)
        try shard.run(begin(archive), stamp: 10)
        try shard.run(rows(0, archive.rows), stamp: 11)
        #expect(shard.store.newestTimestamp == HybridTimestamp(microseconds: 11))
        try shard.run(finish(archive), stamp: 12)
        let newest = HybridTimestamp(microseconds: 1_006)
        #expect(shard.store.newestTimestamp == newest)
        #expect(try mismatch(shard, activate, stamp: 1_006).contains("stamped"))
        #expect(shard.store.restoreProgress.phase == .verified)
        #expect(try shard.refusal(activate, stamp: 1_007) == nil)
        #expect(shard.store.restoreProgress.phase == .active)
    }

    @Test func anArchiveThatDoesNotMatchIsRefused() throws {
        let (_, archive) = try source()
        let shard = try Shard(.fhir)
        try shard.run(begin(archive))
        try shard.run(rows(0, archive.rows))
        let count = UInt64(archive.rows.count)
        var digest = archive.digest
        digest.low &+= 1
        #expect(
            try mismatch(
                shard, .restoreFinish(restoreID: "r1", rowCount: count, digest: digest)
            ).contains("digest of the rows taken"))
        #expect(
            try mismatch(
                shard,
                .restoreFinish(restoreID: "r1", rowCount: count + 1, digest: archive.digest)
            ).contains("rows were taken"))
        #expect(shard.store.restoreProgress.phase == .loading)
        try shard.run(finish(archive))
        #expect(shard.store.restoreProgress.phase == .verified)
    }

    /// The finish reads back what is stored: a row that rotted or went missing in the engine since
    /// it was taken is found, though the running sum is right.
    @Test func theFinishReadsWhatIsStored() throws {
        let (_, archive) = try source()
        for table in [Table.current, .history, .revisions] {
            let shard = try Shard(.fhir)
            try shard.run(begin(archive))
            try shard.run(rows(0, archive.rows))
            let row = try #require(
                try dump(shard.engine).first { $0[0][0] == table.rawValue })
            var batch = WriteBatch()
            batch.delete(row[0])
            try shard.engine.commit(batch)
            let text = try mismatch(shard, finish(archive))
            #expect(text.contains(table == .revisions ? "share 6 revisions" : "are stored"))
            #expect(shard.store.restoreProgress.phase == .loading)
        }
    }

    @Test func badRowsAreRefusedAndLeaveNothing() throws {
        let (_, archive) = try source()
        let good = archive.rows
        func changed(_ at: Int, _ change: (inout RecordVersion) -> Void) -> [RecordVersion] {
            var rows = good
            change(&rows[at])
            return rows
        }
        func record(_ row: inout RecordVersion, _ change: (inout Record) -> Void) {
            guard case .put(var record) = row.kind else { return }
            change(&record)
            row.kind = .put(record)
        }
        func move(_ row: inout RecordVersion, to revision: Int64) {
            row.modRevision = Revision(revision)
            record(&row) { $0.modRevision = Revision(revision) }
        }
        let cases: [(String, [RecordVersion])] = [
            ("keys are out of order", [good[5], good[0]]),
            ("out of order at 2", [good[0], good[0]]),
            ("out of order at 2", changed(1) { move(&$0, to: 2) }),
            ("version 3 follows 1", changed(1) { record(&$0) { $0.version = 3 } }),
            (
                "version 2 follows 1",
                changed(1) {
                    record(&$0) { $0.createRevision = Revision(3) }
                }
            ),
            ("opens the key's life", changed(0) { record(&$0) { $0.version = 2 } }),
            (
                "opens the key's life",
                changed(4) {
                    record(&$0) { $0.createRevision = Revision(3) }
                }
            ),
            ("of a key that is not there", [good[3]]),
            (
                "of a key that is not there",
                [
                    good[2], good[3],
                    {
                        var again = good[3]
                        again.subRevision = 1
                        return again
                    }(),
                ]
            ),
            (
                "not within",
                changed(4) {
                    move(&$0, to: 8)
                    record(&$0) { $0.createRevision = Revision(8) }
                }
            ),
            (
                "not within",
                changed(0) {
                    move(&$0, to: 1)
                    record(&$0) { $0.createRevision = Revision(1) }
                }
            ),
            (
                "stamped before",
                changed(4) {
                    $0.timestamp = .zero
                    record(&$0) { $0.timestamp = .zero }
                }
            ),
            (
                "the key is empty",
                changed(0) {
                    $0.key = []
                    record(&$0) { $0.key = [] }
                }
            ),
        ]
        for (text, rows) in cases {
            let shard = try Shard(.fhir)
            try shard.run(begin(archive))
            let before = try dump(shard.engine, without: [.applied])
            let found = try mismatch(shard, self.rows(0, rows))
            #expect(found.contains(text), "\(found)")
            #expect(try dump(shard.engine, without: [.applied]) == before)
            #expect(shard.store.restoreProgress.nextSequence == 0)
            // Also across steps.
            try shard.run(begin(archive))
            var refused: CommandRefusal?
            for (number, row) in rows.enumerated() where refused == nil {
                refused = try shard.refusal(self.rows(UInt64(number), [row]))
            }
            #expect(refused != nil, "\(text)")
        }
        let shard = try Shard(.fhir)
        try shard.run(begin(archive))
        let torn = Command.Body.restoreRows(
            restoreID: "r1", sequence: 0, rows: Bytes(encode(good).dropLast()))
        #expect(try mismatch(shard, torn).contains("truncated"))
    }

    @Test func aKeyMayOpenLateWhereItsPastIsCompacted() throws {
        let (_, archive) = try source()
        var compacted = archive
        compacted.rows.removeFirst()
        compacted.compactRevision = Revision(2)
        let shard = try Shard(.default)
        try shard.run(begin(compacted))
        #expect(try mismatch(shard, rows(0, compacted.rows)).contains("opens the key's life"))
        compacted.compactRevision = Revision(3)
        try shard.run(begin(compacted))
        try shard.run(rows(0, compacted.rows))
        try shard.run(finish(compacted))
        try shard.run(activate, stamp: 9_000)
        #expect(shard.store.compactRevision == Revision(3))
        #expect(
            try shard.listing(RangeRequest(range: .everything, revision: Revision(3)))
                == ["a=2", "b=1"])
    }

    @Test func anEmptyArchiveIsRestored() throws {
        let empty = Archive(rows: [], revision: .initial)
        let shard = try Shard(.fhir)
        for body in [begin(empty), finish(empty), activate] {
            #expect(try shard.refusal(body) == nil)
        }
        #expect(try shard.run(put("a", "1")).revision == Revision(2))
    }

    @Test func namesAndRevisionsOfABeginAreChecked() throws {
        let shard = try Shard(.fhir)
        let initial = Revision.initial
        let long = String(repeating: "x", count: 257)
        for body in [
            Command.Body.restoreBegin(restoreID: "", revision: initial, compactRevision: .none),
            .restoreBegin(restoreID: long, revision: initial, compactRevision: .none),
            .restoreBegin(restoreID: "r", revision: Revision(0), compactRevision: .none),
            .restoreBegin(restoreID: "r", revision: Revision(3), compactRevision: Revision(4)),
            .restoreBegin(restoreID: "r", revision: Revision(3), compactRevision: Revision(-1)),
        ] {
            _ = try mismatch(shard, body)
            #expect(shard.store.restoreProgress.phase == .none)
        }
    }
}
