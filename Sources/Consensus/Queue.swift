/// First in, first out, with access by position: both ends cost O(1) amortised, and what has left
/// is released at once.
struct Queue<Element: Sendable>: Sendable {
    private var slots: [Element?] = []
    private var head = 0

    var count: Int { slots.count - head }
    var isEmpty: Bool { count == 0 }
    var first: Element? { isEmpty ? nil : slots[head] }
    var last: Element? { isEmpty ? nil : slots[slots.count - 1] }

    subscript(position: Int) -> Element {
        get { slots[head + position]! }
        set { slots[head + position] = newValue }
    }

    mutating func append(_ element: Element) {
        slots.append(element)
    }

    @discardableResult
    mutating func popFirst() -> Element? {
        guard head < slots.count else { return nil }
        let element = slots[head]
        slots[head] = nil
        head += 1
        // Half of the array is free: moving the other half costs what filling it has paid for.
        if head >= 32 && head * 2 >= slots.count {
            slots.removeFirst(head)
            head = 0
        }
        return element
    }

    mutating func removeLast(_ dropped: Int) {
        precondition(dropped <= count, "removing \(dropped) of \(count)")
        slots.removeLast(dropped)
    }

    mutating func removeAll() {
        slots.removeAll()
        head = 0
    }
}
