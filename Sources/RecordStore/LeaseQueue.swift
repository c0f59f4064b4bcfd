import Primitives
import RecordModel

/// When which lease must be looked at: a binary heap by time, then id. A lease that must be looked
/// at later than it says is put back when its time comes, so that a keep-alive costs nothing here.
struct LeaseQueue: Sendable {
    struct Item: Hashable, Sendable {
        var time: MonotonicTime
        var id: LeaseID

        fileprivate func precedes(_ other: Item) -> Bool {
            time == other.time ? id < other.id : time < other.time
        }
    }

    private(set) var items: [Item] = []

    init() {}

    init(_ items: [Item]) {
        self.items = items
        for place in stride(from: items.count / 2 - 1, through: 0, by: -1) { sink(place) }
    }

    var count: Int { items.count }
    var first: Item? { items.first }

    mutating func insert(_ item: Item) {
        items.append(item)
        var place = items.count - 1
        while place > 0, items[place].precedes(items[(place - 1) / 2]) {
            items.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    mutating func removeFirst() {
        items.swapAt(0, items.count - 1)
        items.removeLast()
        sink(0)
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < items.count {
                if items[child].precedes(items[least]) { least = child }
            }
            if least == place { return }
            items.swapAt(place, least)
            place = least
        }
    }
}
