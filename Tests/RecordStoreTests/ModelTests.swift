import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

/// Thousands of random commands against `Model`: every answer is compared, and so are reads of the
/// present and the past. The same commands are applied in several batchings, over crashes, and
/// through an export and a restore.
@Suite struct ModelTests {
    static let commandsPerSeed = 1_000

    @Test(arguments: [UInt64(11), 12], [KeyspaceID.default, .fhir])
    func theStoreAnswersAsTheModel(seed: UInt64, keyspace: KeyspaceID) throws {
        print("seed \(seed), keyspace \(keyspace)")
        var chance = ChanceGenerator(seed: seed)
        var model = Model()
        let shard = try Shard(keyspace)
        var entries: [LogEntry] = []
        while entries.count < Self.commandsPerSeed {
            var batch: [LogEntry] = []
            var wanted: [CommandOutcome] = []
            for _ in 0..<Int.random(in: 1...12, using: &chance.random) {
                let body = chance.body(model.revision)
                let entry = entry(UInt64(entries.count + batch.count + 1), body)
                let result = model.apply(body, entry.timestamp)
                wanted.append(
                    CommandOutcome(
                        revision: Revision(model.revision), timestamp: entry.timestamp,
                        result: result))
                batch.append(entry)
            }
            entries += batch
            let applied = try shard.store.apply(batch)
            try #require(applied.map(\.outcome) == wanted, "at entry \(entries.count)")
            if chance.chance(2) { try removeSome(shard, &chance) }
            try compareReads(shard.store.makeReader(), model, &chance)
        }
        try onlyWhatIsSeenIsLeft(shard, model)
        // Refusals and successes alike must have come up.
        #expect(model.revision > Int64(Self.commandsPerSeed / 4))
        try batchingsAgree(entries, with: shard, &chance)
        try crashesAgree(entries, with: shard, &chance)
        try aRestoreAgrees(with: shard, model, &chance)
    }

    func compareReads(
        _ reader: RecordReader, _ model: Model, _ chance: inout ChanceGenerator
    ) throws {
        let now = model.revision
        #expect(reader.revision.rawValue == now)
        for _ in 0..<4 {
            let request = chance.rangeRequest(now)
            try compareRange(reader, model, request)
        }
        try compareHistory(reader, model, &chance)
        try compareQuery(reader, model, chance.query())
        let txn = TxnRequest(
            compares: [chance.compare(now), chance.compare(now)],
            success: [.range(RangeRequest(range: chance.range()))])
        let operation = Operation.txn(txn)
        var copy = model
        let wanted = copy.apply(.operation(operation), .zero)
        do {
            let result = try reader.compare(txn)
            #expect(wanted == .success(.operation(.txn(result))))
        } catch {
            #expect(.refused(refusal(wanted)) == error)
        }
    }

    func refusal(_ result: Result<CommandResult, CommandRefusal>) -> CommandRefusal {
        if case .failure(let refusal) = result { return refusal }
        return .malformed("the model does not refuse")
    }

    func compareRange(
        _ reader: RecordReader, _ model: Model, _ request: RangeRequest
    ) throws {
        let wanted: Result<RangeResult, CommandRefusal>
        do {
            if let refusal = Operation.range(request).validate() {
                wanted = .failure(refusal)
            } else {
                wanted = .success(try model.range(request, now: model.revision))
            }
        } catch let refused as Model.Refused {
            wanted = .failure(refused.refusal)
        }
        let found: Result<RangeResult, CommandRefusal>
        do {
            found = .success(try reader.range(request))
        } catch {
            guard case .refused(let refusal) = error else { throw error }
            found = .failure(refusal)
        }
        try #require(found == wanted, "\(request)")
    }

    func compareHistory(
        _ reader: RecordReader, _ model: Model, _ chance: inout ChanceGenerator
    ) throws {
        let key = chance.pick(ChanceGenerator.keys)
        let limit = Int.random(in: 0...20, using: &chance.random)
        let before = chance.chance(2) ? nil : chance.revision(model.revision)
        let wanted = model.history(
            key, before: before?.rawValue ?? .max,
            retainsAll: reader.keyspace.retainsAllVersions)
        try #require(
            try reader.history(of: key, limit: limit, before: before)
                == Array(wanted.prefix(limit)))
        #expect(try reader.record(key) == model.record(key))

        let past = Int64.random(in: 1...model.revision, using: &chance.random)
        if past < model.floor, !reader.keyspace.retainsAllVersions {
            #expect(throws: RecordReadFailure.self) {
                try reader.version(of: key, at: Revision(past))
            }
            #expect(throws: RecordReadFailure.self) {
                try reader.record(key, at: Revision(past))
            }
        } else {
            let version = model.versions[key, default: []]
                .last { $0.modRevision.rawValue == past }
            #expect(try reader.version(of: key, at: Revision(past)) == version)
            #expect(try reader.record(key, at: Revision(past)) == model.record(key, at: past))
        }
    }

    func compareQuery(
        _ reader: RecordReader, _ model: Model, _ first: RecordQuery
    ) throws {
        let wanted = model.query(first)
        var query = first
        var found: [Record] = []
        var keysRead = 0
        var pages = 0
        repeat {
            let page = try reader.query(query)
            found += page.records
            keysRead += page.keysRead
            pages += 1
            try #require(pages <= wanted.records.count + 1, "pages without end: \(first)")
            #expect(page.next == nil || page.records.count == query.limit)
            query.after = page.next
        } while query.after != nil
        try #require(found == wanted.records, "\(first)")
        #expect(pages == max(1, (found.count + first.limit - 1) / first.limit))
        // Two keys for each place of the driving clause, and those of the look ahead again.
        #expect(keysRead <= 2 * (wanted.places + pages - 1))
    }

    // MARK: Removal

    /// A few steps of a few rows, which no read and no later command may notice.
    func removeSome(_ shard: Shard, _ chance: inout ChanceGenerator) throws {
        var limits = RemovalLimits()
        limits.changes = Int.random(in: 1...9, using: &chance.random)
        for _ in 0..<Int.random(in: 1...3, using: &chance.random) {
            _ = try shard.store.removeSuperseded(limits)
        }
    }

    /// Once removal is done: rows that some read or a watch from the floor on can want, no others.
    func onlyWhatIsSeenIsLeft(_ shard: Shard, _ model: Model) throws {
        try shard.removeAll(changesPerStep: 7)
        let retainsAll = shard.store.keyspace.retainsAllVersions
        #expect(retainsAll || model.floor > 100, "too few compactions")
        var history = 0
        var revisions = 0
        for key in model.keys {
            let all = model.versions[key, default: []]
            let seen = model.visible(key, retainsAll: retainsAll)
            let isLive = model.record(key) != nil
            history += seen.count - (isLive ? 1 : 0)
            guard !retainsAll else {
                revisions += all.count
                continue
            }
            // What the floor's own revision did stays, for a watch that begins there.
            history +=
                all.filter { $0.modRevision.rawValue == model.floor && !seen.contains($0) }.count
            revisions += all.filter { $0.modRevision.rawValue >= model.floor }.count
        }
        #expect(try shard.rows(.history).count == history)
        #expect(try shard.rows(.revisions).count == revisions)
    }

    // MARK: Batches, crashes, restores

    /// One at a time, all at once, and by chance: the same rows and the same digest.
    func batchingsAgree(
        _ entries: [LogEntry], with shard: Shard, _ chance: inout ChanceGenerator
    ) throws {
        let wanted = try dump(shard.engine)
        for largest in [1, 40, entries.count] {
            let other = try Shard(shard.store.keyspace)
            var rest = entries[...]
            while !rest.isEmpty {
                let count =
                    largest == 40
                    ? Int.random(in: 1...largest, using: &chance.random) : largest
                _ = try other.store.apply(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            try other.removeAll()
            #expect(try dump(other.engine) == wanted, "batches of up to \(largest)")
            #expect(other.store.effectDigest == shard.store.effectDigest)
        }
    }

    func crashesAgree(
        _ entries: [LogEntry], with shard: Shard, _ chance: inout ChanceGenerator
    ) throws {
        var other = try Shard(shard.store.keyspace)
        var crashes = 0
        var lost = 0
        while other.store.appliedIndex < LogIndex(UInt64(entries.count)) {
            let next = Int(other.store.appliedIndex.rawValue)
            let count = Int.random(in: 1...60, using: &chance.random)
            // Some of what was applied before comes again, as in a replay.
            let from = max(0, next - Int.random(in: 0...5, using: &chance.random))
            _ = try other.store.apply(Array(entries[from..<min(entries.count, next + count)]))
            if chance.chance(2) { try removeSome(other, &chance) }
            if chance.chance(3) {
                let reached = other.store.appliedIndex
                let engine = other.engine.crash(seed: chance.random.next())
                let persisted = try RecordStore.persistedAppliedIndex(
                    engine: engine, group: other.store.group)
                other = try Shard(shard.store.keyspace, engine: engine)
                #expect(other.store.appliedIndex == persisted)
                crashes += 1
                if persisted < reached { lost += 1 }
            }
        }
        #expect(crashes > 3 && lost > 0)
        try other.removeAll()
        #expect(try dump(other.engine) == dump(shard.engine))
        #expect(other.store.effectDigest == shard.store.effectDigest)
    }

    func aRestoreAgrees(
        with shard: Shard, _ model: Model, _ chance: inout ChanceGenerator
    ) throws {
        var export = try shard.store.makeReader().exportRows()
        let copy = try Shard(shard.store.keyspace)
        var bodies: [Command.Body] = [
            .restoreBegin(
                restoreID: "all", revision: shard.store.revision,
                compactRevision: shard.store.compactRevision)
        ]
        let stored = model.versions.values.reduce(0) { $0 + $1.count }
        var rows: [RecordVersion] = []
        var sequence: UInt64 = 0
        while true {
            let maxBytes = Int.random(in: 1...4_000, using: &chance.random)
            let piece = try export.nextRows(maxBytes: maxBytes)
            if piece.isEmpty { break }
            let decoded = try VersionRow.decodeAll(piece)
            #expect(piece.count <= maxBytes || decoded.count == 1)
            rows += decoded
            try #require(rows.count <= stored, "an export without end")
            let body = Command.Body.restoreRows(
                restoreID: "all", sequence: sequence, rows: piece)
            bodies += chance.chance(5) ? [body, body] : [body]
            sequence += 1
        }
        let retainsAll = shard.store.keyspace.retainsAllVersions
        #expect(rows == model.keys.flatMap { model.visible($0, retainsAll: retainsAll) })
        bodies.append(
            .restoreFinish(restoreID: "all", rowCount: export.count, digest: export.digest))
        bodies.append(.restoreActivate(restoreID: "all"))
        var entries = bodies.enumerated().map {
            entry(UInt64($0.offset + 1), $0.element, stamp: 1_000_000 + UInt64($0.offset))
        }
        while !entries.isEmpty {
            let count = min(entries.count, Int.random(in: 1...9, using: &chance.random))
            for applied in try copy.store.apply(Array(entries[..<count])) {
                _ = try #require(applied.outcome).result.get()
            }
            entries.removeFirst(count)
        }
        // What the floor hides is in no archive, and what stays at the floor for a watch neither.
        let apart: Set<Table> =
            retainsAll ? [.applied] : [.applied, .removal, .history, .revisions]
        #expect(try dump(copy.engine, without: apart) == dump(shard.engine, without: apart))
        try copy.removeAll()
        var again = try copy.store.makeReader().exportRows()
        while try !again.nextRows(maxBytes: 10_000).isEmpty {}
        #expect((again.count, again.digest) == (export.count, export.digest))
        let reader = try copy.store.makeReader()
        for past in 1...model.revision {
            let request = RangeRequest(range: .everything, revision: Revision(past))
            try compareRange(reader, model, request)
        }
        for _ in 0..<200 { try compareReads(reader, model, &chance) }
    }
}
