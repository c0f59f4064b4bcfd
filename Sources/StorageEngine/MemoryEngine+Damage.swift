import Primitives
import Synchronization

/// Damage to what is on stable storage. It may be done while the engine runs and while it is
/// stopped; what is in memory only is never damaged.
extension MemoryEngine {
    /// Flips one bit of a value.
    ///
    /// - Parameter bit: taken modulo the bits of the value. An empty value is damaged all the same.
    /// - Returns: false when no such value is there, or a newer one is in memory.
    package func damageValue(for key: Bytes, bit: Int = 0) -> Bool {
        changeDisk { state in
            guard let entry = state.disk.image.entries.entry(for: key),
                state.current.entry(for: key)?.value == entry.value
            else { return false }
            let damage = StorageError.corruption(
                "the value of key \(key) does not match its checksum")
            state.disk.image.entries.put(entry.damaged(damage, bit: bit))
            return true
        }
    }

    /// Damages a block: the persisted entries of adjacent keys, and the span between them.
    ///
    /// - Parameters:
    ///   - key: the block begins at the first key that is not below.
    ///   - entriesMax: how many entries the block holds, if there are so many.
    ///   - error: `.corruption`, or `.inputOutput` for a block that the device does not give.
    /// - Returns: how many entries are damaged.
    package func damageBlock(
        from key: Bytes, entriesMax: Int,
        _ error: StorageError = .corruption("a block does not match its checksum")
    ) -> Int {
        changeDisk { state in
            var damaged: [SortedBytesMap.Entry] = []
            var position = state.disk.image.entries.firstPosition(notBelow: key)
            while let at = position, damaged.count < entriesMax {
                damaged.append(state.disk.image.entries[at].damaged(error, bit: 0))
                position = state.disk.image.entries.position(after: at)
            }
            guard let first = damaged.first, let last = damaged.last else { return 0 }
            for entry in damaged { state.disk.image.entries.put(entry) }
            state.disk.image.blocks.add(first: first.key, last: last.key, damage: error)
            return damaged.count
        }
    }

    /// Damages everything that is persisted.
    /// - Returns: how many entries are damaged.
    package func damageEverything(
        _ error: StorageError = .corruption("no block matches its checksum")
    ) -> Int {
        damageBlock(from: [], entriesMax: .max, error)
    }

    /// A persisted key has, in silence, the value that it had before the last flush that changed it.
    ///
    /// - Returns: false when no such value is known.
    package func makeStale(_ key: Bytes) -> Bool {
        changeDisk { state in
            guard state.disk.image.entries.entry(for: key) != nil,
                let earlier = state.disk.earlierEntry(for: key)
            else { return false }
            state.disk.image.entries.put(earlier)
            return true
        }
    }

    /// Persisted keys in `from..<to` are gone in silence.
    /// - Parameter to: nil is unbounded.
    /// - Returns: how many were there.
    package func loseKeys(from: Bytes, to: Bytes?) -> Int {
        changeDisk { state in
            let before = state.disk.image.entries.count
            state.disk.image.entries.removeRange(from: from, to: to)
            return before - state.disk.image.entries.count
        }
    }

    /// What one flush or write-back wrote is gone in silence, where nothing newer has been written
    /// over it: older values are back, and so are deleted keys. The prefix of batches has a hole.
    ///
    /// - Parameter ago: 1 is the last. At most `flushesKept`.
    /// - Returns: how many keys changed.
    package func loseFlush(ago: Int) -> Int {
        changeDisk { state in
            precondition(
                (1...state.disk.flushes.count).contains(ago),
                "loseFlush \(ago) ago of \(state.disk.flushes.count)")
            return state.disk.loseFlush(ago: ago)
        }
    }

    /// The disk is again what it was before the last flushes and write-backs: a prefix of the
    /// batches, but one that is behind what `persistedValue` and `flush` have told. For a stopped
    /// engine, as a running one does not reread its files.
    ///
    /// - Parameter flushes: at most `flushesKept`.
    package func rollBack(flushes: Int) {
        changeDisk { state in
            precondition(state.isStopped, "rollBack of an engine that runs")
            precondition(
                (0...state.disk.flushes.count).contains(flushes),
                "rollBack of \(flushes) of \(state.disk.flushes.count)")
            if flushes > 0 { state.disk.rollBack(flushes: flushes) }
        }
    }

    /// How many of the last flushes and write-backs `loseFlush` and `rollBack` can reach.
    package var flushesKept: Int { state.withLock { $0.disk.flushes.count } }

    /// Reads everything that is persisted, as a compaction in the background may at any time: any
    /// damage ends commits and flushes with its error, until the engine is opened again.
    package func compact() {
        state.withLock { state in
            precondition(!state.isStopped, "compact of an engine that is stopped")
            guard state.failure == nil, verifiesChecksums else { return }
            state.failure = state.disk.image.damage
        }
    }

    private func changeDisk<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            defer { state.rebuildCurrent() }
            return body(&state)
        }
    }
}

extension MemoryDisk.Image {
    /// The first damage that a reader of everything meets.
    var damage: StorageError? {
        if let damage = blocks.damage { return damage }
        var position = entries.firstPosition(notBelow: [])
        while let at = position {
            if let damage = entries[at].damage { return damage }
            position = entries.position(after: at)
        }
        return nil
    }
}

extension SortedBytesMap.Entry {
    /// - Parameter bit: of the value, the one that flips; modulo its bits.
    fileprivate func damaged(_ damage: StorageError, bit: Int) -> SortedBytesMap.Entry {
        var entry = self
        entry.damage = damage
        if !value.isEmpty {
            let bit = bit % (value.count * 8)
            entry.value[bit / 8] ^= 1 << (bit % 8)
        }
        return entry
    }
}
