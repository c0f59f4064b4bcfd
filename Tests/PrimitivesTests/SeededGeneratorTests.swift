import Primitives
import Testing

@Suite struct SeededGeneratorTests {
    /// The first outputs for seed 1234567, as the reference implementation in C gives them.
    @Test func theSequenceIsSplitMix64() {
        var generator = SeededGenerator(seed: 1_234_567)
        let found = (0..<5).map { _ in generator.next() }
        #expect(
            found == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
            ])
    }

    @Test func aCopyGoesOnOnItsOwn() {
        var one = SeededGenerator(seed: 9)
        _ = one.next()
        var two = one
        #expect(one.next() == two.next())
    }
}
