import Primitives

/// One stream of chance. A run has several, each derived from its seed, so that what one part draws
/// does not move another.
struct Chance {
    private var generator: SeededGenerator

    /// - Parameter stream: which of the run's streams.
    init(seed: UInt64, stream: UInt64) {
        var mixer = SeededGenerator(seed: seed ^ (stream &* 0xD6E8_FEB8_6659_FD93))
        generator = SeededGenerator(seed: mixer.next())
    }

    mutating func word() -> UInt64 { generator.next() }

    /// From `0 ..< bound`. The bias of the remainder is below 2^-40 for the bounds used here.
    mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0, "a choice of \(bound)")
        return Int(generator.next() % UInt64(bound))
    }

    mutating func within(_ range: ClosedRange<UInt64>) -> UInt64 {
        range.lowerBound + generator.next() % (range.upperBound - range.lowerBound + 1)
    }

    /// - Parameter rate: out of a million.
    mutating func happens(_ rate: Int) -> Bool { rate > 0 && below(1_000_000) < rate }

    mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }

    /// Most are small, some are large: each doubling of the result is half as likely.
    mutating func skewed(_ range: ClosedRange<UInt64>) -> UInt64 {
        let span = range.upperBound - range.lowerBound
        let shift = UInt64(min(10, generator.next().leadingZeroBitCount))
        return range.lowerBound + (generator.next() % (span + 1)) >> shift
    }
}
