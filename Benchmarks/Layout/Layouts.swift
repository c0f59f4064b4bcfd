import Primitives
import StorageEngine

/// Where a version's value stands. The three differ in nothing else: the keys are those of
/// docs/formats/record-tables.md, the metadata of a version takes as many bytes everywhere.
enum Layout: String, CaseIterable {
    /// The newest in `current`, moved to `history` when it is superseded: what RecordStore writes.
    case current
    /// In `revisions`, as etcd keeps them; `current` and `history` point there.
    case revisions
    /// In `history` from the first; `current` and `revisions` point there.
    case history
}

/// The rows of one shard in one layout, straight on the engine: what `RecordStore` would read and
/// write for the same requests, without its own work.
struct LayoutRows {
    /// Create revision, version, lease, timestamp, checksum: about what a stored version has.
    static let metadata = Bytes(repeating: 0x5A, count: 28)

    let layout: Layout
    let engine: any StorageEngine

    static func key(_ table: UInt8, _ key: Bytes = [], _ revision: UInt64? = nil) -> Bytes {
        var row: Bytes = [table, 0, 0, 0, 1]
        row += key
        if table != 3 { row += [0, 1] }
        if let revision { withUnsafeBytes(of: revision.bigEndian) { row += $0 } }
        return row
    }

    static func current(_ key: Bytes) -> Bytes { self.key(1, key) }
    static func history(_ key: Bytes, _ revision: UInt64) -> Bytes { self.key(2, key, revision) }
    static func revisions(_ revision: UInt64) -> Bytes { key(3, [], revision) }

    // MARK: Write

    /// Puts keys that differ, at the revisions from `first` on, in one batch.
    func put(_ puts: [(key: Bytes, value: Bytes)], first: UInt64) throws {
        let view = try engine.makeReadView()
        var batch = WriteBatch()
        var revision = first
        for (key, value) in puts {
            let old = try view.value(for: Self.current(key))
            let previous = old.map(Self.revision(of:)) ?? 0
            let head = Self.bytes(revision) + Self.metadata
            let change = Self.bytes(previous) + key
            switch layout {
            case .current:
                if let old { batch.put(Self.history(key, previous), old) }
                batch.put(Self.current(key), head + value)
                batch.put(Self.revisions(revision), change)
            case .revisions:
                if old != nil { batch.put(Self.history(key, previous), []) }
                batch.put(Self.current(key), head)
                batch.put(
                    Self.revisions(revision), Self.bytes(UInt64(key.count)) + change + head + value)
            case .history:
                batch.put(Self.history(key, revision), head + value)
                batch.put(Self.current(key), head)
                batch.put(Self.revisions(revision), change)
            }
            revision += 1
        }
        try engine.commit(batch)
    }

    // MARK: Read

    /// Up to `limit` records from a key on; bytes of their values.
    func scan(from key: Bytes, limit: Int, _ view: any ReadView) throws -> Int {
        var bytes = 0
        let iterator = try view.makeIterator(lower: Self.current(key), upper: [1, 0, 0, 0, 2])
        iterator.seek(to: Self.current(key))
        for _ in 0..<limit where iterator.isValid {
            let row = iterator.value
            switch layout {
            case .current: bytes += row.count - 8 - Self.metadata.count
            case .revisions:
                bytes += try found(Self.revisions(Self.revision(of: row)), view).count
            case .history:
                let row = Self.revision(of: row)
                bytes += try found(Self.history(Self.key(ofCurrent: iterator.key), row), view).count
            }
            iterator.next()
        }
        try iterator.checkStatus()
        return bytes
    }

    /// Every event from the first on, with its value; their number and bytes.
    func catchUp(_ view: any ReadView) throws -> (events: Int, bytes: Int) {
        var events = 0
        var bytes = 0
        let iterator = try view.makeIterator(lower: [3, 0, 0, 0, 1], upper: [3, 0, 0, 0, 2])
        iterator.seek(to: [3, 0, 0, 0, 1])
        while iterator.isValid {
            let revision = iterator.key.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let change = iterator.value
            events += 1
            switch layout {
            case .current:
                let key = Bytes(change[8...])
                let newest = try found(Self.current(key), view)
                if Self.revision(of: newest) == revision {
                    bytes += newest.count
                } else {
                    bytes += try found(Self.history(key, revision), view).count
                }
            case .revisions: bytes += change.count
            case .history:
                bytes += try found(Self.history(Bytes(change[8...]), revision), view).count
            }
            iterator.next()
        }
        try iterator.checkStatus()
        return (events, bytes)
    }

    func count(_ view: any ReadView) throws -> Int {
        let iterator = try view.makeIterator(lower: [1, 0, 0, 0, 1], upper: [1, 0, 0, 0, 2])
        var count = 0
        iterator.seek(to: [1, 0, 0, 0, 1])
        while iterator.isValid {
            count += 1
            iterator.next()
        }
        try iterator.checkStatus()
        return count
    }

    private func found(_ row: Bytes, _ view: any ReadView) throws -> Bytes {
        guard let value = try view.value(for: row) else {
            preconditionFailure("a row that was written is missing")
        }
        return value
    }

    private static func bytes(_ number: UInt64) -> Bytes {
        withUnsafeBytes(of: number.bigEndian, Array.init)
    }

    private static func revision(of row: Bytes) -> UInt64 {
        row.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }

    private static func key(ofCurrent row: Bytes) -> Bytes { Bytes(row[5..<row.count - 2]) }
}
