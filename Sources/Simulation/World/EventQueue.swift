/// What is going to happen, in the order of virtual time; what happens at the same moment, happens
/// in the order in which it was arranged. A binary heap of small keys over slots of events.
struct EventQueue<Event> {
    private struct Key {
        var time: UInt64
        var order: UInt64
        var slot: Int
    }

    private var heap: [Key] = []
    private var slots: [Event?] = []
    private var free: [Int] = []
    private var nextOrder: UInt64 = 0

    var count: Int { heap.count }

    mutating func push(_ event: Event, at time: UInt64) {
        let slot: Int
        if let known = free.popLast() {
            slot = known
            slots[slot] = event
        } else {
            slot = slots.count
            slots.append(event)
        }
        heap.append(Key(time: time, order: nextOrder, slot: slot))
        nextOrder += 1
        rise(heap.count - 1)
    }

    mutating func pop() -> (time: UInt64, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        guard let event = slots[first.slot] else {
            preconditionFailure("slot \(first.slot) is free")
        }
        slots[first.slot] = nil
        free.append(first.slot)
        return (first.time, event)
    }

    private func precedes(_ a: Key, _ b: Key) -> Bool { (a.time, a.order) < (b.time, b.order) }

    private mutating func rise(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard precedes(heap[child], heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in 2 * parent + 1...2 * parent + 2
            where child < heap.count && precedes(heap[child], heap[least]) {
                least = child
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
