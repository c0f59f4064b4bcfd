import Primitives

/// A copy of the map, which shares all of it until the engine writes again.
final class MemoryReadView: ReadView {
    private let engine: MemoryEngine
    private let entries: SortedBytesMap
    private let blocks: DamagedBlocks

    init(engine: MemoryEngine, entries: SortedBytesMap, blocks: DamagedBlocks) {
        self.engine = engine
        self.entries = entries
        self.blocks = blocks
    }

    func value(for key: Bytes) throws(StorageError) -> Bytes? {
        try engine.read(.read)
        return try engine.checkedValue(of: entries.entry(for: key))
    }

    func makeIterator(lower: Bytes, upper: Bytes?) throws(StorageError) -> any EngineIterator {
        MemoryIterator(
            engine: engine, entries: entries, blocks: blocks, lower: lower, upper: upper)
    }
}

final class MemoryIterator: EngineIterator {
    private let engine: MemoryEngine
    private let entries: SortedBytesMap
    private let blocks: DamagedBlocks
    private let lower: Bytes
    private let upper: Bytes?
    /// Nil while the iterator is not valid.
    private var position: SortedBytesMap.Position?
    private var failure: StorageError?

    init(
        engine: MemoryEngine, entries: SortedBytesMap, blocks: DamagedBlocks, lower: Bytes,
        upper: Bytes?
    ) {
        self.engine = engine
        self.entries = entries
        self.blocks = blocks
        self.lower = lower
        self.upper = upper
    }

    func seek(to key: Bytes) {
        let start = key.lexicographicallyPrecedes(lower) ? lower : key
        settle(at: entries.firstPosition(notBelow: start), forwardsFrom: start)
    }

    func seekBackwards(to key: Bytes) {
        if let upper, !key.lexicographicallyPrecedes(upper) {
            let last = entries.position(before: entries.firstPosition(notBelow: upper))
            settle(at: last, backwardsFrom: upper)
        } else if let exact = entries.firstPosition(notBelow: key), entries[exact].key == key {
            settle(at: exact, backwardsFrom: key)
        } else {
            let last = entries.position(before: entries.firstPosition(notBelow: key))
            settle(at: last, backwardsFrom: key)
        }
    }

    func next() { settle(at: entries.position(after: validPosition), forwardsFrom: key) }

    func previous() { settle(at: entries.position(before: validPosition), backwardsFrom: key) }

    var isValid: Bool { position != nil }

    var key: Bytes { entries[validPosition].key }

    var value: Bytes { entries[validPosition].value }

    func checkStatus() throws(StorageError) {
        if let failure { throw failure }
    }

    private var validPosition: SortedBytesMap.Position {
        guard let position else { preconditionFailure("MemoryIterator: used without a position") }
        return position
    }

    // It finds the end of its range by reading the first entry beyond, and the block of that.
    // Backwards it also reads the entry before the one where it stands, to know that this is the
    // newest of its key.

    private func settle(at candidate: SortedBytesMap.Position?, forwardsFrom start: Bytes) {
        let end = candidate.map { entries[$0].key }
        settle(at: candidate, onTheWay: blocks.damage(from: start, through: end))
    }

    private func settle(at candidate: SortedBytesMap.Position?, backwardsFrom start: Bytes) {
        let before = candidate.flatMap { entries.position(before: $0) }
        let end = before.map { entries[$0].key } ?? []
        settle(at: candidate, onTheWay: blocks.damage(from: end, through: start))
    }

    /// Stands there if it is in bounds and can be read, and so can what lies on the way.
    private func settle(at candidate: SortedBytesMap.Position?, onTheWay damage: StorageError?) {
        position = nil
        failure = nil
        do throws(StorageError) {
            try engine.read(.iterate)
            if engine.verifiesChecksums, let damage { throw damage }
            guard let candidate, isInBounds(entries[candidate].key) else { return }
            _ = try engine.checkedValue(of: entries[candidate])
            position = candidate
        } catch {
            failure = error
        }
    }

    private func isInBounds(_ key: Bytes) -> Bool {
        if key.lexicographicallyPrecedes(lower) { return false }
        guard let upper else { return true }
        return key.lexicographicallyPrecedes(upper)
    }
}
