import Foundation
import Primitives
import RocksDBEngine
import StorageEngine

/// What the store of the corpus holds. Each phase is one flush; its number is in each value that it
/// writes, so that a value tells when it was written.
enum Corpus {
    static let keyCount = 300
    static let phaseCount = 7

    static func key(_ number: Int) -> Bytes { [1, UInt8(number >> 8), UInt8(number & 0xFF)] }

    /// Nil: not a key of the corpus.
    static func number(of key: Bytes) -> Int? {
        guard key.count == 3, key[0] == 1 else { return nil }
        let number = Int(key[1]) << 8 | Int(key[2])
        return number < keyCount ? number : nil
    }

    static func value(_ number: Int, phase: Int) -> Bytes {
        var generator = SeededGenerator(seed: UInt64(number << 8 | phase))
        return [UInt8(phase)] + (0..<59).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }

    /// All operations of one phase: the first puts every key, later ones put some, delete some and
    /// delete a range.
    static func batch(ofPhase phase: Int) -> WriteBatch {
        var generator = SeededGenerator(seed: UInt64(phase))
        var batch = WriteBatch()
        if phase > 1 {
            let start = 20 * phase
            batch.deleteRange(from: key(start), to: key(start + 15))
        }
        for number in 0..<keyCount {
            let chance = Int.random(in: 0..<100, using: &generator)
            if phase == 1 || chance < 25 {
                batch.put(key(number), value(number, phase: phase))
            } else if chance < 30 {
                batch.delete(key(number))
            }
        }
        return batch
    }

    /// The phase of each key's value after each number of phases: a character for a key, `.` for
    /// one that is not there.
    static let states = states(after: (1...phaseCount).map { batch(ofPhase: $0) })

    /// As `states`, after each part of each phase.
    static let partStates = states(
        after: (1...phaseCount).flatMap { CorpusDirectories.parts(of: batch(ofPhase: $0)) })

    private static func states(after batches: [WriteBatch]) -> [String] {
        var state = [Character](repeating: ".", count: keyCount)
        var states = [String(state)]
        for batch in batches {
            for operation in batch.operations {
                switch operation {
                case .put(let key, let value):
                    state[number(of: key) ?? 0] = Character("\(value[0])")
                case .delete(let key): state[number(of: key) ?? 0] = "."
                case .deleteRange(let from, let to):
                    for number in (number(of: from) ?? 0)..<(number(of: to) ?? 0) {
                        state[number] = "."
                    }
                }
            }
            states.append(String(state))
        }
        return states
    }

    /// Small blocks, and tables that are merged when there are four. Nothing reaches the disk
    /// without a flush.
    static var settings: RocksDBSettings {
        var settings = RocksDBSettings()
        settings.blockCacheBytes = 1 << 20
        settings.memtableBytes = 4 << 20
        settings.blockBytes = 512
        settings.compression = .none
        settings.bottommostCompression = .none
        settings.createIfMissing = false
        return settings
    }
}

/// Copies of one store's directory at several moments.
struct CorpusDirectories {
    /// Phases 1 to 4, merged into one table of the last level, closed.
    let earlier: String
    /// Phase 5 flushed, running: of the same start as those below.
    let afterPhase5: String
    /// Phases 5 and 6 flushed, 7 in memory, running: what a loss of power leaves.
    let crashed: String
    /// All phases, closed: one table of the last level, three of level 0.
    let closed: String
    /// As `closed`, but made by so many flushes that the MANIFEST is longer than one block of 32 KiB.
    let longManifest: String

    static let longManifestFlushes = 400

    /// - Parameter root: an empty directory.
    init(in root: String) throws {
        earlier = root + "/earlier"
        afterPhase5 = root + "/after-phase-5"
        crashed = root + "/crashed"
        closed = root + "/closed"
        longManifest = root + "/long-manifest"
        let files = FileManager.default
        let live = root + "/live"

        var settings = Corpus.settings
        settings.createIfMissing = true
        let first = try RocksDBEngine.open(directory: live, settings: settings)
        for phase in 1...4 {
            try first.commit(Corpus.batch(ofPhase: phase))
            try first.flush()
            first.waitForCompactions()
        }
        try first.close()
        try files.copyItem(atPath: live, toPath: earlier)

        let second = try RocksDBEngine.open(directory: live, settings: settings)
        try second.commit(Corpus.batch(ofPhase: 5))
        try second.flush()
        try files.copyItem(atPath: live, toPath: afterPhase5)
        try second.commit(Corpus.batch(ofPhase: 6))
        try second.flush()
        try second.commit(Corpus.batch(ofPhase: 7))
        try files.copyItem(atPath: live, toPath: crashed)
        try second.close()
        try files.moveItem(atPath: live, toPath: closed)

        // Each of the many flushes writes some of the keys of its phase, so that a lost one is seen.
        settings.level0CompactionTrigger = 1_000
        let long = try RocksDBEngine.open(directory: longManifest, settings: settings)
        for phase in 1...Corpus.phaseCount {
            for part in Self.parts(of: Corpus.batch(ofPhase: phase)) {
                try long.commit(part)
                try long.flush()
            }
        }
        try long.close()
    }

    static func parts(of batch: WriteBatch) -> [WriteBatch] {
        let count = longManifestFlushes / Corpus.phaseCount
        let size = batch.operations.count / count + 1
        return stride(from: 0, to: batch.operations.count, by: size).map { start in
            var part = WriteBatch()
            for operation in batch.operations[start...].prefix(size) {
                switch operation {
                case .put(let key, let value): part.put(key, value)
                case .delete(let key): part.delete(key)
                case .deleteRange(let from, let to): part.deleteRange(from: from, to: to)
                }
            }
            return part
        }
    }
}

extension RocksDBEngine {
    func waitForCompactions() {
        while isCompacting { usleep(200) }
    }
}
