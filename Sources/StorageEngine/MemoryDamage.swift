import Primitives
import Synchronization

/// The outcomes of damage to a store, as classes from which chance can draw. They are those of
/// docs/formats/storage-damage.md.
package enum MemoryDamage: String, CaseIterable, Sendable {
    /// Opening throws `.corruption`, for good. Only a start notices.
    case refusesToOpen
    /// One value throws `.corruption`.
    case value
    /// A block of adjacent keys throws `.corruption`, also from iterators that would pass it.
    case block
    /// A block of adjacent keys throws `.inputOutput`, also from iterators that would pass it.
    case unreadableBlock
    /// Every persisted key throws `.corruption`.
    case everything
    /// One key has an older value in silence.
    case staleValue
    /// A range of keys is gone in silence.
    case lostKeys
    /// What one flush wrote is gone in silence: missing keys, older values, deleted keys back.
    case lostFlush
    /// The store is in silence what it was some flushes ago: a prefix of the batches.
    case rolledBack
}

extension MemoryEngine {
    /// Entries of a block that chance damages, at most.
    private static let blockEntriesMax = 40

    /// Damages the disk. The same state, class and generator give the same damage.
    ///
    /// - Parameter damage: `.rolledBack` needs an engine that is stopped.
    /// - Returns: false when the disk holds nothing that can be damaged so; it is then as it was.
    package func inject(
        _ damage: MemoryDamage, using generator: inout SeededGenerator
    ) -> Bool {
        switch damage {
        case .refusesToOpen:
            refuseToOpen(.corruption("files of the store are missing or damaged"))
            return true
        case .value:
            guard let key = randomPersistedKey(using: &generator) else { return false }
            return damageValue(for: key, bit: Int(generator.next() >> 8))
        case .block, .unreadableBlock:
            guard let key = randomPersistedKey(using: &generator) else { return false }
            let entries = Int.random(in: 1...Self.blockEntriesMax, using: &generator)
            return damage == .block
                ? damageBlock(from: key, entriesMax: entries) > 0
                : damageBlock(
                    from: key, entriesMax: entries, .inputOutput("a block cannot be read")) > 0
        case .everything:
            return damageEverything() > 0
        case .staleValue:
            let keys = persistedKeysWithEarlierValues
            guard let key = keys.randomElement(using: &generator) else { return false }
            return makeStale(key)
        case .lostKeys:
            guard let one = randomPersistedKey(using: &generator),
                let other = randomPersistedKey(using: &generator)
            else { return false }
            let (from, to) = one.lexicographicallyPrecedes(other) ? (one, other) : (other, one)
            // The successor of `to`, so that at least one key is lost.
            return loseKeys(from: from, to: to + [0]) > 0
        case .lostFlush:
            guard flushesKept > 0 else { return false }
            return loseFlush(ago: Int.random(in: 1...flushesKept, using: &generator)) > 0
        case .rolledBack:
            guard flushesKept > 0 else { return false }
            rollBack(flushes: Int.random(in: 1...flushesKept, using: &generator))
            return true
        }
    }

    private var persistedKeysWithEarlierValues: [Bytes] {
        let disk = state.withLock { $0.disk }
        var keys: [Bytes] = []
        var position = disk.image.entries.firstPosition(notBelow: [])
        while let at = position {
            let key = disk.image.entries[at].key
            if disk.earlierEntry(for: key) != nil { keys.append(key) }
            position = disk.image.entries.position(after: at)
        }
        return keys
    }

    private func randomPersistedKey(using generator: inout SeededGenerator) -> Bytes? {
        let entries = state.withLock { $0.disk.image.entries }
        guard entries.count > 0 else { return nil }
        return entries.entry(number: Int.random(in: 0..<entries.count, using: &generator)).key
    }
}
