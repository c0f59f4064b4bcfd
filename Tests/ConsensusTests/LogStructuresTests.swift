import Primitives
import Testing

@testable import Consensus

/// The structures beneath a log, against plain arrays.
@Suite struct LogStructuresTests {
    @Test func termsAgainstAnArray() throws {
        for seed in 0..<50 as Range<UInt64> {
            var chance = SeededGenerator(seed: seed)
            let base = chance.next() % 3 * 5
            var model: [UInt64] = [base == 0 ? 0 : 2]  // the term at the base, then of each entry
            var terms = try LogTerms(
                LogSummary(
                    firstIndex: LogIndex(base + 1), lastIndex: LogIndex(base),
                    termBeforeFirst: Term(model[0]), termRuns: [], lastTimestamp: .zero))
            for _ in 0..<200 {
                if chance.next() % 4 == 0 && model.count > 1 {
                    let kept = Int(chance.next() % UInt64(model.count - 1)) + 1
                    model.removeLast(model.count - kept)
                    terms.truncate(from: LogIndex(base + UInt64(kept)))
                } else {
                    model.append(max(1, model.last! + (chance.next() % 4 == 0 ? 1 : 0)))
                    terms.append(term: Term(model.last!))
                }
                #expect(terms.isConsistent)
                #expect(terms.lastIndex == LogIndex(base + UInt64(model.count - 1)))
                for (i, term) in model.enumerated() {
                    #expect(terms.term(at: LogIndex(base + UInt64(i))) == Term(term))
                }
                #expect(terms.term(at: terms.lastIndex.next) == nil)
                if base > 0 { #expect(terms.term(at: LogIndex(base - 1)) == nil) }
                let limit = Int(chance.next() % UInt64(model.count))
                let term = chance.next() % (model.last! + 2)
                let expected = (0...limit).last { model[$0] <= term } ?? 0
                #expect(
                    terms.lastIndex(
                        atMost: LogIndex(base + UInt64(limit)), termAtMost: Term(term))
                        == LogIndex(base + UInt64(expected)), "seed \(seed)")
            }
        }
    }

    @Test func queueAgainstAnArray() {
        var chance = SeededGenerator(seed: 2)
        var queue = Queue<Int>()
        var model: [Int] = []
        for step in 0..<5_000 {
            switch chance.next() % 8 {
            case 0...3:
                queue.append(step)
                model.append(step)
            case 4...6:
                #expect(queue.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
            default:
                let dropped = min(model.count, Int(chance.next() % 3))
                queue.removeLast(dropped)
                model.removeLast(dropped)
            }
            #expect(queue.count == model.count)
            #expect(queue.first == model.first && queue.last == model.last)
            #expect((0..<queue.count).map { queue[$0] } == model)
        }
    }

    @Test func theCacheEvictsOnlyWhatItMay() {
        var cache = EntryCache(nextIndex: LogIndex(1))
        for entry in ReplicationTests.entries(terms: [UInt64](repeating: 1, count: 10)) {
            cache.append(entry)
        }
        let bytes = cache.bytes
        cache.evict(toBytes: 0, through: LogIndex(4))
        #expect(cache.firstIndex == LogIndex(5))
        #expect(cache.count == 6)
        cache.evict(toBytes: cache.bytes - 1, through: LogIndex(9))
        #expect(cache.firstIndex == LogIndex(6))
        cache.truncate(from: LogIndex(8))
        #expect(cache.nextIndex == LogIndex(8))
        #expect(
            cache.slice(from: LogIndex(6), through: LogIndex(7), maxBytes: 1).entries.count == 1)
        #expect(
            cache.slice(from: LogIndex(6), through: LogIndex(7), maxBytes: 999).bytes
                == cache.bytes)
        #expect(cache.bytes < bytes)
        // Below what is in memory, nothing is left.
        cache.truncate(from: LogIndex(3))
        #expect(cache.count == 0 && cache.bytes == 0 && cache.nextIndex == LogIndex(3))
    }
}
