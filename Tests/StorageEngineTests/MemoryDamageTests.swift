import Primitives
import StorageEngine
import Testing

/// The damage that `MemoryEngine` can be done: it happens, and only as stated.
@Suite struct MemoryDamageTests {
    /// Keys 0 to 9 by two flushes: the first writes 1 to all, the second 2 to the even ones and
    /// deletes 9.
    private func makeEngine() throws -> MemoryEngine {
        let engine = MemoryEngine()
        for key in UInt8(0)..<10 { try engine.put([key], [1]) }
        try engine.flush()
        for key in stride(from: UInt8(0), to: 10, by: 2) { try engine.put([key], [2]) }
        try engine.delete([9])
        try engine.flush()
        return engine
    }

    /// Each key's value; a dot for a key that is not there, a cross for an error.
    private func text(_ engine: MemoryEngine) throws -> String {
        let view = try engine.makeReadView()
        return String(
            (UInt8(0)..<10).map { key -> Character in
                do {
                    return try view.value(for: [key])?.first.map { Character("\($0)") } ?? "."
                } catch { return "x" }
            })
    }

    @Test func aDamagedBlockIsMetByReadsAndByIteratorsThatPassIt() throws {
        let engine = try makeEngine()
        let before = try engine.makeReadView()
        #expect(engine.damageBlock(from: [3], entriesMax: 3) == 3)
        #expect(try text(engine) == "212xxx212.")
        #expect(try before.entries().count == 9)
        let view = try engine.makeReadView()
        #expect(try view.entries(upper: [2]).count == 2)
        #expect(try view.entries(lower: [6]).count == 3)
        #expect(throws: StorageError.self) { try view.entries(upper: [4]) }
        #expect(throws: StorageError.self) { try view.entries(lower: [5], upper: [6]) }
        let iterator = try view.makeIterator(lower: [], upper: nil)
        iterator.seekBackwards(to: [7])
        #expect(iterator.isValid)
        iterator.previous()
        #expect(!iterator.isValid)
        #expect(throws: StorageError.self) { try iterator.checkStatus() }
    }

    @Test func whatIsWrittenOverABlockIsReadButNotPassed() throws {
        let engine = try makeEngine()
        #expect(engine.damageBlock(from: [3], entriesMax: 3) == 3)
        try engine.put([3], [7])
        try engine.delete([4])
        #expect(try text(engine) == "2127.x212.")
        #expect(throws: StorageError.self) { try engine.makeReadView().entries() }
        // The batches over it are lost in the crash, the damage is not.
        #expect(try text(engine.crash(seed: 3)).hasPrefix("212x"))
    }

    @Test func aCompactionFindsDamageAndEndsWritesUntilTheNextStart() throws {
        let engine = try makeEngine()
        engine.compact()
        try engine.put([5], [3])
        let rot = StorageError.inputOutput("rot")
        #expect(engine.damageBlock(from: [8], entriesMax: 1, rot) == 1)
        try engine.put([8], [3])
        engine.compact()
        #expect(engine.writeFailure == rot)
        #expect(throws: rot) { try engine.put([5], [4]) }
        #expect(throws: rot) { try engine.close() }
        let next = engine.restart()
        #expect(try text(next) == "21212121x.")
        try next.put([8], [3])
        try next.flush()
        next.compact()
        #expect(throws: rot) { try next.flush() }
    }

    @Test func everythingCanBeDamaged() throws {
        let engine = try makeEngine()
        #expect(engine.damageEverything() == 9)
        #expect(try text(engine) == "xxxxxxxxx.")
        #expect(throws: StorageError.self) { try engine.makeReadView().entries() }
        #expect(MemoryEngine().damageEverything() == 0)
    }

    @Test func lostKeysAreLostInSilence() throws {
        let engine = try makeEngine()
        try engine.put([4], [3])
        #expect(engine.loseKeys(from: [2], to: [6]) == 4)
        #expect(try text(engine) == "21..3.212.")
        #expect(try engine.persistedValue(for: [4]) == nil)
        #expect(try engine.makeReadView().entries().count == 6)
        #expect(engine.loseKeys(from: [7], to: nil) == 2)
    }

    @Test func aStaleValueIsOneOfThePast() throws {
        let engine = try makeEngine()
        #expect(engine.makeStale([4]))
        #expect(try text(engine) == "212111212.")
        // Written once, deleted, never written.
        for key in [3, 9, 77] as Bytes { #expect(!engine.makeStale([key])) }
    }

    @Test func aLostFlushLeavesAHole() throws {
        let engine = try makeEngine()
        try engine.put([0], [3])
        try engine.flush()
        try engine.put([2], [4])
        #expect(engine.flushesKept == 3)
        // The second flush: its values, where no later one wrote, and its deletion.
        #expect(engine.loseFlush(ago: 2) == 5)
        #expect(try text(engine) == "3141111111")
        #expect(engine.loseFlush(ago: 1) == 1)
        #expect(try text(engine) == "2141111111")
    }

    @Test func aRolledBackDiskHoldsAnOlderPrefix() throws {
        let engine = try makeEngine()
        try engine.put([0], [3])
        try engine.close()
        engine.rollBack(flushes: 1)
        #expect(try text(engine.open()) == "212121212.")
        engine.rollBack(flushes: 1)
        #expect(try text(engine.open()) == "1111111111")
        engine.rollBack(flushes: 1)
        #expect(try text(engine.open()) == "..........")
        #expect(engine.flushesKept == 0)
    }

    @Test func flushesThatCanBeUndoneAreBounded() throws {
        let engine = MemoryEngine()
        for number in UInt8(0)..<40 {
            try engine.put([number], [number])
            try engine.flush()
        }
        #expect(engine.flushesKept == 16)
        try engine.close()
        engine.rollBack(flushes: 16)
        #expect(try engine.open().makeReadView().entries().count == 24)
    }

    @Test func aStoreThatRefusesToOpenIsNoticedByTheNextStartOnly() throws {
        let engine = try makeEngine()
        let missing = StorageError.corruption("a table is missing")
        engine.refuseToOpen(missing)
        #expect(try text(engine) == "212121212.")
        engine.stop(seed: 1)
        #expect(throws: missing) { try engine.open() }
        #expect(throws: missing) { try engine.open() }
        engine.refuseToOpen(nil)
        #expect(try text(engine.open()) == "212121212.")
    }

    @Test func aFullDiskEndsWritesUntilThereIsRoomAndANewStart() throws {
        let engine = MemoryEngine(unflushedBatchesMax: 3)
        try engine.put([1], [1])
        try engine.flush()
        engine.fillDisk()
        // Three batches go to memory; writing them back fails, which the next call is told.
        for key in UInt8(2)..<5 { try engine.put([key], [1]) }
        let full = StorageError.noSpace("the disk is full")
        #expect(throws: full) { try engine.put([5], [1]) }
        engine.freeSpace()
        #expect(throws: full) { try engine.put([5], [1]) }
        #expect(throws: full) { try engine.flush() }
        #expect(try engine.makeReadView().entries().map(\.key) == [[1], [2], [3], [4]])
        engine.fillDisk()
        engine.stop(seed: 1)
        #expect(throws: full) { try engine.open() }
        engine.freeSpace()
        let next = try engine.open()
        #expect(try next.makeReadView().entries().map(\.key) == [[1]])
        try next.put([2], [2])
        try next.close()
    }

    @Test func withoutChecksADamagedBlockIsReturned() throws {
        let engine = MemoryEngine(verifiesChecksums: false)
        for key in UInt8(0)..<4 { try engine.put([key], [2]) }
        try engine.flush()
        #expect(engine.damageBlock(from: [1], entriesMax: 2) == 2)
        #expect(try text(engine) == "2332......")
        #expect(try engine.makeReadView().entries().map(\.value) == [[2], [3], [3], [2]])
        engine.compact()
        try engine.flush()
    }

    @Test func anIteratorCanFailWhereReadsByKeyDoNot() throws {
        let engine = try makeEngine()
        engine.inject(.inputOutput("once"), at: .iterate, after: 2)
        #expect(try text(engine) == "212121212.")
        #expect(throws: StorageError.inputOutput("once")) {
            try engine.makeReadView().entries()
        }
        #expect(try engine.makeReadView().entries().count == 9)
    }

    /// Each class of damage by chance: it is repeatable, it happens, and it shows as it says.
    @Test(arguments: MemoryDamage.allCases)
    func damageByChanceIsRepeatable(_ damage: MemoryDamage) throws {
        func run(_ seed: UInt64) throws -> String {
            let engine = try makeEngine()
            var generator = SeededGenerator(seed: seed)
            try engine.close()
            #expect(engine.inject(damage, using: &generator))
            guard let next = try? engine.open() else { return "refuses" }
            return try text(next)
        }
        let right = "212121212."
        var found: Set<String> = []
        for seed in UInt64(0)..<50 {
            let text = try run(seed)
            #expect(try run(seed) == text, "seed \(seed)")
            #expect(text != right, "seed \(seed)")
            found.insert(text)
            let crosses = text.count { $0 == "x" }
            switch damage {
            case .refusesToOpen: #expect(text == "refuses")
            case .value: #expect(crosses == 1)
            case .block, .unreadableBlock: #expect((1...9).contains(crosses))
            case .everything: #expect(crosses == 9)
            case .staleValue: #expect(crosses == 0 && text.count { $0 == "1" } == 5)
            case .lostKeys: #expect(crosses == 0 && text.count { $0 == "." } > 1)
            case .lostFlush, .rolledBack:
                #expect(["1111111111", "..........", "2.2.2.2.2."].contains(text))
            }
        }
        switch damage {
        case .refusesToOpen, .everything: #expect(found.count == 1)
        case .lostFlush, .rolledBack: #expect(found.count == 2)
        case .staleValue: #expect(found.count == 5)
        case .value, .block, .unreadableBlock, .lostKeys: #expect(found.count > 5)
        }
        var generator = SeededGenerator(seed: 1)
        let empty = MemoryEngine()
        try empty.close()
        #expect(empty.inject(damage, using: &generator) == (damage == .refusesToOpen))
    }
}
