import Primitives
import RecordModel

/// Every version of every key of a shard: keys in order, the versions of a key from the oldest on.
/// Joins `history`, which holds superseded versions and deletions, with `current`, which holds the
/// newest of each key. Passes over what a compaction floor hides, so that nothing depends on how
/// much of it has been removed.
final class RowScan {
    /// A row as it was found, its checksum compared.
    struct Row {
        var key: Bytes
        var fields: ArraySlice<UInt8>
        var place: Place
    }

    /// Where a scan can be taken up again: behind this row.
    struct Place: Hashable, Sendable {
        var key: Bytes
        var revision: Revision
        var subRevision: UInt32
        var isCurrent: Bool
    }

    private let layout: KeyLayout
    private let hidingFloor: Revision
    private let live: TableCursor
    private let old: TableCursor

    /// - Parameter hidingFloor: versions that were superseded at or below it, and deletions made
    ///   there, are left out.
    init(
        _ layout: KeyLayout, _ tables: TableView, hidingThrough hidingFloor: Revision = .none,
        after place: Place? = nil
    ) throws(RecordStoreError) {
        self.layout = layout
        self.hidingFloor = hidingFloor
        live = try tables.cursor(layout.currentRange)
        old = try tables.cursor(layout.historyRange)
        guard let place else { return }
        let currentKey = layout.current(place.key)
        try live.seek(to: place.isCurrent ? currentKey + [0] : currentKey)
        try old.seek(to: layout.history(place.key, place.revision, place.subRevision) + [0])
    }

    /// nil at the end.
    func next() throws(RecordStoreError) -> Row? {
        while let row = try nextStored() {
            if try !isHidden(row) { return row }
        }
        return nil
    }

    /// To be asked before the scan moves on from the row: it looks at the one behind it.
    private func isHidden(_ row: Row) throws(RecordStoreError) -> Bool {
        guard !row.place.isCurrent, row.place.revision <= hidingFloor else { return false }
        if RecordVersion.isDeletion(fields: row.fields) { return true }
        if let raw = old.key {
            let (key, revision, _) = try layout.parse(history: raw)
            if key == row.key { return revision <= hidingFloor }
        }
        // Superseded versions end in a deletion, or in the live version.
        guard let raw = live.key, try layout.key(ofCurrent: raw) == row.key else {
            throw .inconsistent("the version after \(row.place.revision) of a key is missing")
        }
        let fields = try StoredVersion.fields(of: live.value, key: row.key, in: .current)
        return try StoredVersion.position(ofFields: fields, in: .current).revision <= hidingFloor
    }

    private func nextStored() throws(RecordStoreError) -> Row? {
        var liveKey: Bytes?
        if let raw = live.key { liveKey = try layout.key(ofCurrent: raw) }
        if let raw = old.key {
            let (key, revision, subRevision) = try layout.parse(history: raw)
            let isFirst = liveKey.map { !$0.lexicographicallyPrecedes(key) } ?? true
            if isFirst {
                let fields = try StoredVersion.fields(of: old.value, key: key, in: .history)
                let position = try StoredVersion.position(ofFields: fields, in: .history)
                guard position == (revision, subRevision) else {
                    throw .inconsistent(
                        "history row of \(revision).\(subRevision) holds \(position.revision)")
                }
                try old.advance()
                return Row(
                    key: key, fields: fields,
                    place: Place(
                        key: key, revision: revision, subRevision: subRevision, isCurrent: false))
            }
        }
        guard let liveKey else { return nil }
        let fields = try StoredVersion.fields(of: live.value, key: liveKey, in: .current)
        let position = try StoredVersion.position(ofFields: fields, in: .current)
        try live.advance()
        return Row(
            key: liveKey, fields: fields,
            place: Place(
                key: liveKey, revision: position.revision, subRevision: position.subRevision,
                isCurrent: true))
    }
}
