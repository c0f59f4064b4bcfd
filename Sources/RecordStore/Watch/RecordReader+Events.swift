import Primitives
import RecordModel

/// Events read back from disk, for watchers that are behind (etcd `watchableStore.syncWatchers`).
extension RecordReader {
    /// Reads events for a hub: whole revisions from the first one asked for, up to the limits or the
    /// newest revision. Values are read only of what some watcher takes.
    package func read(_ read: WatchRead) throws(RecordStoreError) -> WatchReadResult {
        let shard: ShardView
        do {
            shard = try self.shard()
        } catch {
            switch error {
            case .refused: return WatchReadResult(found: nil, selectors: read.selectors)
            case .store(let failure): throw failure
            }
        }
        var scan = EventScan(read: read, shard: shard)
        let found = try scan.run()
        return WatchReadResult(found: found, selectors: read.selectors)
    }
}

private struct EventScan {
    let read: WatchRead
    let shard: ShardView
    private let find: (Bytes, (Int32) -> Void) -> Void
    private var events: [WatchEvent] = []
    private var matches: [WatchMatch] = []
    private var bytes = 0

    init(read: WatchRead, shard: ShardView) {
        self.read = read
        self.shard = shard
        find = WatchMatcher.finder(read.selectors.map(\.range))
    }

    mutating func run() throws(RecordStoreError) -> WatchReadResult.Found {
        let layout = shard.layout
        // What is below the floor may be gone, and those who need it are told so.
        let from = max(read.from, shard.compactRevision)
        let cursor = try shard.tables.cursor(
            RawRange(
                lower: layout.revisions(from, 0), upper: layout.revisions(shard.revision.next, 0)))
        var through = shard.revision
        var rows = 0
        var last = Revision.none
        while let row = cursor.key {
            let (revision, subRevision) = try layout.parse(revisions: row)
            if revision != last {
                if rows >= read.rowsMax || bytes >= read.bytesMax {
                    through = last
                    break
                }
                last = revision
            }
            let change = try StoredChange(decoding: cursor.value, under: row)
            try take(change, revision, subRevision)
            rows += 1
            try cursor.advance()
        }
        return WatchReadResult.Found(
            compactRevision: shard.compactRevision, through: through, events: events,
            matches: matches)
    }

    private mutating func take(
        _ change: StoredChange, _ revision: Revision, _ subRevision: UInt32
    ) throws(RecordStoreError) {
        var wanted = read.selectors.isEmpty
        var wantsPrevious = wanted
        var takers: [Int32] = []
        find(change.key) { item in
            let selector = read.selectors[Int(item)]
            let leavesOut: Watcher.Options =
                change.isDeletion ? .leavesOutDeletions : .leavesOutPuts
            guard revision >= selector.next, !selector.options.contains(leavesOut) else { return }
            wanted = true
            if selector.options.contains(.wantsPrevious) { wantsPrevious = true }
            takers.append(item)
        }
        guard wanted else { return }
        let event = WatchEvent(
            key: change.key, revision: revision, subRevision: subRevision,
            record: change.isDeletion ? nil : try record(change.key, revision, subRevision),
            previous: wantsPrevious ? try previous(change, revision) : nil)
        for item in takers {
            matches.append(WatchMatch(item: item, event: Int32(events.count)))
        }
        events.append(event)
        bytes += event.bytes * max(takers.count, 1)
    }

    /// The version that the change made: it is there, because no read at the floor or above it may
    /// be without it.
    private func record(
        _ key: Bytes, _ revision: Revision, _ subRevision: UInt32
    ) throws(RecordStoreError) -> Record {
        if let newest = try shard.newest(key), newest.record.modRevision == revision,
            newest.subRevision == subRevision
        {
            return newest.record
        }
        guard let record = try superseded(key, revision, subRevision) else {
            throw .inconsistent(
                "the version that change \(revision).\(subRevision) made is missing")
        }
        return record
    }

    /// The version at the revision before. One that only reads below the floor could see is not told
    /// of, whether it is removed yet or not: etcd reads there, and leaves out what is compacted. A
    /// put that creates its key has none: its row names nothing.
    private func previous(
        _ change: StoredChange, _ revision: Revision
    ) throws(RecordStoreError) -> Record? {
        guard change.previousRevision > .none, revision > shard.compactRevision else { return nil }
        // What the row names may be of this revision, which does not count.
        if change.previousRevision < revision, let place = change.previousSubRevision {
            return try superseded(change.key, change.previousRevision, place)
        }
        return try shard.historic(
            change.key, at: Revision(revision.rawValue - 1),
            TableFloor(shard.tables, shard.layout.history(of: change.key)))
    }

    private func superseded(
        _ key: Bytes, _ revision: Revision, _ subRevision: UInt32
    ) throws(RecordStoreError) -> Record? {
        let row = shard.layout.history(key, revision, subRevision)
        guard let raw = try shard.tables.value(for: row) else { return nil }
        let version = try StoredVersion.decode(raw, key: key, in: .history)
        guard case .put(let record) = version.kind else { return nil }
        return record
    }
}
