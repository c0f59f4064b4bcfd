import Primitives
import RecordModel
import Testing

@testable import RecordStore

/// The index against a list of ranges that is searched from end to end.
@Suite struct WatchIndexTests {
    @Test(arguments: [UInt64(1), 2, 3])
    func theIndexFindsWhatAListFinds(seed: UInt64) {
        print("seed \(seed)")
        var chance = ChanceGenerator(seed: seed)
        var index = WatchIndex(seed: seed)
        var ranges: [Int32: KeyRange] = [:]
        for _ in 0..<4_000 {
            let item = Int32.random(in: 0..<200, using: &chance.random)
            if let range = ranges.removeValue(forKey: item) {
                index.remove(item, range)
            } else {
                let range = chance.range()
                // An empty range is refused before it comes here.
                if case .before(let upper) = range.end,
                    !range.lower.lexicographicallyPrecedes(upper)
                {
                    continue
                }
                #expect(index.insert(item, range) == range)
                ranges[item] = range
            }
            let key = chance.key()
            var found: [Int32] = []
            index.forEach(watching: key) { found.append($0) }
            let wanted = ranges.keys.filter { ranges[$0]!.contains(key) }.sorted()
            #expect(found.sorted() == wanted)
        }
        for (item, range) in ranges { index.remove(item, range) }
        #expect(index.isEmpty)
    }

    /// Ranges that come in order would make a plain tree a list.
    @Test func theTreeStaysShallow() {
        var tree = RangeTree(seed: 7)
        func key(_ number: Int) -> Bytes {
            [UInt8(number >> 16), UInt8(number >> 8 & 255), UInt8(number & 255)]
        }
        let count = 20_000
        for number in 0..<count {
            tree.insert(key(number), key(number + 1), payload: Int32(number))
        }
        func depth(_ node: Int32) -> Int {
            guard node != RangeTree.none else { return 0 }
            let node = tree.nodes[Int(node)]
            return 1 + max(depth(node.left), depth(node.right))
        }
        // Expected about 2 ln n + 0.5 ln ln n … ; 60 is never reached by chance.
        #expect(depth(tree.root) < 60)
        for number in [0, 1, 9_999, count - 1] {
            var found: [Int32] = []
            tree.forEach(holding: key(number)) { found.append($0) }
            #expect(found == [Int32(number)])
        }
        for number in 0..<count where number % 2 == 0 {
            tree.remove(key(number), key(number + 1))
        }
        #expect(tree.count == count / 2)
        var found: [Int32] = []
        tree.forEach(holding: key(4)) { found.append($0) }
        #expect(found.isEmpty)
        tree.forEach(holding: key(5)) { found.append($0) }
        #expect(found == [5])
    }
}
