import Primitives
import StorageEngine
import Testing

/// What every engine owes over restarts and crashes.
@Suite final class DurabilityTests: EngineSuite {
    @Test(arguments: EngineKind.allCases)
    func persistedValueSeesOnlyWhatWasFlushed(_ kind: EngineKind) throws {
        let engine = try makeEngine(kind)
        try engine.put([1], [1])
        #expect(try engine.value(for: [1]) == [1])
        #expect(try engine.persistedValue(for: [1]) == nil)
        try engine.flush()
        #expect(try engine.persistedValue(for: [1]) == [1])
        try engine.put([1], [2])
        try engine.put([2], [2])
        #expect(try engine.persistedValue(for: [1]) == [1])
        #expect(try engine.persistedValue(for: [2]) == nil)
        try engine.delete([1])
        #expect(try engine.persistedValue(for: [1]) == [1])
        try engine.flush()
        #expect(try engine.persistedValue(for: [1]) == nil)
        #expect(try engine.persistedValue(for: [2]) == [2])
    }

    @Test(arguments: EngineKind.allCases)
    func whatWasCommittedIsThereAfterAClose(_ kind: EngineKind) throws {
        let subject = try makeSubject(kind)
        try subject.engine.put([1], [1])
        try subject.engine.flush()
        try subject.engine.put([2], [2])
        try subject.engine.delete([1])
        try subject.restart()
        let expected = [Entry(key: [2], value: [2])]
        #expect(try subject.engine.makeReadView().entries() == expected)
        #expect(try subject.engine.persistedValue(for: [2]) == [2])
        try subject.restart()
        #expect(try subject.engine.makeReadView().entries() == expected)
    }

    @Test(arguments: EngineKind.allCases)
    func aFlushSurvivesACrash(_ kind: EngineKind) throws {
        let subject = try makeSubject(kind)
        for i in UInt8(0)..<50 { try subject.engine.put([i], [i]) }
        try subject.engine.flush()
        try subject.crash(seed: 1)
        #expect(try subject.engine.makeReadView().entries().count == 50)
    }

    /// Batch n writes its own key, overwrites one of an earlier batch, and writes n to [0]. After
    /// the crash [0] says which batch was the last, and everything else must agree.
    @Test(arguments: EngineKind.allCases, [11, 12, 13, 14, 15, 16] as [UInt64])
    func aCrashKeepsAPrefixOfTheBatches(_ kind: EngineKind, seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let subject = try makeSubject(kind)
        let last = UInt64.random(in: 300...700, using: &generator)
        let flushed = UInt64.random(in: 1...last, using: &generator)
        let padding = Bytes(repeating: 0xAA, count: 600)
        func key(_ table: UInt8, _ number: UInt64) -> Bytes {
            var writer = ByteWriter()
            writer.write(table)
            writer.writeBigEndian(number)
            return writer.bytes
        }
        for number in 1...last {
            var batch = WriteBatch()
            batch.put(key(1, number), padding)
            batch.delete(key(1, number / 2))
            batch.put(key(2, number % 7), key(0, number))
            batch.put([0], key(0, number))
            try subject.engine.commit(batch)
            if number == flushed { try subject.engine.flush() }
        }
        try subject.crash(seed: seed)

        let view = try subject.engine.makeReadView()
        let newest = try #require(try view.value(for: [0]))
        var reader = ByteReader(newest[...])
        _ = try reader.read(UInt8.self, "table")
        let survived = try reader.readBigEndian(UInt64.self, "number")
        #expect((flushed...last).contains(survived), "seed \(seed), flushed \(flushed)")
        #expect(try subject.engine.persistedValue(for: [0]) == newest)
        var expected: [Entry] = [Entry(key: [0], value: newest)]
        for number in (survived / 2 + 1)...survived {
            expected.append(Entry(key: key(1, number), value: padding))
        }
        for rest in UInt64(0)..<7 {
            guard let writer = (1...survived).last(where: { $0 % 7 == rest }) else { continue }
            expected.append(Entry(key: key(2, rest), value: key(0, writer)))
        }
        #expect(try view.entries() == expected, "seed \(seed), survived \(survived) of \(last)")
    }
}
