import Primitives
import RecordModel

/// Kinds of effect in the chained digest.
enum Effect {
    static let version: UInt64 = 1
    static let compact: UInt64 = 2
    static let restoreBegin: UInt64 = 3
    static let restoreRows: UInt64 = 4
    static let restoreFinish: UInt64 = 5
    static let restoreActivate: UInt64 = 6
    static let leaseStored: UInt64 = 16
    static let leaseEnded: UInt64 = 17
}

extension ShardWriter {
    /// Makes a version the newest of its key, in all tables. The version before goes to `history`
    /// with its bytes as they are; a deletion goes there at once.
    ///
    /// - Parameter previous: the live version before, nil where there is none.
    func install(_ version: RecordVersion, over previous: StoredRow?) {
        let key = version.key
        if let previous {
            pending.put(
                layout.history(key, previous.record.modRevision, previous.subRevision),
                previous.raw)
        }
        let stored = StoredVersion.encode(version)
        var terms: [IndexTerm] = []
        switch version.kind {
        case .put(let record):
            pending.put(layout.current(key), stored)
            terms = record.terms
        case .deletion:
            pending.delete(layout.current(key))
            pending.put(layout.history(key, version.modRevision, version.subRevision), stored)
        }
        index(key, from: previous?.record.terms ?? [], to: terms)
        let change = StoredChange(
            isDeletion: version.kind == .deletion,
            previousRevision: previous?.record.modRevision ?? .none,
            previousSubRevision: previous?.subRevision ?? 0, key: key)
        let changeRow = layout.revisions(version.modRevision, version.subRevision)
        pending.put(changeRow, change.encode(under: changeRow))

        changes?.events.append(WatchEvent(version, previous: previous?.record))
        state.digest.add(Effect.version)
        state.digest.add(key)
        state.digest.add(stored)
    }

    /// Both lists are in order: what stands in one only is written or deleted.
    private func index(_ key: Bytes, from old: [IndexTerm], to new: [IndexTerm]) {
        var (o, n) = (0, 0)
        while o < old.count || n < new.count {
            if n == new.count || (o < old.count && old[o] < new[n]) {
                pending.delete(layout.index(old[o], key))
                o += 1
            } else if o == old.count || new[n] < old[o] {
                pending.put(layout.index(new[n], key), StoredIndexEntry.value)
                n += 1
            } else {
                o += 1
                n += 1
            }
        }
    }
}

extension [IndexTerm] {
    func sortedWithoutDuplicates() -> [IndexTerm] {
        var terms: [IndexTerm] = []
        terms.reserveCapacity(count)
        for term in sorted() where terms.last != term { terms.append(term) }
        return terms
    }
}

/// A step that can only fail by the store, within one that can also be refused.
func reading<T>(
    _ body: () throws(RecordStoreError) -> T
) throws(RecordReadFailure) -> T {
    do { return try body() } catch { throw .store(error) }
}
