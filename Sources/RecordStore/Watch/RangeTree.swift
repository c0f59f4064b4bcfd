import Primitives

/// Finds which of many ranges hold a key: a treap over the ranges' lower bounds, in which each node
/// knows the highest upper bound beneath it (Cormen et al., "Introduction to Algorithms", §14.3,
/// over Seidel and Aragon, "Randomized Search Trees", 1996). Insert, remove and the first answer
/// take time that grows with the logarithm of the number of ranges, whatever order they come in.
///
/// Invariants:
/// 1. In order, nodes rise by (lower, upper); no two are equal. nil is above every upper bound.
/// 2. No child's priority is above its parent's.
/// 3. `highest` is the node with the highest upper bound of the subtree.
struct RangeTree {
    struct Node {
        var lower: Bytes
        /// nil: unbounded.
        var upper: Bytes?
        var priority: UInt32
        var left: Int32 = RangeTree.none
        var right: Int32 = RangeTree.none
        var highest: Int32
        /// The owner's.
        var payload: Int32
    }

    static let none: Int32 = -1

    private(set) var nodes: [Node] = []
    private var free: [Int32] = []
    private(set) var root = RangeTree.none
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    var count: Int { nodes.count - free.count }

    func node(_ lower: Bytes, _ upper: Bytes?) -> Int32? {
        var at = root
        while at != Self.none {
            switch order(lower, upper, at) {
            case 0: return at
            case ..<0: at = nodes[Int(at)].left
            default: at = nodes[Int(at)].right
            }
        }
        return nil
    }

    subscript(payload node: Int32) -> Int32 {
        get { nodes[Int(node)].payload }
        set { nodes[Int(node)].payload = newValue }
    }

    /// - Precondition: the range is not there.
    mutating func insert(_ lower: Bytes, _ upper: Bytes?, payload: Int32) {
        let number: Int32
        if let reused = free.popLast() {
            number = reused
        } else {
            number = Int32(nodes.count)
        }
        let node = Node(
            lower: lower, upper: upper, priority: UInt32(truncatingIfNeeded: generator.next()),
            highest: number, payload: payload)
        if Int(number) == nodes.count { nodes.append(node) } else { nodes[Int(number)] = node }
        root = insert(number, under: root)
    }

    /// - Precondition: the range is there.
    mutating func remove(_ lower: Bytes, _ upper: Bytes?) {
        var removed = Self.none
        root = remove(lower, upper, under: root, &removed)
        nodes[Int(removed)].lower = []
        nodes[Int(removed)].upper = nil
        free.append(removed)
    }

    /// The payloads of all ranges that hold the key, in the order of the ranges.
    func forEach(holding key: Bytes, _ body: (Int32) -> Void) {
        visit(root, key, body)
    }

    private func visit(_ at: Int32, _ key: Bytes, _ body: (Int32) -> Void) {
        guard at != Self.none, isBelow(key, nodes[Int(nodes[Int(at)].highest)].upper) else {
            return
        }
        visit(nodes[Int(at)].left, key, body)
        if key.lexicographicallyPrecedes(nodes[Int(at)].lower) { return }
        if isBelow(key, nodes[Int(at)].upper) { body(nodes[Int(at)].payload) }
        visit(nodes[Int(at)].right, key, body)
    }

    // MARK: Order

    private func isBelow(_ key: Bytes, _ upper: Bytes?) -> Bool {
        guard let upper else { return true }
        return key.lexicographicallyPrecedes(upper)
    }

    /// Below, at or above zero as the range stands before, at or behind the node.
    private func order(_ lower: Bytes, _ upper: Bytes?, _ at: Int32) -> Int {
        let node = nodes[Int(at)]
        if lower != node.lower { return lower.lexicographicallyPrecedes(node.lower) ? -1 : 1 }
        guard let upper else { return node.upper == nil ? 0 : 1 }
        guard let other = node.upper else { return -1 }
        if upper == other { return 0 }
        return upper.lexicographicallyPrecedes(other) ? -1 : 1
    }

    // MARK: Shape

    private mutating func insert(_ new: Int32, under at: Int32) -> Int32 {
        guard at != Self.none else { return new }
        let order = order(nodes[Int(new)].lower, nodes[Int(new)].upper, at)
        precondition(order != 0, "a range was inserted twice")
        if order < 0 {
            let child = insert(new, under: nodes[Int(at)].left)
            nodes[Int(at)].left = child
            if nodes[Int(child)].priority > nodes[Int(at)].priority { return rotateRight(at) }
        } else {
            let child = insert(new, under: nodes[Int(at)].right)
            nodes[Int(at)].right = child
            if nodes[Int(child)].priority > nodes[Int(at)].priority { return rotateLeft(at) }
        }
        update(at)
        return at
    }

    private mutating func remove(
        _ lower: Bytes, _ upper: Bytes?, under at: Int32, _ removed: inout Int32
    ) -> Int32 {
        precondition(at != Self.none, "a range was removed that is not there")
        switch order(lower, upper, at) {
        case 0:
            removed = at
            return join(nodes[Int(at)].left, nodes[Int(at)].right)
        case ..<0:
            nodes[Int(at)].left = remove(lower, upper, under: nodes[Int(at)].left, &removed)
        default:
            nodes[Int(at)].right = remove(lower, upper, under: nodes[Int(at)].right, &removed)
        }
        update(at)
        return at
    }

    /// All of `left` stands before all of `right`.
    private mutating func join(_ left: Int32, _ right: Int32) -> Int32 {
        if left == Self.none { return right }
        if right == Self.none { return left }
        if nodes[Int(left)].priority > nodes[Int(right)].priority {
            nodes[Int(left)].right = join(nodes[Int(left)].right, right)
            update(left)
            return left
        }
        nodes[Int(right)].left = join(left, nodes[Int(right)].left)
        update(right)
        return right
    }

    private mutating func rotateRight(_ at: Int32) -> Int32 {
        let top = nodes[Int(at)].left
        nodes[Int(at)].left = nodes[Int(top)].right
        nodes[Int(top)].right = at
        update(at)
        update(top)
        return top
    }

    private mutating func rotateLeft(_ at: Int32) -> Int32 {
        let top = nodes[Int(at)].right
        nodes[Int(at)].right = nodes[Int(top)].left
        nodes[Int(top)].left = at
        update(at)
        update(top)
        return top
    }

    private mutating func update(_ at: Int32) {
        var highest = at
        for child in [nodes[Int(at)].left, nodes[Int(at)].right] where child != Self.none {
            let candidate = nodes[Int(child)].highest
            guard let best = nodes[Int(highest)].upper else { break }
            if isBelow(best, nodes[Int(candidate)].upper) { highest = candidate }
        }
        nodes[Int(at)].highest = highest
    }
}
