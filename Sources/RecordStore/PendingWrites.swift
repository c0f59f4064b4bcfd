import Primitives
import StorageEngine

/// What the commands of one batch have written so far, over the engine's view: what a command reads
/// is this laid over that. Belongs to the apply thread; its size is bounded by
/// `RecordStore.batchBytesMax` and what one command may change.
///
/// A command's writes can be taken back until the next one begins.
final class PendingWrites {
    /// nil: deleted. Never iterated, so that hash order decides nothing.
    private var rows: [Bytes: Bytes?] = [:]
    /// Keys in order; every key of `rows` is here or in `unsorted`. Keys that were taken back may
    /// be here without a row.
    private var sorted: [Bytes] = []
    private var unsorted: [Bytes] = []
    private var undo: [(key: Bytes, previous: Bytes??)] = []
    /// Bytes of all that was written, with what was overwritten or taken back: never less than what
    /// `rows` holds.
    private(set) var bytesWritten = 0
    /// Ranges that the batch empties before anything else.
    private(set) var wiped: [RawRange] = []

    enum Row {
        case absent
        case deleted
        case value(Bytes)
    }

    /// True when the engine's rows are to be overlooked.
    var hidesEngine: Bool { !wiped.isEmpty }

    func row(_ key: Bytes) -> Row {
        guard let found = rows[key] else { return .absent }
        guard let value = found else { return .deleted }
        return .value(value)
    }

    func put(_ key: Bytes, _ value: Bytes) { set(key, .some(value)) }
    func delete(_ key: Bytes) { set(key, .none) }

    private func set(_ key: Bytes, _ value: Bytes?) {
        bytesWritten += key.count + (value?.count ?? 0)
        let previous = rows.updateValue(value, forKey: key)
        undo.append((key, previous))
        if previous == nil { unsorted.append(key) }
    }

    // MARK: Commands

    func beginCommand() { undo.removeAll(keepingCapacity: true) }

    /// Takes back what was written since `beginCommand`. A wipe is not taken back: a command wipes
    /// last of all that it may be refused for.
    func rollback() {
        for (key, previous) in undo.reversed() { rows[key] = previous }
        undo.removeAll(keepingCapacity: true)
    }

    /// Forgets everything pending and empties the ranges, which must be all that the shard has.
    func wipe(_ ranges: [RawRange]) {
        precondition(undo.isEmpty, "wipe after \(undo.count) writes of the same command")
        rows.removeAll()
        sorted.removeAll()
        unsorted.removeAll()
        wiped = ranges
    }

    // MARK: Order

    /// Keys in order, without duplicates. Some may have no row.
    func sortedKeys() -> [Bytes] {
        if unsorted.isEmpty { return sorted }
        unsorted.sort { $0.lexicographicallyPrecedes($1) }
        var merged: [Bytes] = []
        merged.reserveCapacity(sorted.count + unsorted.count)
        var (old, new) = (0, 0)
        while old < sorted.count || new < unsorted.count {
            let takesOld =
                new == unsorted.count
                || (old < sorted.count && sorted[old].lexicographicallyPrecedes(unsorted[new]))
            let key = takesOld ? sorted[old] : unsorted[new]
            if takesOld { old += 1 } else { new += 1 }
            if merged.last != key { merged.append(key) }
        }
        sorted = merged
        unsorted.removeAll(keepingCapacity: true)
        return sorted
    }

    /// Everything pending, in key order.
    func write(into batch: inout WriteBatch) {
        for range in wiped { batch.deleteRange(from: range.lower, to: range.upper) }
        for key in sortedKeys() {
            switch row(key) {
            case .absent: continue
            case .deleted: batch.delete(key)
            case .value(let value): batch.put(key, value)
            }
        }
    }
}

extension [Bytes] {
    /// The first position whose element is not below `key`, in an array in order.
    func lowerBound(_ key: Bytes) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = low + (high - low) / 2
            if self[middle].lexicographicallyPrecedes(key) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}
