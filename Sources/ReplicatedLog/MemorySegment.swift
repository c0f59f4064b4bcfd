import Primitives

/// One segment of a `MemoryLogDevice`: what reads see, and for each sector written since the last
/// sync what a crash may leave in its place.
struct MemorySegment: Sendable {
    private(set) var current: Bytes
    /// Sectors written since the last sync: first what is durable, then what was written over and
    /// over; the newest is in `current`.
    private var unsynced: [Int: [Bytes]] = [:]
    /// Sectors whose sync failed: reads see `current`, the disk has this, and no sync carries it
    /// any more unless the sector is written again.
    private var abandoned: [Int: Bytes] = [:]
    private(set) var unreadable: Set<Int> = []
    /// By sector, which sync made it durable, counted from 1.
    private(set) var syncNumbers: [Int: Int] = [:]
    private var syncs = 0
    /// Sectors that do not hold what was written to them.
    private(set) var harmed: Set<Int> = []

    init(_ content: consuming Bytes) { current = content }

    /// What a crash cannot take.
    var durable: Bytes {
        var bytes = current
        for (sector, contents) in unsynced { bytes.replaceSector(sector, with: contents[0]) }
        for (sector, content) in abandoned { bytes.replaceSector(sector, with: content) }
        return bytes
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        for position in stride(from: 0, to: bytes.count, by: Sector.size) {
            let start = offset + position
            let sector = start / Sector.size
            let before = Bytes(current[start..<start + Sector.size])
            if let durable = abandoned.removeValue(forKey: sector) {
                unsynced[sector] = [durable, before]
            } else {
                unsynced[sector, default: []].append(before)
            }
            if !unreadable.isEmpty { unreadable.remove(sector) }
            if !harmed.isEmpty { harmed.remove(sector) }
        }
        current.withUnsafeMutableBytes { raw in
            UnsafeMutableRawBufferPointer(rebasing: raw[offset..<offset + bytes.count])
                .copyMemory(from: bytes)
        }
    }

    mutating func sync() {
        syncs += 1
        for sector in unsynced.keys { syncNumbers[sector] = syncs }
        unsynced.removeAll(keepingCapacity: true)
    }

    mutating func failSync() {
        for (sector, contents) in unsynced { abandoned[sector] = contents[0] }
        unsynced.removeAll(keepingCapacity: true)
    }

    /// Gives each unsynced sector one of its states since the last sync.
    /// - Parameter keep: how many of four sectors keep something that was written.
    /// - Returns: how many sectors did not keep what was written last.
    mutating func crash(keepingQuarters keep: Int, using generator: inout SeededGenerator) -> Int {
        var lost = abandoned.count
        for (sector, content) in abandoned { current.replaceSector(sector, with: content) }
        for (sector, contents) in unsynced.sorted(by: { $0.key < $1.key }) {
            var kept = 0
            if Int.random(in: 0..<4, using: &generator) < keep {
                kept = Int.random(in: 1...contents.count, using: &generator)
            }
            guard kept < contents.count else { continue }
            current.replaceSector(sector, with: contents[kept])
            lost += 1
        }
        unsynced = [:]
        abandoned = [:]
        return lost
    }

    /// Changes what is durable and what reads see alike.
    mutating func flipBit(byte: Int, bit: Int) {
        let mask: UInt8 = 1 << UInt8(bit)
        current[byte] ^= mask
        let (sector, place) = byte.quotientAndRemainder(dividingBy: Sector.size)
        harmed.insert(sector)
        for i in 0..<(unsynced[sector]?.count ?? 0) { unsynced[sector]![i][place] ^= mask }
        abandoned[sector]?[place] ^= mask
    }

    /// As `flipBit`.
    mutating func overwrite(at offset: Int, _ bytes: Bytes) {
        current.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        if !bytes.isEmpty {
            harmed.formUnion(offset / Sector.size...(offset + bytes.count - 1) / Sector.size)
        }
        if unsynced.isEmpty && abandoned.isEmpty { return }
        for (i, byte) in bytes.enumerated() {
            let (sector, place) = (offset + i).quotientAndRemainder(dividingBy: Sector.size)
            for k in 0..<(unsynced[sector]?.count ?? 0) { unsynced[sector]![k][place] = byte }
            abandoned[sector]?[place] = byte
        }
    }

    mutating func makeUnreadable(_ sector: Int) { unreadable.insert(sector) }

    mutating func truncate(bytes: Int) {
        current.removeSubrange(bytes...)
        unsynced = unsynced.filter { ($0.key + 1) * Sector.size <= bytes }
        abandoned = abandoned.filter { ($0.key + 1) * Sector.size <= bytes }
    }
}

extension Bytes {
    fileprivate mutating func replaceSector(_ sector: Int, with content: Bytes) {
        replaceSubrange(sector * Sector.size..<(sector + 1) * Sector.size, with: content)
    }
}
