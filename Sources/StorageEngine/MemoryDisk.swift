import Primitives

/// What is on the stable storage of a `MemoryEngine`, and outlives it.
///
/// Invariants
/// 1. `flushes` holds at most `flushesMax`, the oldest first.
struct MemoryDisk: Sendable {
    /// Everything on the disk at one moment.
    struct Image: Sendable {
        var entries = SortedBytesMap()
        var blocks = DamagedBlocks()
    }

    /// What one flush or write-back found and left.
    struct Flush: Sendable {
        var before: Image
        var after: SortedBytesMap
    }

    /// Flushes that can be undone: beyond, the oldest is forgotten.
    static let flushesMax = 16

    static let noSpace = StorageError.noSpace("the disk is full")

    var image = Image()
    private(set) var flushes: [Flush] = []
    /// What opening throws.
    var refusal: StorageError?
    var isFull = false

    /// - Parameter result: the entries after them, when they are known.
    mutating func persist(_ batches: ArraySlice<WriteBatch>, result: SortedBytesMap?) {
        if batches.isEmpty { return }
        let before = image
        if let result {
            image.entries = result
        } else {
            for batch in batches { image.entries.apply(batch) }
        }
        flushes.append(Flush(before: before, after: image.entries))
        if flushes.count > Self.flushesMax { flushes.removeFirst() }
    }

    /// The disk is again what it was some flushes ago.
    mutating func rollBack(flushes count: Int) {
        image = flushes[flushes.count - count].before
        flushes.removeLast(count)
    }

    /// What one flush wrote is gone, where nothing newer has been written over it: the values from
    /// before it are back, and so are the keys that it deleted.
    ///
    /// - Parameter ago: 1 is the last.
    /// - Returns: how many keys changed.
    mutating func loseFlush(ago: Int) -> Int {
        let flush = flushes[flushes.count - ago]
        var changed = 0
        for (key, old, new) in SortedBytesMap.differences(flush.before.entries, flush.after)
        where image.entries.entry(for: key) == new {
            changed += 1
            if let old { image.entries.put(old) } else { image.entries.remove(key) }
        }
        return changed
    }

    /// What the disk held of a key before the flush that wrote what it holds now, as far back as
    /// flushes are kept. Nil: it held the same, or nothing.
    func earlierEntry(for key: Bytes) -> SortedBytesMap.Entry? {
        let now = image.entries.entry(for: key)
        for flush in flushes.reversed() {
            guard let earlier = flush.before.entries.entry(for: key) else { return nil }
            if earlier != now { return earlier }
        }
        return nil
    }
}

/// Blocks that do not match their checksums, or cannot be read: each spans the keys from its first
/// to its last.
struct DamagedBlocks: Sendable {
    private struct Block {
        var first: Bytes
        var last: Bytes
        var damage: StorageError
    }

    private var blocks: [Block] = []

    mutating func add(first: Bytes, last: Bytes, damage: StorageError) {
        blocks.append(Block(first: first, last: last, damage: damage))
    }

    /// The damage of some block, if there is one.
    var damage: StorageError? { blocks.first?.damage }

    /// What an iterator meets that moves over these keys, in either direction, both included.
    ///
    /// - Parameter upper: nil is no bound.
    func damage(from lower: Bytes, through upper: Bytes?) -> StorageError? {
        blocks.first { block in
            if block.last.lexicographicallyPrecedes(lower) { return false }
            guard let upper else { return true }
            return !upper.lexicographicallyPrecedes(block.first)
        }?.damage
    }
}
