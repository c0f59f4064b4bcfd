import Primitives
import Testing

@Suite struct HybridTimestampTests {
    private let stamp = HybridTimestamp(microseconds: 100, logical: 7)

    @Test func aClockThatIsAheadIsTaken() {
        #expect(stamp.next(wallClock: 101) == HybridTimestamp(microseconds: 101, logical: 0))
    }

    @Test(arguments: [UInt64(100), 99, 0])
    func aClockThatIsNotAheadCountsOn(wallClock: UInt64) {
        #expect(
            stamp.next(wallClock: wallClock) == HybridTimestamp(microseconds: 100, logical: 8))
    }

    @Test func aFullCounterTakesTheNextMicrosecond() {
        let full = HybridTimestamp(microseconds: 100, logical: .max)
        #expect(full.next(wallClock: 100) == HybridTimestamp(microseconds: 101, logical: 0))
    }

    @Test func theNextStampIsAlwaysAboveAndNeverBelowTheClock() {
        var generator = SeededGenerator(seed: 4)
        var last = HybridTimestamp.zero
        for _ in 0..<10_000 {
            let clock = UInt64.random(in: 0...1000, using: &generator)
            if Int.random(in: 0..<10, using: &generator) == 0 { last.logical = .max }
            let next = last.next(wallClock: clock)
            #expect(next > last)
            #expect(next >= HybridTimestamp(microseconds: clock))
            last = next.microseconds > 2000 ? .zero : next
        }
    }

    @Test func microsecondsCountBeforeTheCounter() {
        #expect(
            HybridTimestamp(microseconds: 1, logical: 9)
                < HybridTimestamp(microseconds: 2, logical: 0))
        #expect(stamp < HybridTimestamp(microseconds: 100, logical: 8))
        #expect(!(stamp < stamp))
    }
}
