import Primitives

/// A copy of the map, which shares all of it until the engine writes again.
final class MemoryReadView: ReadView {
    private let engine: MemoryEngine
    private let entries: SortedBytesMap

    init(engine: MemoryEngine, entries: SortedBytesMap) {
        self.engine = engine
        self.entries = entries
    }

    func value(for key: Bytes) throws(StorageError) -> Bytes? {
        try engine.read()
        return try engine.checkedValue(of: entries.entry(for: key))
    }

    func makeIterator(lower: Bytes, upper: Bytes?) throws(StorageError) -> any EngineIterator {
        MemoryIterator(engine: engine, entries: entries, lower: lower, upper: upper)
    }
}

final class MemoryIterator: EngineIterator {
    private let engine: MemoryEngine
    private let entries: SortedBytesMap
    private let lower: Bytes
    private let upper: Bytes?
    /// Nil while the iterator is not valid.
    private var position: SortedBytesMap.Position?
    private var failure: StorageError?

    init(engine: MemoryEngine, entries: SortedBytesMap, lower: Bytes, upper: Bytes?) {
        self.engine = engine
        self.entries = entries
        self.lower = lower
        self.upper = upper
    }

    func seek(to key: Bytes) {
        let start = key.lexicographicallyPrecedes(lower) ? lower : key
        settle(at: entries.firstPosition(notBelow: start))
    }

    func seekBackwards(to key: Bytes) {
        if let upper, !key.lexicographicallyPrecedes(upper) {
            settle(at: entries.position(before: entries.firstPosition(notBelow: upper)))
        } else if let exact = entries.firstPosition(notBelow: key), entries[exact].key == key {
            settle(at: exact)
        } else {
            settle(at: entries.position(before: entries.firstPosition(notBelow: key)))
        }
    }

    func next() { settle(at: entries.position(after: validPosition)) }

    func previous() { settle(at: entries.position(before: validPosition)) }

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

    /// Stands there if it is in bounds and can be read.
    private func settle(at candidate: SortedBytesMap.Position?) {
        position = nil
        failure = nil
        do throws(StorageError) {
            try engine.read()
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
