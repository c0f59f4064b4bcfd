import Primitives

/// Entries of a log whose contents its disk has lost, while index and term are known.
///
/// Invariants:
/// 1. `wanted` is ascending and apart, at most `rangesMax` ranges.
/// 2. `repairs` ascend by ticket.
struct Damage: Hashable, Sendable {
    /// Beyond it, neighbours are joined with what is intact between them: that is asked for in vain,
    /// and nothing else happens to it.
    static let rangesMax = 1_024

    /// Contents that nobody has supplied.
    private(set) var wanted: [ClosedRange<LogIndex>] = []
    /// Contents on their way to the disk.
    private(set) var repairs: [UnderRepair] = []

    struct UnderRepair: Hashable, Sendable {
        let ticket: AppendTicket
        var indexes: ClosedRange<LogIndex>
    }

    var isEmpty: Bool { wanted.isEmpty && repairs.isEmpty }

    /// Where the first entry at or above `index` stands that the disk cannot be asked for.
    func first(from index: LogIndex) -> LogIndex? {
        var lowest: LogIndex?
        for range in wanted + repairs.map(\.indexes) where range.upperBound >= index {
            let start = max(index, range.lowerBound)
            lowest = min(lowest ?? start, start)
        }
        return lowest
    }

    /// The last entry of the damage at `index`, as far as it is known in one piece.
    func end(of index: LogIndex) -> LogIndex {
        (wanted + repairs.map(\.indexes)).filter { $0.contains(index) }.map(\.upperBound).max()
            ?? index
    }

    func contains(_ index: LogIndex) -> Bool { first(from: index) == index }
    func wants(_ index: LogIndex) -> Bool { wanted.contains { $0.contains(index) } }

    mutating func insert(_ added: ClosedRange<LogIndex>) {
        var joined = added
        var kept: [ClosedRange<LogIndex>] = []
        for range in wanted {
            if range.upperBound.next >= joined.lowerBound
                && joined.upperBound.next >= range.lowerBound
            {
                joined =
                    min(
                        range.lowerBound, joined.lowerBound)...max(
                        range.upperBound, joined.upperBound)
            } else {
                kept.append(range)
            }
        }
        let place = kept.firstIndex { $0.lowerBound > joined.lowerBound } ?? kept.count
        kept.insert(joined, at: place)
        wanted = kept
        while wanted.count > Self.rangesMax { joinNearest() }
    }

    private mutating func joinNearest() {
        func gap(_ i: Int) -> UInt64 {
            wanted[i + 1].lowerBound.rawValue - wanted[i].upperBound.rawValue
        }
        let nearest = (0..<wanted.count - 1).min { gap($0) < gap($1) }!
        wanted[nearest] = wanted[nearest].lowerBound...wanted[nearest + 1].upperBound
        wanted.remove(at: nearest + 1)
    }

    /// The contents of `index` become durable with the work of this ticket.
    mutating func supplied(_ index: LogIndex, with ticket: AppendTicket) {
        remove(index...index)
        if let last = repairs.last, last.ticket == ticket, last.indexes.upperBound.next == index {
            repairs[repairs.count - 1].indexes = last.indexes.lowerBound...index
        } else {
            repairs.append(UnderRepair(ticket: ticket, indexes: index...index))
        }
    }

    mutating func acknowledged(_ ticket: AppendTicket) {
        repairs.removeAll { $0.ticket <= ticket }
    }

    /// The entries from `index` on are gone from the log.
    mutating func truncate(from index: LogIndex) {
        wanted = wanted.compactMap { $0.part(below: index) }
        repairs = repairs.compactMap { repair in
            repair.indexes.part(below: index).map {
                UnderRepair(ticket: repair.ticket, indexes: $0)
            }
        }
    }

    /// The entries up to `index` are gone from the log.
    mutating func forget(through index: LogIndex) {
        wanted = wanted.compactMap { $0.part(above: index) }
        repairs = repairs.compactMap { repair in
            repair.indexes.part(above: index).map {
                UnderRepair(ticket: repair.ticket, indexes: $0)
            }
        }
    }

    mutating func removeAll() {
        wanted = []
        repairs = []
    }

    private mutating func remove(_ removed: ClosedRange<LogIndex>) {
        wanted = wanted.flatMap { range in
            [
                range.part(below: removed.lowerBound), range.part(above: removed.upperBound),
            ].compactMap { $0 }
        }
    }
}

extension ClosedRange<LogIndex> {
    func part(below index: LogIndex) -> Self? {
        guard lowerBound < index else { return nil }
        return lowerBound...Swift.min(upperBound, index.previous)
    }

    func part(above index: LogIndex) -> Self? {
        guard upperBound > index else { return nil }
        return Swift.max(lowerBound, index.next)...upperBound
    }
}
