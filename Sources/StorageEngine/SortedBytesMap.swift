import Primitives

/// A sorted map from keys to values as a value: a copy costs nothing until one of the two changes.
///
/// Entries lie in chunks of at most `chunkEntriesMax`. With n entries a lookup is two binary
/// searches; a change moves part of one chunk, and the first one after a copy also copies the list
/// of the n/64 or so chunks.
struct SortedBytesMap: Sendable {
    struct Entry: Equatable, Sendable {
        var key: Bytes
        var value: Bytes
        /// What reading the value throws.
        var damage: StorageError?
    }

    /// Where an entry is, as long as the map does not change.
    struct Position: Equatable {
        var chunk: Int
        var offset: Int
    }

    private static let chunkEntriesMax = 128

    /// None is empty.
    private var chunks: [[Entry]] = []
    private(set) var count = 0

    subscript(position: Position) -> Entry { chunks[position.chunk][position.offset] }

    func entry(for key: Bytes) -> Entry? {
        guard let position = firstPosition(notBelow: key) else { return nil }
        let entry = self[position]
        return entry.key == key ? entry : nil
    }

    /// The entry that has so many before it, which must exist.
    func entry(number: Int) -> Entry {
        var rest = number
        for chunk in chunks {
            if rest < chunk.count { return chunk[rest] }
            rest -= chunk.count
        }
        preconditionFailure("entry \(number) of \(count)")
    }

    /// The keys whose entries differ between two maps, in order, with both entries.
    static func differences(
        _ old: SortedBytesMap, _ new: SortedBytesMap
    ) -> [(key: Bytes, old: Entry?, new: Entry?)] {
        var differences: [(key: Bytes, old: Entry?, new: Entry?)] = []
        var left = old.firstPosition(notBelow: [])
        var right = new.firstPosition(notBelow: [])
        while true {
            let a = left.map { old[$0] }
            let b = right.map { new[$0] }
            guard let key = lesser(a?.key, b?.key) else { return differences }
            let isInOld = a?.key == key
            let isInNew = b?.key == key
            if !(isInOld && isInNew && a == b) {
                differences.append((key, isInOld ? a : nil, isInNew ? b : nil))
            }
            if isInOld, let at = left { left = old.position(after: at) }
            if isInNew, let at = right { right = new.position(after: at) }
        }
    }

    /// Nil is no key.
    private static func lesser(_ one: Bytes?, _ other: Bytes?) -> Bytes? {
        guard let one else { return other }
        guard let other else { return one }
        return other.lexicographicallyPrecedes(one) ? other : one
    }

    /// Nil: every key is below.
    func firstPosition(notBelow key: Bytes) -> Position? {
        let chunk = chunks.partitionPoint { $0[$0.count - 1].key.lexicographicallyPrecedes(key) }
        guard chunk < chunks.count else { return nil }
        let offset = chunks[chunk].partitionPoint { $0.key.lexicographicallyPrecedes(key) }
        return Position(chunk: chunk, offset: offset)
    }

    /// Nil: the position is the last, or there is none.
    func position(after position: Position) -> Position? {
        if position.offset + 1 < chunks[position.chunk].count {
            return Position(chunk: position.chunk, offset: position.offset + 1)
        }
        guard position.chunk + 1 < chunks.count else { return nil }
        return Position(chunk: position.chunk + 1, offset: 0)
    }

    /// - Parameter position: nil is behind the last.
    /// - Returns: nil when the position is the first.
    func position(before position: Position?) -> Position? {
        let position = position ?? Position(chunk: chunks.count, offset: 0)
        if position.offset > 0 {
            return Position(chunk: position.chunk, offset: position.offset - 1)
        }
        guard position.chunk > 0 else { return nil }
        return Position(chunk: position.chunk - 1, offset: chunks[position.chunk - 1].count - 1)
    }

    mutating func put(_ entry: Entry) {
        guard let position = firstPosition(notBelow: entry.key) else {
            insert(entry, at: lastEnd)
            return
        }
        if self[position].key == entry.key {
            chunks[position.chunk][position.offset] = entry
        } else {
            insert(entry, at: position)
        }
    }

    mutating func remove(_ key: Bytes) {
        guard let position = firstPosition(notBelow: key), self[position].key == key else { return }
        removeEntries(position.offset..<position.offset + 1, of: position.chunk)
    }

    /// Removes the keys in `from..<to`; nil is unbounded.
    mutating func removeRange(from: Bytes, to: Bytes?) {
        if let to, !from.lexicographicallyPrecedes(to) { return }
        while let position = firstPosition(notBelow: from) {
            let chunk = chunks[position.chunk]
            let end =
                to.map { to in
                    chunk.partitionPoint { $0.key.lexicographicallyPrecedes(to) }
                } ?? chunk.count
            guard position.offset < end else { return }
            removeEntries(position.offset..<end, of: position.chunk)
        }
    }

    mutating func apply(_ batch: WriteBatch) {
        for operation in batch.operations {
            switch operation {
            case .put(let key, let value): put(Entry(key: key, value: value))
            case .delete(let key): remove(key)
            case .deleteRange(let from, let to): removeRange(from: from, to: to)
            }
        }
    }

    /// Behind the last entry.
    private var lastEnd: Position {
        guard let last = chunks.last else { return Position(chunk: 0, offset: 0) }
        return Position(chunk: chunks.count - 1, offset: last.count)
    }

    private mutating func insert(_ entry: Entry, at position: Position) {
        count += 1
        guard position.chunk < chunks.count else {
            chunks.append([entry])
            return
        }
        chunks[position.chunk].insert(entry, at: position.offset)
        let size = chunks[position.chunk].count
        guard size > Self.chunkEntriesMax else { return }
        let upperHalf = Array(chunks[position.chunk][(size / 2)...])
        chunks[position.chunk].removeSubrange((size / 2)...)
        chunks.insert(upperHalf, at: position.chunk + 1)
    }

    private mutating func removeEntries(_ offsets: Range<Int>, of chunk: Int) {
        count -= offsets.count
        chunks[chunk].removeSubrange(offsets)
        if chunks[chunk].isEmpty { chunks.remove(at: chunk) }
    }
}

extension Array {
    /// The number of leading elements for which the predicate holds, when it holds for none behind
    /// them.
    fileprivate func partitionPoint(_ holds: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = low + (high - low) / 2
            if holds(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
