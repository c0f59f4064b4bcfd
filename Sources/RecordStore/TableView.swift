import Primitives
import StorageEngine

/// The engine's rows at one moment, with what a batch has pending laid over them.
struct TableView {
    let view: any ReadView
    let pending: PendingWrites?

    func value(for key: Bytes) throws(RecordStoreError) -> Bytes? {
        if let pending {
            switch pending.row(key) {
            case .value(let value): return value
            case .deleted: return nil
            case .absent: if pending.hidesEngine { return nil }
            }
        }
        return try storage { () throws(StorageError) in try view.value(for: key) }
    }

    /// A cursor at the first row of the range.
    func cursor(_ range: RawRange) throws(RecordStoreError) -> TableCursor {
        let cursor = try TableCursor(self, range)
        try cursor.seek(to: range.lower)
        return cursor
    }

    fileprivate func engineIterator(
        _ range: RawRange
    ) throws(RecordStoreError) -> (any EngineIterator)? {
        if range.isEmpty || pending?.hidesEngine == true { return nil }
        return try storage { () throws(StorageError) in
            try view.makeIterator(lower: range.lower, upper: range.upper)
        }
    }
}

/// The engine's errors as the store's.
func storage<T>(_ body: () throws(StorageError) -> T) throws(RecordStoreError) -> T {
    do { return try body() } catch { throw .storage(error) }
}

/// Moves upwards through the rows of a range. What the batch writes after the cursor was made, it
/// may or may not show: callers gather what they look for before they write.
final class TableCursor {
    private let range: RawRange
    private let engine: (any EngineIterator)?
    private let pending: PendingWrites?
    private let pendingKeys: [Bytes]
    private var pendingPosition = 0
    private var pendingValue: Bytes?
    private var shadowsEngine = false

    /// nil at the end of the range.
    private(set) var key: Bytes?

    fileprivate init(_ tables: TableView, _ range: RawRange) throws(RecordStoreError) {
        self.range = range
        engine = try tables.engineIterator(range)
        pending = tables.pending
        pendingKeys = tables.pending?.sortedKeys() ?? []
    }

    /// Only while `key` is not nil.
    var value: Bytes {
        if let pendingValue { return pendingValue }
        guard let engine else { preconditionFailure("value of a cursor at its end") }
        return engine.value
    }

    /// To the first row that is not below `target`.
    func seek(to target: Bytes) throws(RecordStoreError) {
        let target = target.lexicographicallyPrecedes(range.lower) ? range.lower : target
        engine?.seek(to: target)
        pendingPosition = pendingKeys.lowerBound(target)
        try settle()
    }

    func advance() throws(RecordStoreError) {
        precondition(key != nil, "advance of a cursor at its end")
        if pendingValue != nil {
            pendingPosition += 1
            if shadowsEngine { engine?.next() }
        } else {
            engine?.next()
        }
        try settle()
    }

    /// How many rows the range has from the present one on. Leaves the cursor at the end.
    func countRest() throws(RecordStoreError) -> Int {
        var count = 0
        while key != nil {
            if !hasPendingAhead, let engine {
                while engine.isValid {
                    count += 1
                    engine.next()
                }
                try settle()
            } else {
                count += 1
                try advance()
            }
        }
        return count
    }

    /// Whether the batch has a row at or behind the present one, or has deleted one there.
    private var hasPendingAhead: Bool {
        pendingPosition < pendingKeys.count
            && pendingKeys[pendingPosition].lexicographicallyPrecedes(range.upper)
    }

    private func settle() throws(RecordStoreError) {
        pendingValue = nil
        while true {
            let engineKey = try currentEngineKey()
            var pendingKey: Bytes?
            if pendingPosition < pendingKeys.count {
                let candidate = pendingKeys[pendingPosition]
                if candidate.lexicographicallyPrecedes(range.upper) { pendingKey = candidate }
            }
            guard let pendingKey else {
                key = engineKey
                return
            }
            if let engineKey, engineKey.lexicographicallyPrecedes(pendingKey) {
                key = engineKey
                return
            }
            shadowsEngine = engineKey == pendingKey
            switch pending?.row(pendingKey) ?? .absent {
            case .value(let value):
                key = pendingKey
                pendingValue = value
                return
            case .deleted:
                pendingPosition += 1
                if shadowsEngine { engine?.next() }
            case .absent:
                pendingPosition += 1
            }
        }
    }

    private func currentEngineKey() throws(RecordStoreError) -> Bytes? {
        guard let engine else { return nil }
        if engine.isValid { return engine.key }
        try storage { () throws(StorageError) in try engine.checkStatus() }
        return nil
    }
}

/// Finds the row at or below a key within a range. Keeps its iterator, for repeated questions.
final class TableFloor {
    private let range: RawRange
    private let engine: (any EngineIterator)?
    private let pending: PendingWrites?
    private let pendingKeys: [Bytes]

    init(_ tables: TableView, _ range: RawRange) throws(RecordStoreError) {
        self.range = range
        engine = try tables.engineIterator(range)
        pending = tables.pending
        pendingKeys = tables.pending?.sortedKeys() ?? []
    }

    func last(atOrBelow target: Bytes) throws(RecordStoreError) -> (key: Bytes, value: Bytes)? {
        let fromPending = lastPending(atOrBelow: target)
        if let engine {
            engine.seekBackwards(to: target)
            while engine.isValid {
                let key = engine.key
                if let fromPending, !fromPending.key.lexicographicallyPrecedes(key) { break }
                if case .absent = pending?.row(key) ?? .absent { return (key, engine.value) }
                // Deleted by the batch: a value it holds is `fromPending` or below it.
                engine.previous()
            }
            if !engine.isValid {
                try storage { () throws(StorageError) in try engine.checkStatus() }
            }
        }
        return fromPending
    }

    private func lastPending(atOrBelow target: Bytes) -> (key: Bytes, value: Bytes)? {
        guard let pending else { return nil }
        var position = pendingKeys.lowerBound(target)
        if position < pendingKeys.count, pendingKeys[position] == target { position += 1 }
        while position > 0 {
            position -= 1
            let key = pendingKeys[position]
            if key.lexicographicallyPrecedes(range.lower) { return nil }
            if case .value(let value) = pending.row(key) { return (key, value) }
        }
        return nil
    }
}
