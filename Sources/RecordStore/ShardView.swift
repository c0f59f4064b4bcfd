import Primitives
import RecordModel

/// What reads see, in a reader and within `apply` alike: the rows of one shard at a revision.
struct ShardView {
    let layout: KeyLayout
    let tables: TableView
    /// The newest revision that can be read. Within a transaction that has changed something: the
    /// one that it will make.
    let revision: Revision
    let compactRevision: Revision

    // MARK: One key

    /// The live version of a key.
    func newest(_ key: Bytes) throws(RecordStoreError) -> StoredRow? {
        guard let raw = try tables.value(for: layout.current(key)) else { return nil }
        let version = try StoredVersion.decode(raw, key: key, in: .current)
        return StoredRow(
            raw: raw, subRevision: version.subRevision, record: try live(version))
    }

    /// The record as a read at the revision sees it.
    func record(_ key: Bytes, at past: Revision) throws(RecordStoreError) -> Record? {
        if let row = try newest(key), row.record.modRevision <= past { return row.record }
        return try historic(key, at: past, TableFloor(tables, layout.history(of: key)))
    }

    /// Among superseded versions only.
    func historic(
        _ key: Bytes, at past: Revision, _ floor: TableFloor
    ) throws(RecordStoreError) -> Record? {
        guard let version = try superseded(key, atOrBelow: past, .max, floor) else { return nil }
        guard case .put(let record) = version.kind else { return nil }
        return record
    }

    /// The newest superseded version or deletion that is not above the given place.
    func superseded(
        _ key: Bytes, atOrBelow past: Revision, _ subRevision: UInt32, _ floor: TableFloor
    ) throws(RecordStoreError) -> RecordVersion? {
        let target = layout.history(key, past, subRevision)
        guard let (raw, value) = try floor.last(atOrBelow: target) else { return nil }
        guard try layout.parse(history: raw).key == key else { return nil }
        return try StoredVersion.decode(value, key: key, in: .history)
    }

    private func decodePut(_ raw: Bytes, key: Bytes) throws(RecordStoreError) -> Record {
        try live(try StoredVersion.decode(raw, key: key, in: .current))
    }

    private func live(_ version: RecordVersion) throws(RecordStoreError) -> Record {
        guard case .put(let record) = version.kind else {
            throw .inconsistent("a deletion in table current")
        }
        return record
    }

    // MARK: Ranges

    /// The records of a range at the newest revision in key order, until `body` answers false.
    func forEachNewest(
        in range: KeyRange, _ body: (Record) throws(RecordStoreError) -> Bool
    ) throws(RecordStoreError) {
        if range.end == .single {
            if let row = try newest(range.lower) { _ = try body(row.record) }
            return
        }
        let cursor = try tables.cursor(layout.current(in: range))
        while let raw = cursor.key {
            let key = try layout.key(ofCurrent: raw)
            guard try body(try decodePut(cursor.value, key: key)) else { return }
            try cursor.advance()
        }
    }

    /// Gives the collector the records of a range at the newest revision that it wants, and counts
    /// all; the count of an answer that has become too large is of no use and not finished.
    ///
    /// Counting looks at every key of the range, without copying keys or reading values: the price
    /// of an exact count in a layout that keeps no counts (docs/formats/record-tables.md).
    func gather(
        _ collector: inout RangeCollector, in range: KeyRange
    ) throws(RecordStoreError) -> Int {
        if range.end == .single {
            guard let record = try newest(range.lower)?.record else { return 0 }
            if collector.wants(seen: 0) { collector.add(record) }
            return 1
        }
        var count = 0
        let cursor = try tables.cursor(layout.current(in: range))
        while let raw = cursor.key {
            guard collector.wants(seen: count) else {
                return collector.isOverfull ? count : count + (try cursor.countRest())
            }
            let key = try layout.key(ofCurrent: raw)
            collector.add(try decodePut(cursor.value, key: key))
            count += 1
            try cursor.advance()
        }
        return count
    }

    /// The same as it was at a revision before the newest.
    func gather(
        _ collector: inout RangeCollector, in range: KeyRange, at past: Revision
    ) throws(RecordStoreError) -> Int {
        var count = 0
        let live = try tables.cursor(layout.current(in: range))
        let old = try tables.cursor(layout.history(in: range))
        let floor = try TableFloor(tables, layout.history(in: range))
        while live.key != nil || old.key != nil, !collector.isOverfull {
            var liveKey: Bytes?
            if let raw = live.key { liveKey = try layout.key(ofCurrent: raw) }
            var oldKey: Bytes?
            if let raw = old.key { oldKey = try layout.parse(history: raw).key }
            let key = [liveKey, oldKey].compactMap { $0 }.min { $0.lexicographicallyPrecedes($1) }
            guard let key else { break }

            var found: Record?
            if liveKey == key {
                let record = try decodePut(live.value, key: key)
                if record.modRevision <= past { found = record }
                try live.advance()
            }
            if oldKey == key {
                if found == nil { found = try historic(key, at: past, floor) }
                try old.seek(to: layout.history(of: key).upper)
            }
            if let found {
                if collector.wants(seen: count) { collector.add(found) }
                count += 1
            }
        }
        return count
    }
}

/// A row of `current` as it is stored, and what it says.
struct StoredRow {
    var raw: Bytes
    var subRevision: UInt32
    var record: Record
}
