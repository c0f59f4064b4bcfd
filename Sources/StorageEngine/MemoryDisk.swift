import Primitives

/// What is on the stable storage of a `MemoryEngine`, and outlives it.
///
/// Invariants
/// 1. `earlier` holds at most `earlierImagesMax` images, the oldest first.
struct MemoryDisk: Sendable {
    /// Everything on the disk at one moment.
    struct Image: Sendable {
        var entries = SortedBytesMap()
        var blocks = DamagedBlocks()
    }

    /// Flushes that can be undone: beyond, the oldest is forgotten.
    static let earlierImagesMax = 16

    static let noSpace = StorageError.noSpace("the disk is full")

    var image = Image()
    /// What the disk held before each of the last flushes.
    private(set) var earlier: [Image] = []
    /// What opening throws.
    var refusal: StorageError?
    var isFull = false

    mutating func persist(_ batches: ArraySlice<WriteBatch>) {
        if batches.isEmpty { return }
        earlier.append(image)
        if earlier.count > Self.earlierImagesMax { earlier.removeFirst() }
        for batch in batches { image.entries.apply(batch) }
    }

    /// The disk is again what it was some flushes ago.
    mutating func rollBack(flushes: Int) {
        image = earlier[earlier.count - flushes]
        earlier.removeLast(flushes)
    }

    /// What one flush wrote is gone, where nothing newer has been written over it: the values from
    /// before it are back, and so are the keys that it deleted.
    ///
    /// - Parameter ago: 1 is the last.
    /// - Returns: how many keys changed.
    mutating func loseFlush(ago: Int) -> Int {
        let before = earlier[earlier.count - ago].entries
        let after = ago == 1 ? image.entries : earlier[earlier.count - ago + 1].entries
        var changed = 0
        for (key, old, new) in SortedBytesMap.differences(before, after)
        where image.entries.entry(for: key) == new {
            changed += 1
            if let old { image.entries.put(old) } else { image.entries.remove(key) }
        }
        return changed
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

    var isEmpty: Bool { blocks.isEmpty }

    /// The damage of some block, if there is one.
    var damage: StorageError? { blocks.first?.damage }

    /// What an iterator meets that moves over these keys, both included. Nil is no bound.
    func damage(from lower: Bytes?, through upper: Bytes?) -> StorageError? {
        blocks.first { block in
            let isBelow = lower.map { block.last.lexicographicallyPrecedes($0) } ?? false
            let isAbove = upper.map { $0.lexicographicallyPrecedes(block.first) } ?? false
            return !isBelow && !isAbove
        }?.damage
    }
}
