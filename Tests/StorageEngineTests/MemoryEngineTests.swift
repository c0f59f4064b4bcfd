import Primitives
import StorageEngine
import Testing

/// The fault model of `MemoryEngine`: the faults happen, and only as stated.
@Suite struct MemoryEngineTests {
    private let full = StorageError.noSpace("full")
    private let broken = StorageError.inputOutput("broken")

    @Test func aFailedCommitChangesNothingAndLaterOnesFailUntilTheRestart() throws {
        let engine = MemoryEngine()
        try engine.put([1], [1])
        try engine.flush()
        engine.inject(full, at: .commit, after: 1)
        try engine.put([2], [2])
        #expect(throws: full) { try engine.put([3], [3]) }
        #expect(throws: full) { try engine.put([4], [4]) }
        #expect(throws: full) { try engine.flush() }
        #expect(try engine.makeReadView().entries().map(\.key) == [[1], [2]])
        #expect(throws: full) { try engine.close() }
        let next = engine.restart()
        #expect(try next.makeReadView().entries().map(\.key) == [[1]])
        try next.put([5], [5])
        try next.flush()
    }

    @Test func aFailedFlushPersistsNothing() throws {
        let engine = MemoryEngine()
        try engine.put([1], [1])
        engine.inject(full, at: .flush)
        #expect(throws: full) { try engine.flush() }
        #expect(try engine.persistedValue(for: [1]) == nil)
        #expect(throws: full) { try engine.put([2], [2]) }
        #expect(try engine.value(for: [1]) == [1])
    }

    @Test func aFailedReadFailsOnce() throws {
        let engine = MemoryEngine()
        try engine.put([1], [1])
        engine.inject(broken, at: .read)
        #expect(throws: broken) { try engine.value(for: [1]) }
        #expect(try engine.value(for: [1]) == [1])
        engine.inject(broken, at: .read)
        #expect(throws: broken) { try engine.persistedValue(for: [1]) }
    }

    @Test func aFailedIteratorSaysThatItsRangeDidNotEnd() throws {
        let engine = MemoryEngine()
        for i in UInt8(0)..<5 { try engine.put([i], [i]) }
        engine.inject(broken, at: .read, after: 2)
        let iterator = try engine.makeReadView().makeIterator(lower: [], upper: nil)
        iterator.seek(to: [])
        iterator.next()
        #expect(iterator.isValid && iterator.key == [1])
        iterator.next()
        #expect(!iterator.isValid)
        #expect(throws: broken) { try iterator.checkStatus() }
        iterator.seek(to: [4])
        #expect(iterator.isValid)
        try iterator.checkStatus()
    }

    @Test func aDamagedValueIsFoundByItsReaders() throws {
        let engine = MemoryEngine()
        for i in UInt8(0)..<5 { try engine.put([i], [i, i]) }
        #expect(!engine.damageValue(for: [2]))
        try engine.flush()
        let before = try engine.makeReadView()
        #expect(engine.damageValue(for: [2], bit: 9))
        #expect(!engine.damageValue(for: [9]))

        #expect(isCorruption { _ = try engine.value(for: [2]) })
        #expect(isCorruption { _ = try engine.persistedValue(for: [2]) })
        #expect(isCorruption { _ = try engine.makeReadView().entries() })
        #expect(try engine.value(for: [3]) == [3, 3])
        #expect(try before.value(for: [2]) == [2, 2])
        try engine.close()
        let next = engine.restart()
        #expect(isCorruption { _ = try next.value(for: [2]) })
        try next.put([2], [7])
        #expect(try next.value(for: [2]) == [7])
    }

    @Test func withoutChecksADamagedValueIsReturned() throws {
        let engine = MemoryEngine(verifiesChecksums: false)
        try engine.put([1], [0, 0])
        try engine.flush()
        #expect(engine.damageValue(for: [1], bit: 9))
        #expect(try engine.value(for: [1]) == [0, 2])
        #expect(try engine.persistedValue(for: [1]) == [0, 2])
    }

    @Test func writeBackPersistsTheOldestBatches() throws {
        let engine = MemoryEngine()
        for i in UInt8(0)..<5 { try engine.put([i], [i]) }
        engine.writeBack(batches: 2)
        #expect(engine.unflushedBatches == 3)
        #expect(try engine.persistedValue(for: [1]) == [1])
        #expect(try engine.persistedValue(for: [2]) == nil)
        try engine.flush()
        #expect(engine.unflushedBatches == 0)
    }

    @Test func atTheLimitBatchesAreWrittenBack() throws {
        let engine = MemoryEngine(unflushedBatchesMax: 3)
        for i in UInt8(0)..<2 { try engine.put([i], [i]) }
        #expect(try engine.persistedValue(for: [0]) == nil)
        try engine.put([2], [2])
        #expect(engine.unflushedBatches == 0)
        #expect(try engine.persistedValue(for: [2]) == [2])
    }

    /// Over many seeds a crash loses nothing, everything, and something between.
    @Test func crashesReachEveryPrefix() throws {
        var survived: [Int] = []
        for seed in UInt64(0)..<100 {
            let engine = MemoryEngine()
            for i in UInt8(0)..<5 { try engine.put([i], [i]) }
            engine.writeBack(batches: 1)
            let first = engine.crash(seed: seed)
            survived.append(try first.makeReadView().entries().count)
        }
        #expect(Array(Set(survived)).sorted() == [1, 2, 3, 4, 5])
    }

    private func isCorruption(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return false
        } catch StorageError.corruption {
            return true
        } catch {
            return false
        }
    }
}
