import Primitives
import RecordModel

extension RecordReader {
    /// The version that the key was given at exactly this revision: a put, or a deletion. nil where
    /// the revision did not change the key. Of several changes in one revision, the last.
    package func version(
        of key: Bytes, at revision: Revision
    ) throws(RecordReadFailure) -> RecordVersion? {
        let shard = try shard()
        try check(revision)
        return try reading { () throws(RecordStoreError) in
            let newest = try shard.newest(key)
            if let newest, newest.record.modRevision == revision { return newest.version }
            let floor = try TableFloor(tables, layout.history(of: key))
            let found = try shard.superseded(key, atOrBelow: revision, .max, floor)
            return found?.modRevision == revision ? found : nil
        }
    }

    /// Versions of a key from the newest on, deletions included.
    ///
    /// - Parameters:
    ///   - limit: of versions; at least 0.
    ///   - before: only versions below this revision.
    package func history(
        of key: Bytes, limit: Int, before: Revision? = nil
    ) throws(RecordReadFailure) -> [RecordVersion] {
        let shard = try shard()
        return try reading { () throws(RecordStoreError) in
            try history(of: key, limit, before, shard)
        }
    }

    private func history(
        of key: Bytes, _ limit: Int, _ before: Revision?, _ shard: ShardView
    ) throws(RecordStoreError) -> [RecordVersion] {
        var versions: [RecordVersion] = []
        // No read at or above the floor sees more than the newest version that is not above it.
        let floorRevision = hidingFloor
        let before = before ?? Revision(.max)
        func add(_ version: RecordVersion) -> Bool {
            let isLast = version.modRevision <= floorRevision
            if isLast, version.kind == .deletion { return false }
            if version.modRevision < before {
                guard versions.count < limit else { return false }
                versions.append(version)
            }
            return !isLast
        }
        var place = (
            revision: max(Revision(max(before.rawValue, 1) - 1), floorRevision),
            subRevision: UInt32.max
        )
        if let newest = try shard.newest(key), newest.record.modRevision <= place.revision {
            guard add(newest.version) else { return versions }
        }
        let floor = try TableFloor(tables, layout.history(of: key))
        while place.revision > .none,
            let version = try shard.superseded(
                key, atOrBelow: place.revision, place.subRevision, floor)
        {
            guard add(version) else { break }
            if version.subRevision > 0 {
                place = (version.modRevision, version.subRevision - 1)
            } else {
                place = (Revision(version.modRevision.rawValue - 1), .max)
            }
        }
        return versions
    }
}

extension StoredRow {
    var version: RecordVersion {
        RecordVersion(
            key: record.key, modRevision: record.modRevision, subRevision: subRevision,
            timestamp: record.timestamp, kind: .put(record))
    }
}
