import Primitives
import RecordModel

/// What an archive may state. Each leaves room for more changes than a keyspace can live to see, so
/// that counting on from a restored row cannot overflow.
enum RestoreLimits {
    static let revisionMax = Revision(1 << 62)
    static let versionMax: Int64 = 1 << 62
    /// The end of the year 9999 in microseconds since 1970.
    static let microsecondsMax: UInt64 = 253_402_300_799_999_999
}

/// A restore, step by step: begin, rows, finish, activate. Until the last the shard neither serves
/// nor writes, so that an interrupted restore is never taken for a whole one.
extension ShardWriter {
    /// Bytes of a restore's name.
    static let restoreIDBytesMax = 256

    func restoreBegin(
        _ restoreID: String, _ revision: Revision, _ compactRevision: Revision
    ) throws(RecordReadFailure) -> RestoreProgress {
        let startsOver = state.refusal != nil
        guard startsOver || (state.revision == .initial && state.restore == nil) else {
            throw .refused(.notEmpty(revision: state.revision))
        }
        guard !restoreID.isEmpty, restoreID.utf8.count <= Self.restoreIDBytesMax else {
            throw .mismatch("a restore is named by 1 to \(Self.restoreIDBytesMax) bytes")
        }
        guard (.initial)...RestoreLimits.revisionMax ~= revision, compactRevision >= .none,
            compactRevision <= revision
        else {
            throw .mismatch(
                "revision \(revision) and compaction floor \(compactRevision) fit no archive")
        }
        if startsOver {
            pending.wipe(layout.dataRanges)
        } else {
            try reading { () throws(RecordStoreError) in try forgetLeases() }
        }
        leaseChanges.append(.cleared)
        state.revision = .initial
        state.compactRevision = .none
        let progress = RestoreProgress(
            phase: .loading, restoreID: restoreID, nextSequence: 0, rowCount: 0,
            digest: LogicalDigest())
        state.restore = RestoreState(
            progress: progress, revision: revision, compactRevision: compactRevision)
        note(Effect.restoreBegin, revision.rawValue, compactRevision.rawValue)
        return progress
    }

    func restoreRows(
        _ restoreID: String, _ sequence: UInt64, _ rows: Bytes
    ) throws(RecordReadFailure) -> RestoreProgress {
        var restore = try restore(restoreID)
        // Taken before: the answer got lost, or the sender sent it twice.
        if sequence < restore.progress.nextSequence { return restore.progress }
        guard restore.progress.phase == .loading else {
            throw .mismatch("rows after the restore was finished")
        }
        guard sequence == restore.progress.nextSequence else {
            throw .mismatch(
                "sequence \(sequence) where \(restore.progress.nextSequence) is the next")
        }
        var reader = ByteReader(rows)
        while reader.remaining > 0 {
            let start = reader.offset
            let row: RecordVersion
            do {
                row = try VersionRow.decode(from: &reader)
            } catch {
                throw .mismatch("row \(restore.progress.rowCount) of the archive: \(error)")
            }
            if let fault = restore.fault(in: row) {
                throw .mismatch("row \(restore.progress.rowCount) of the archive: \(fault)")
            }
            let isSameKey = restore.last?.key == row.key
            let previous = try reading { () throws(RecordStoreError) in
                isSameKey ? try shard.newest(row.key) : nil
            }
            install(row, over: previous)
            restore.take(row, encoded: rows[start..<reader.offset])
        }
        restore.progress.nextSequence += 1
        state.restore = restore
        note(Effect.restoreRows, Int64(bitPattern: sequence))
        return restore.progress
    }

    func restoreFinish(
        _ restoreID: String, _ rowCount: UInt64, _ digest: LogicalDigest
    ) throws(RecordReadFailure) -> RestoreProgress {
        var restore = try restore(restoreID)
        let progress = restore.progress
        guard progress.rowCount == rowCount else {
            throw .mismatch("\(progress.rowCount) rows were taken, the archive has \(rowCount)")
        }
        guard progress.digest == digest else {
            throw .mismatch("digest of the rows taken is \(progress.digest), not \(digest)")
        }
        if progress.phase != .loading { return progress }
        let stored = try reading { () throws(RecordStoreError) in try tallyStored() }
        guard stored.rows == rowCount, stored.digest == digest else {
            throw .mismatch(
                "\(stored.rows) rows with digest \(stored.digest) are stored, not \(rowCount) "
                    + "with \(digest)")
        }
        // Two rows with one place in the order of changes overwrote each other there.
        guard stored.changes == rowCount else {
            throw .mismatch("\(rowCount) rows share \(stored.changes) revisions")
        }
        restore.progress.phase = .verified
        state.restore = restore
        state.revision = restore.revision
        state.compactRevision = restore.compactRevision
        state.newestTimestamp = max(state.newestTimestamp, restore.newestTimestamp)
        note(Effect.restoreFinish, restore.revision.rawValue)
        return restore.progress
    }

    func restoreActivate(
        _ restoreID: String, at timestamp: HybridTimestamp
    ) throws(RecordReadFailure) -> RestoreProgress {
        var restore = try restore(restoreID)
        switch restore.progress.phase {
        case .active: return restore.progress
        case .verified: break
        case .loading, .none: throw .mismatch("activated before it was finished")
        }
        // Stamps of later entries are above this one's, so that one check orders all of them after
        // what was restored.
        guard timestamp > restore.newestTimestamp else {
            throw .mismatch(
                "the newest restored row is stamped \(restore.newestTimestamp), this step "
                    + "\(timestamp): it must be stamped above")
        }
        restore.progress.phase = .active
        state.restore = restore
        note(Effect.restoreActivate)
        return restore.progress
    }

    private func restore(_ restoreID: String) throws(RecordReadFailure) -> RestoreState {
        guard let restore = state.restore else { throw .mismatch("no restore was begun") }
        guard restore.progress.restoreID == restoreID else {
            throw .mismatch("the restore that was begun last is another one")
        }
        return restore
    }

    /// A shard at its first revision may hold leases, without keys.
    private func forgetLeases() throws(RecordStoreError) {
        var rows: [Bytes] = []
        let cursor = try tables.cursor(layout.leasesRange)
        while let row = cursor.key {
            rows.append(row)
            try cursor.advance()
        }
        for row in rows { pending.delete(row) }
    }

    /// Reads back every row that is stored.
    private func tallyStored() throws(RecordStoreError) -> (
        rows: UInt64, digest: LogicalDigest, changes: UInt64
    ) {
        var rows: UInt64 = 0
        var digest = LogicalDigest()
        let scan = try RowScan(layout, tables)
        while let row = try scan.next() {
            var writer = ByteWriter(reserving: row.fields.count + row.key.count + 8)
            VersionRow.encode(key: row.key, fields: row.fields, into: &writer)
            digest.add(row: writer.bytes)
            rows += 1
        }
        var changes: UInt64 = 0
        let cursor = try tables.cursor(layout.revisionsRange)
        while cursor.key != nil {
            changes += 1
            try cursor.advance()
        }
        return (rows, digest, changes)
    }

    func note(_ effect: UInt64, _ values: Int64...) {
        state.digest.add(effect)
        for value in values { state.digest.add(UInt64(bitPattern: value)) }
    }
}

extension RestoreState {
    /// Why the row cannot follow the one taken last, nil where it can.
    fileprivate func fault(in row: RecordVersion) -> String? {
        if row.key.isEmpty { return "the key is empty" }
        guard row.timestamp.microseconds <= RestoreLimits.microsecondsMax else {
            return "the stamp \(row.timestamp) lies after the year 9999"
        }
        if case .put(let record) = row.kind, record.version > RestoreLimits.versionMax {
            return "version \(record.version) is beyond any that puts could reach"
        }
        guard row.modRevision > .initial, row.modRevision <= revision else {
            return "revision \(row.modRevision) is not within 2...\(revision)"
        }
        var before: Position?
        if let last {
            if row.key == last.key {
                guard
                    (last.modRevision, last.subRevision) < (row.modRevision, row.subRevision)
                else { return "versions of the key are out of order at \(row.modRevision)" }
                guard last.timestamp <= row.timestamp else {
                    return "revision \(row.modRevision) is stamped before the version before it"
                }
                before = last
            } else if row.key.lexicographicallyPrecedes(last.key) {
                return "keys are out of order"
            }
        }
        let isLive = (before?.version ?? 0) > 0
        guard case .put(let record) = row.kind else {
            return isLive ? nil : "a deletion at \(row.modRevision) of a key that is not there"
        }
        if let before, isLive {
            let follows =
                record.version == before.version + 1
                && record.createRevision == before.createRevision
            return follows ? nil : "version \(record.version) follows \(before.version)"
        }
        if record.version == 1, record.createRevision == record.modRevision { return nil }
        // What was before it has been compacted away.
        let isCompacted =
            before == nil && record.modRevision <= compactRevision && record.version > 1
            && record.createRevision < record.modRevision
        return isCompacted
            ? nil
            : "version \(record.version), created at \(record.createRevision), "
                + "opens the key's life at \(record.modRevision)"
    }

    fileprivate mutating func take(_ row: RecordVersion, encoded: ArraySlice<UInt8>) {
        var position = Position(
            key: row.key, modRevision: row.modRevision, subRevision: row.subRevision,
            timestamp: row.timestamp, createRevision: .none, version: 0)
        if case .put(let record) = row.kind {
            position.createRevision = record.createRevision
            position.version = record.version
        }
        last = position
        newestTimestamp = max(newestTimestamp, row.timestamp)
        progress.rowCount += 1
        progress.digest.add(row: encoded)
    }
}

extension RecordReadFailure {
    fileprivate static func mismatch(_ text: String) -> RecordReadFailure {
        .refused(.restoreMismatch(text))
    }
}
