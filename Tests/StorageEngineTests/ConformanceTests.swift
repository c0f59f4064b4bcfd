import Primitives
import StorageEngine
import Testing

/// What every engine owes, beside restarts and crashes (`DurabilityTests`).
@Suite final class ConformanceTests: EngineSuite {
    @Test(arguments: EngineKind.allCases)
    func keysAreOrderedAsUnsignedBytes(_ kind: EngineKind) throws {
        let engine = try makeEngine(kind)
        let ordered: [Bytes] = [
            [], [0], [0, 0], [0, 1], [1], [0x7F], [0x7F, 0xFF], [0x80], [0xFE, 0xFF], [0xFF],
            [0xFF, 0], [0xFF, 0xFF], [0xFF, 0xFF, 0xFF],
        ]
        for (i, key) in ordered.reversed().enumerated() { try engine.put(key, [UInt8(i)]) }
        try engine.flush()
        #expect(try engine.makeReadView().entries().map(\.key) == ordered)
        for key in ordered { #expect(try engine.value(for: key) != nil) }
        #expect(try engine.value(for: [0xFF, 1]) == nil)
    }

    @Test(arguments: EngineKind.allCases)
    func anEmptyValueIsNotAnAbsentOne(_ kind: EngineKind) throws {
        let engine = try makeEngine(kind)
        try engine.put([1], [])
        #expect(try engine.value(for: [1]) == [])
        #expect(try engine.value(for: [2]) == nil)
        #expect(try engine.makeReadView().entries() == [Entry(key: [1], value: [])])
        try engine.flush()
        #expect(try engine.persistedValue(for: [1]) == [])
        #expect(try engine.persistedValue(for: [2]) == nil)
    }

    @Test(arguments: EngineKind.allCases)
    func valuesOfAnySizeComeBack(_ kind: EngineKind) throws {
        let engine = try makeEngine(kind)
        var generator = SeededGenerator(seed: 7)
        for (i, count) in [1, 127, 128, 16_383, 16_384, 1 << 20].enumerated() {
            let value = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            try engine.put([UInt8(i)], value)
            #expect(try engine.value(for: [UInt8(i)]) == value)
            try engine.flush()
            #expect(try engine.value(for: [UInt8(i)]) == value)
            #expect(try engine.persistedValue(for: [UInt8(i)]) == value)
        }
    }

    @Test(arguments: EngineKind.allCases)
    func aBatchIsAppliedInItsOrder(_ kind: EngineKind) throws {
        let engine = try makeEngine(kind)
        try engine.put([5], [0])
        var batch = WriteBatch()
        batch.put([1], [1])
        batch.put([1], [2])
        batch.put([2], [1])
        batch.delete([2])
        batch.delete([3])
        batch.put([3], [3])
        batch.put([4], [4])
        batch.deleteRange(from: [4], to: [6])
        batch.put([5], [6])
        try engine.commit(batch)
        #expect(
            try engine.makeReadView().entries() == [
                Entry(key: [1], value: [2]), Entry(key: [3], value: [3]),
                Entry(key: [5], value: [6]),
            ])
    }

    @Test(arguments: EngineKind.allCases)
    func aDeletedRangeIsHalfOpen(_ kind: EngineKind) throws {
        let engine = try makeEngine(kind)
        let keys: [Bytes] = [[1], [2], [2, 0], [2, 0xFF], [3], [0xFF], [0xFF, 0xFF]]
        for key in keys { try engine.put(key, key) }
        try engine.flush()
        var batch = WriteBatch()
        batch.deleteRange(from: [2], to: [3])
        // Empty and inverted ranges delete nothing, and do not stop the rest of the batch.
        batch.deleteRange(from: [3], to: [3])
        batch.deleteRange(from: [0xFF], to: [1])
        batch.put([4], [4])
        try engine.commit(batch)
        #expect(
            try engine.makeReadView().entries().map(\.key)
                == [[1], [3], [4], [0xFF], [0xFF, 0xFF]])
        var all = WriteBatch()
        all.deleteRange(from: [], to: [0xFF, 0xFF, 0])
        try engine.commit(all)
        #expect(try engine.makeReadView().entries() == [])
    }

    /// Enough keys, put and removed in random order, for every engine to rearrange what it holds.
    @Test(arguments: EngineKind.allCases, [21, 22] as [UInt64])
    func thousandsOfKeysStayInOrder(_ kind: EngineKind, seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let engine = try makeEngine(kind)
        func key(_ number: Int) -> Bytes { [UInt8(number >> 8), UInt8(number & 0xFF)] }
        var expected: [Int: UInt8] = [:]
        for round in UInt8(0)..<4 {
            for number in (0..<5_000).shuffled(using: &generator).prefix(2_500) {
                try engine.put(key(number), [round])
                expected[number] = round
            }
            for number in (0..<5_000).shuffled(using: &generator).prefix(1_000) {
                try engine.delete(key(number))
                expected[number] = nil
            }
            let from = Int.random(in: 0..<4_000, using: &generator)
            var batch = WriteBatch()
            batch.deleteRange(from: key(from), to: key(from + 900))
            try engine.commit(batch)
            for number in from..<from + 900 { expected[number] = nil }
            let model = expected.keys.sorted().map { number in
                Entry(key: key(number), value: expected[number].map { [$0] } ?? [])
            }
            let view = try engine.makeReadView()
            #expect(try view.entries() == model, "seed \(seed), round \(round)")
            for number in 0..<5_000 {
                let value = try view.value(for: key(number))
                #expect(value == expected[number].map { [$0] })
            }
        }
    }

    @Test(arguments: EngineKind.allCases)
    func anEmptyBatchChangesNothing(_ kind: EngineKind) throws {
        let engine = try makeEngine(kind)
        try engine.commit(WriteBatch())
        #expect(try engine.makeReadView().entries() == [])
        try engine.flush()
    }

    @Test(arguments: EngineKind.allCases)
    func aViewDoesNotSeeLaterBatches(_ kind: EngineKind) throws {
        let engine = try makeEngine(kind)
        for i in UInt8(0)..<10 { try engine.put([i], [i]) }
        let view = try engine.makeReadView()
        let before = try view.entries()
        let open = try view.makeIterator(lower: [3], upper: nil)
        open.seek(to: [3])

        var batch = WriteBatch()
        batch.deleteRange(from: [0], to: [5])
        batch.put([5], [50])
        batch.put([3, 1], [31])
        batch.delete([9])
        try engine.commit(batch)
        try engine.flush()
        for i in UInt8(100)..<120 { try engine.put([i], [i]) }

        #expect(before.count == 10)
        #expect(try view.entries() == before)
        #expect(try view.value(for: [5]) == [5])
        #expect(try view.value(for: [3, 1]) == nil)
        #expect(try view.value(for: [9]) == [9])
        open.next()
        #expect(open.isValid && open.key == [4] && open.value == [4])
        try open.checkStatus()
        #expect(try engine.makeReadView().value(for: [5]) == [50])
        #expect(try engine.makeReadView().entries().count == 5 + 20)
    }

    @Test(arguments: EngineKind.allCases)
    func closingEndsViewsThatAreStillHeld(_ kind: EngineKind) throws {
        let subject = try makeSubject(kind)
        try subject.engine.put([1], [1])
        var view: (any ReadView)? = try subject.engine.makeReadView()
        var iterator = try view?.makeIterator(lower: [], upper: nil)
        iterator?.seek(to: [])
        try subject.restart()
        #expect(view != nil && iterator != nil)
        iterator = nil
        view = nil
        #expect(try subject.engine.value(for: [1]) == [1])
    }

    /// Each batch writes one number to two keys: whoever sees two numbers saw half a batch.
    @Test(arguments: EngineKind.allCases)
    func readersOnOtherThreadsSeeWholeBatchesInOrder(_ kind: EngineKind) async throws {
        let engine = try makeEngine(kind)
        let last: UInt64 = 2_000
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 1...last {
                    var writer = ByteWriter()
                    writer.writeBigEndian(number)
                    var batch = WriteBatch()
                    batch.put([1], writer.bytes)
                    batch.put([2], writer.bytes)
                    try engine.commit(batch)
                    if number % 500 == 0 { try engine.flush() }
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    var seen: Bytes = []
                    while seen != [0, 0, 0, 0, 0, 0, 0x07, 0xD0] {
                        let view = try engine.makeReadView()
                        let first = try view.value(for: [1])
                        let second = try view.entries(lower: [2]).first?.value
                        #expect(first == second)
                        let now = first ?? []
                        #expect(!now.lexicographicallyPrecedes(seen))
                        guard first == second, !now.lexicographicallyPrecedes(seen) else { return }
                        seen = now
                        await Task.yield()
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
