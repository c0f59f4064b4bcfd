import Foundation
import Primitives
import RocksDBEngine
import StorageEngine
import Testing

/// The engines that the conformance suite runs over.
enum EngineKind: String, CaseIterable, CustomTestStringConvertible {
    case memory
    case rocksDB

    var testDescription: String { rawValue }
}

/// One engine together with its disk, so that a test can stop it and start it again.
final class EngineUnderTest {
    private enum Backing {
        case memory(MemoryEngine)
        case rocksDB(RocksDBEngine, TemporaryDirectory)
    }

    private var backing: Backing

    init(_ kind: EngineKind) throws {
        switch kind {
        case .memory: backing = .memory(MemoryEngine())
        case .rocksDB:
            let directory = try TemporaryDirectory()
            let engine = try RocksDBEngine.open(directory: directory.path, settings: .small)
            backing = .rocksDB(engine, directory)
        }
    }

    var engine: any StorageEngine {
        switch backing {
        case .memory(let engine): engine
        case .rocksDB(let engine, _): engine
        }
    }

    /// Closes and opens again.
    func restart() throws {
        try engine.close()
        switch backing {
        case .memory(let engine): backing = .memory(engine.restart())
        case .rocksDB(_, let directory):
            let engine = try RocksDBEngine.open(directory: directory.path, settings: .small)
            backing = .rocksDB(engine, directory)
        }
    }

    /// Stops without a flush, and opens what is on the disk at this moment.
    func crash(seed: UInt64) throws {
        switch backing {
        case .memory(let engine): backing = .memory(engine.crash(seed: seed))
        case .rocksDB(_, let directory):
            let copy = try directory.copyOfRunningStore()
            let engine = try RocksDBEngine.open(directory: copy.path, settings: .small)
            backing = .rocksDB(engine, copy)
        }
    }
}

/// A suite that keeps its engines' directories until the test has ended: an engine alone does not.
class EngineSuite {
    private var subjects: [EngineUnderTest] = []

    func makeSubject(_ kind: EngineKind) throws -> EngineUnderTest {
        let subject = try EngineUnderTest(kind)
        subjects.append(subject)
        return subject
    }

    func makeEngine(_ kind: EngineKind) throws -> any StorageEngine {
        try makeSubject(kind).engine
    }
}

extension RocksDBSettings {
    /// Memtables so small that a few hundred kilobytes reach the disk without a flush; compactions
    /// only when many files wait, so that a running store can be copied file by file.
    static var small: RocksDBSettings {
        var settings = RocksDBSettings()
        settings.blockCacheBytes = 1 << 20
        settings.memtableBytes = 64 << 10
        settings.memtableCount = 8
        settings.blockBytes = 1 << 10
        settings.level0CompactionTrigger = 10_000
        return settings
    }
}

/// A new directory, removed with everything in it when the last reference goes.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "storage-engine-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var files: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
    }

    /// Copies the files in the order that a crash image allows: CURRENT and the MANIFEST first, as
    /// the tables that they name are complete before they name them.
    func copyOfRunningStore() throws -> TemporaryDirectory {
        let copy = try TemporaryDirectory()
        let order = try files.sorted { rank($0) < rank($1) }
        for name in order where name != "LOCK" && !name.hasPrefix("LOG") {
            try FileManager.default.copyItem(
                atPath: path + "/" + name, toPath: copy.path + "/" + name)
        }
        return copy
    }

    private func rank(_ name: String) -> Int {
        if name == "CURRENT" { return 0 }
        return name.hasPrefix("MANIFEST") ? 1 : 2
    }
}

extension StorageEngine {
    func put(_ key: Bytes, _ value: Bytes) throws {
        var batch = WriteBatch()
        batch.put(key, value)
        try commit(batch)
    }

    func delete(_ key: Bytes) throws {
        var batch = WriteBatch()
        batch.delete(key)
        try commit(batch)
    }

    func value(for key: Bytes) throws -> Bytes? { try makeReadView().value(for: key) }
}

extension ReadView {
    /// The keys and values of a range, in order, by walking it.
    func entries(lower: Bytes = [], upper: Bytes? = nil) throws -> [Entry] {
        let iterator = try makeIterator(lower: lower, upper: upper)
        var entries: [Entry] = []
        iterator.seek(to: lower)
        while iterator.isValid {
            entries.append(Entry(key: iterator.key, value: iterator.value))
            iterator.next()
        }
        try iterator.checkStatus()
        return entries
    }
}

struct Entry: Equatable {
    var key: Bytes
    var value: Bytes
}
