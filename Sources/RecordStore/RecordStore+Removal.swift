import Primitives
import RecordModel
import StorageEngine

/// Physical removal: takes away, step by step, the rows that a compaction has hidden. `compact`
/// itself only raises a floor, in the log and alike on every replica. Removal is each replica's own
/// business: no read, digest or later command depends on how far it has come, so it needs no
/// entries, may stop at any moment, and goes on where it stopped after a restart or a crash.
///
/// It follows `revisions` from the oldest change on: each row names what it superseded, so that the
/// cost is that of what goes, however much stays. With `target` as the lowest of floor, retention
/// and holds, a step deletes
/// - of a change at or below the target: the version it superseded, unless that was made at the
///   target itself;
/// - of a change below the target: its own row, and if it is a deletion the deletion's row.
///
/// What a read at the target or above sees stays, and so do all events from the target on: a watch
/// may begin there (etcd `syncWatchers`; etcd drops a deletion at the floor before 3.5.18).
///
/// Rows are deleted one by one. Tombstones of ranges would make every read of the engine look
/// through them, and dropping whole files would pull rows from under older views.
extension RecordStore {
    /// One step. One thread at a time; `apply` and readers go on meanwhile. After an error nothing
    /// of the step has taken effect, and the shard must be stopped.
    ///
    /// Works beside `apply` because the two write different rows: what is deleted here was written
    /// by entries at or below the floor, all of them applied before the floor was raised.
    package func removeSuperseded(
        _ limits: RemovalLimits = RemovalLimits()
    ) throws(RecordStoreError) -> RemovalProgress {
        let view = try storage { () throws(StorageError) in try engine.makeReadView() }
        let state = try AppliedState.load(from: view, layout)
        var removal = try RemovalState.load(from: view, group)
        let target = state.removalTarget(lowestHold: nil)
        guard removal.through < target else {
            return RemovalProgress(
                rowsRemoved: 0, through: removal.through, target: target,
                floor: state.compactRevision)
        }
        var step = RemovalStep(
            layout: layout, tables: TableView(view: view, pending: nil), target: target)
        try step.run(&removal, limits)
        step.batch.put(KeyLayout.removal(group), removal.encode(group))
        let batch = step.batch
        try storage { () throws(StorageError) in try engine.commit(batch) }
        return RemovalProgress(
            rowsRemoved: step.rowsRemoved, through: removal.through, target: target,
            floor: state.compactRevision)
    }
}

extension AppliedState {
    /// Reads at this revision and above must find what they find now.
    ///
    /// - Parameter lowestHold: of the named holds on the keyspace (archive, feed, backup), the
    ///   lowest revision. There is no command that makes one yet.
    func removalTarget(lowestHold: Revision?) -> Revision {
        // A restore brings its floor when it has finished; until it serves, nothing is final.
        if keyspace.retainsAllVersions || refusal != nil { return .none }
        return min(compactRevision, lowestHold ?? compactRevision)
    }
}

/// The deletions of one step.
private struct RemovalStep {
    let layout: KeyLayout
    let tables: TableView
    let target: Revision
    var batch = WriteBatch()
    var rowsRemoved = 0
    private var keyBytes = 0

    init(layout: KeyLayout, tables: TableView, target: Revision) {
        self.layout = layout
        self.tables = tables
        self.target = target
    }

    mutating func run(
        _ removal: inout RemovalState, _ limits: RemovalLimits
    ) throws(RecordStoreError) {
        let place = removal.place
        let cursor = try tables.cursor(
            RawRange(
                lower: layout.revisions(place.revision, place.subRevision),
                upper: layout.revisions(target.next, 0)))
        var changes = 0
        while let row = cursor.key {
            guard changes < limits.changes, keyBytes < limits.keyBytes else { return }
            let (revision, subRevision) = try layout.parse(revisions: row)
            let change = try StoredChange(decoding: cursor.value, under: row)
            try remove(change, row, revision, subRevision)
            removal.place = .init(revision: revision, subRevision: subRevision)
            removal.place.advance()
            changes += 1
            try cursor.advance()
        }
        removal.through = target
        // Changes at the target are looked at again when the target has risen.
        removal.place = .init(revision: target, subRevision: 0)
    }

    private mutating func remove(
        _ change: StoredChange, _ row: Bytes, _ revision: Revision, _ subRevision: UInt32
    ) throws(RecordStoreError) {
        if change.previousRevision > .none, change.previousRevision < target,
            let superseded = try place(before: change, revision, subRevision)
        {
            delete(superseded)
        }
        guard revision < target else { return }
        if change.isDeletion { delete(layout.history(change.key, revision, subRevision)) }
        delete(row)
    }

    /// The row of `history` that the change superseded; nil when an earlier step has removed it.
    private func place(
        before change: StoredChange, _ revision: Revision, _ subRevision: UInt32
    ) throws(RecordStoreError) -> Bytes? {
        let previous = change.previousRevision
        if let sub = change.previousSubRevision { return layout.history(change.key, previous, sub) }
        // A row of version 1. Within one revision the version before stands below the change.
        let highest = previous < revision ? UInt32.max : max(subRevision, 1) - 1
        let floor = try TableFloor(tables, layout.history(of: change.key))
        guard
            let found = try floor.last(
                atOrBelow: layout.history(change.key, previous, highest))
        else { return nil }
        return try layout.parse(history: found.key).revision == previous ? found.key : nil
    }

    private mutating func delete(_ row: Bytes) {
        batch.delete(row)
        rowsRemoved += 1
        keyBytes += row.count
    }
}

extension RemovalState.Place {
    /// To the change behind this one.
    fileprivate mutating func advance() {
        if subRevision < .max {
            subRevision += 1
        } else {
            self = RemovalState.Place(revision: revision.next, subRevision: 0)
        }
    }
}
