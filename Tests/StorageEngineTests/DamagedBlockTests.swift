import Foundation
import Primitives
import RocksDBEngine
import StorageEngine
import Testing

/// A damaged block in either engine: what `MemoryEngine` says of it is what RocksDB does.
@Suite struct DamagedBlockTests {
    private static let keys = (0..<200).map { [1, UInt8($0)] as Bytes }

    /// An engine over a store of which one block is damaged.
    private final class Damaged {
        let kind: EngineKind
        private let directory: TemporaryDirectory
        private(set) var engine: any StorageEngine
        /// The oldest snapshot. Without it the release of a view lets RocksDB merge tables, and
        /// writes fail at no certain time.
        private var held: (any ReadView)?

        init(_ kind: EngineKind) throws {
            self.kind = kind
            directory = try TemporaryDirectory()
            switch kind {
            case .memory: engine = MemoryEngine()
            case .rocksDB: engine = try Self.open(directory)
            }
            for key in keys { try engine.put(key, Bytes(repeating: key[1], count: 100)) }
            try engine.flush()
            switch engine {
            case let memory as MemoryEngine:
                try #require(memory.damageBlock(from: keys[60], entriesMax: 9) == 9)
            default:
                try engine.close()
                let table = try #require(try directory.files.first { $0.hasSuffix(".sst") })
                let url = URL(fileURLWithPath: directory.path + "/" + table)
                var data = try Data(contentsOf: url)
                data[8_000] ^= 0x10
                try data.write(to: url)
                engine = try Self.open(directory)
            }
            held = try engine.makeReadView()
        }

        private static func open(_ directory: TemporaryDirectory) throws -> RocksDBEngine {
            var settings = RocksDBSettings.small
            settings.compression = .none
            settings.bottommostCompression = .none
            return try RocksDBEngine.open(directory: directory.path, settings: settings)
        }

        func restart() throws {
            try? engine.close()
            switch engine {
            case let memory as MemoryEngine: engine = try memory.open()
            default: engine = try Self.open(directory)
            }
            held = try engine.makeReadView()
        }

        /// Has all tables merged.
        func compact() throws {
            switch engine {
            case let memory as MemoryEngine: memory.compact()
            case let rocksDB as RocksDBEngine:
                // The third flush starts it, and what comes after may fail already.
                for _ in 0..<3 {
                    try rocksDB.put([0], [0])
                    try rocksDB.put([2], [0])
                    try rocksDB.flush()
                }
                for _ in 0..<1_000 where rocksDB.isCompacting { usleep(1_000) }
            default: break
            }
        }
    }

    /// The keys whose value is not read, as numbers.
    private func unreadable(_ engine: any StorageEngine) throws -> [Int] {
        let view = try engine.makeReadView()
        return Self.keys.indices.filter { number in
            isCorruption {
                let value = try view.value(for: Self.keys[number])
                #expect(value != nil)
            }
        }
    }

    private func isCorruption(_ body: () throws -> Void) -> Bool {
        do { try body() } catch StorageError.corruption { return true } catch { return false }
        return false
    }

    @Test(arguments: EngineKind.allCases)
    func readsOfItsKeysFailAndIteratorsCannotPassIt(_ kind: EngineKind) throws {
        let damaged = try Damaged(kind)
        let lost = try unreadable(damaged.engine)
        let first = try #require(lost.first)
        let last = try #require(lost.last)
        #expect(lost == Array(first...last) && lost.count > 1 && lost.count < 20)
        #expect(isCorruption { _ = try damaged.engine.persistedValue(for: Self.keys[first]) })

        let view = try damaged.engine.makeReadView()
        #expect(try view.entries(upper: Self.keys[first - 1]).count == first - 1)
        // It looks for the end of its range there.
        #expect(isCorruption { _ = try view.entries(upper: Self.keys[first]) })
        #expect(try view.entries(lower: Self.keys[last + 1]).count == 199 - last)
        for forwards in [true, false] {
            let iterator = try view.makeIterator(lower: [], upper: nil)
            if forwards { iterator.seek(to: []) } else { iterator.seekBackwards(to: [9]) }
            var seen = 0
            while iterator.isValid {
                seen += 1
                if forwards { iterator.next() } else { iterator.previous() }
            }
            // Backwards it needs to know that a key ends where it stands.
            #expect(seen == (forwards ? first : 199 - last - 1))
            #expect(isCorruption { try iterator.checkStatus() })
        }
    }

    @Test(arguments: EngineKind.allCases)
    func newValuesAreReadButIteratorsStillFail(_ kind: EngineKind) throws {
        let damaged = try Damaged(kind)
        for number in try unreadable(damaged.engine) {
            try damaged.engine.put(Self.keys[number], [1])
        }
        for flushing in [false, true] {
            if flushing { try damaged.engine.flush() }
            #expect(try unreadable(damaged.engine) == [])
            #expect(isCorruption { _ = try damaged.engine.makeReadView().entries() })
        }
        try damaged.restart()
        #expect(try unreadable(damaged.engine) == [])
        #expect(isCorruption { _ = try damaged.engine.makeReadView().entries() })
    }

    @Test(arguments: EngineKind.allCases)
    func aMergeOfTablesEndsWritesUntilTheNextStart(_ kind: EngineKind) throws {
        let damaged = try Damaged(kind)
        let lost = try unreadable(damaged.engine)
        try damaged.compact()
        #expect(isCorruption { try damaged.engine.put([3], [1]) })
        #expect(isCorruption { try damaged.engine.flush() })
        #expect(try unreadable(damaged.engine) == lost)
        #expect(try damaged.engine.value(for: Self.keys[0]) != nil)
        try damaged.restart()
        #expect(try unreadable(damaged.engine) == lost)
    }
}
