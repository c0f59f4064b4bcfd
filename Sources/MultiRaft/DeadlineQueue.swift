import Primitives

/// Wake deadlines: a binary heap by tick, then group.
struct DeadlineQueue: Sendable {
    private var heap: [(tick: UInt64, group: GroupID)] = []

    var count: Int { heap.count }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        (heap[a].tick, heap[a].group) < (heap[b].tick, heap[b].group)
    }

    mutating func insert(_ tick: UInt64, _ group: GroupID) {
        heap.append((tick: tick, group: group))
        var at = heap.count - 1
        while at > 0, isBefore(at, (at - 1) / 2) {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    /// The earliest that is not above this tick.
    mutating func popFirst(at tick: UInt64) -> (tick: UInt64, group: GroupID)? {
        guard let first = heap.first, first.tick <= tick else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count {
                if isBefore(child, least) { least = child }
            }
            if least == at { break }
            heap.swapAt(at, least)
            at = least
        }
        return first
    }

    func contains(_ tick: UInt64, _ group: GroupID) -> Bool {
        heap.contains { $0.tick == tick && $0.group == group }
    }
}
