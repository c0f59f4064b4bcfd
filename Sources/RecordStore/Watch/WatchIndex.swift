import Primitives
import RecordModel

/// Which items watch a key. Single keys are found by hash, ranges by a tree: the cost of a key that
/// nobody watches does not grow with the number of items, but for the logarithm of the number of
/// distinct ranges.
///
/// Items are small numbers, given out densely by the owner; each is here at most once. Those of one
/// key or one range form a list through `links`.
struct WatchIndex {
    private struct Link {
        var before = WatchIndex.none
        var behind = WatchIndex.none
    }

    private static let none: Int32 = -1

    /// The first item of each key. Never iterated, so that hash order decides nothing.
    private var keys: [Bytes: Int32] = [:]
    /// A payload is the first item of its range.
    private var ranges: RangeTree
    private var links: [Link] = []

    init(seed: UInt64) { ranges = RangeTree(seed: seed) }

    var isEmpty: Bool { keys.isEmpty && ranges.count == 0 }

    /// - Returns: the range, sharing its key with the items that watch the same one.
    mutating func insert(_ item: Int32, _ range: KeyRange) -> KeyRange {
        while links.count <= Int(item) { links.append(Link()) }
        guard let upper = range.upper else {
            guard let place = keys.index(forKey: range.lower) else {
                keys[range.lower] = item
                links[Int(item)] = Link()
                return range
            }
            let (key, first) = keys[place]
            push(item, onto: first)
            keys.values[place] = item
            return .key(key)
        }
        guard let node = ranges.node(range.lower, upper) else {
            ranges.insert(range.lower, upper, payload: item)
            links[Int(item)] = Link()
            return range
        }
        push(item, onto: ranges[payload: node])
        ranges[payload: node] = item
        let shared = ranges.nodes[Int(node)]
        return KeyRange(lower: shared.lower, end: shared.upper.map { .before($0) } ?? .unbounded)
    }

    mutating func remove(_ item: Int32, _ range: KeyRange) {
        let link = links[Int(item)]
        links[Int(item)] = Link()
        if link.behind != Self.none { links[Int(link.behind)].before = link.before }
        if link.before != Self.none {
            links[Int(link.before)].behind = link.behind
            return
        }
        // It was the first of its list.
        guard let upper = range.upper else {
            keys[range.lower] = link.behind == Self.none ? nil : link.behind
            return
        }
        if link.behind == Self.none {
            ranges.remove(range.lower, upper)
        } else if let node = ranges.node(range.lower, upper) {
            ranges[payload: node] = link.behind
        } else {
            preconditionFailure("item \(item) has no range")
        }
    }

    /// Every item that watches the key.
    func forEach(watching key: Bytes, _ body: (Int32) -> Void) {
        if let first = keys[key] { walk(first, body) }
        if ranges.count > 0 { ranges.forEach(holding: key) { walk($0, body) } }
    }

    private func walk(_ first: Int32, _ body: (Int32) -> Void) {
        var item = first
        while item != Self.none {
            body(item)
            item = links[Int(item)].behind
        }
    }

    private mutating func push(_ item: Int32, onto first: Int32) {
        links[Int(item)] = Link(before: Self.none, behind: first)
        links[Int(first)].before = item
    }
}

extension KeyRange {
    /// nil for a single key; `.some(nil)` where there is no upper bound.
    fileprivate var upper: Bytes?? {
        switch end {
        case .single: return nil
        case .before(let upper): return .some(upper)
        case .unbounded: return .some(nil)
        }
    }
}
