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
    /// Memtables so small that a few hundred kilobytes reach the disk without a flush.
    static var small: RocksDBSettings {
        var settings = RocksDBSettings()
        settings.blockCacheBytes = 1 << 20
        settings.memtableBytes = 64 << 10
        settings.memtableCount = 8
        settings.blockBytes = 1 << 10
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

    /// The directory as a crash at this moment would leave it. Background work goes on meanwhile:
    /// the copy counts when the MANIFEST, which names all that counts, stayed as it was.
    func copyOfRunningStore() throws -> TemporaryDirectory {
        for _ in 0..<100 {
            let copy = try TemporaryDirectory()
            let before = try manifest
            for name in try files where name != "LOCK" && !name.hasPrefix("LOG") {
                // What is removed meanwhile, the MANIFEST does not name.
                guard let data = FileManager.default.contents(atPath: path + "/" + name) else {
                    continue
                }
                try data.write(to: URL(fileURLWithPath: copy.path + "/" + name))
            }
            if try manifest == before { return copy }
        }
        throw StoreIsNeverQuiet()
    }

    private var manifest: [String: Data] {
        get throws {
            var contents: [String: Data] = [:]
            for name in try files where name == "CURRENT" || name.hasPrefix("MANIFEST") {
                contents[name] = FileManager.default.contents(atPath: path + "/" + name)
            }
            return contents
        }
    }
}

struct StoreIsNeverQuiet: Error {}

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
