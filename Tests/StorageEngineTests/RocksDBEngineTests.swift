import Foundation
import Primitives
import RocksDBEngine
import StorageEngine
import Testing

/// What is RocksDB's own: files, locks, checksums.
@Suite struct RocksDBEngineTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func open(_ path: String? = nil, create: Bool = true) throws -> RocksDBEngine {
        var settings = RocksDBSettings.small
        settings.createIfMissing = create
        settings.compression = .none
        settings.bottommostCompression = .none
        return try RocksDBEngine.open(directory: path ?? directory.path, settings: settings)
    }

    /// A closed store with 200 values of 100 bytes, of which each begins with "value".
    private func makeStore() throws {
        let engine = try open()
        for i in UInt8(0)..<200 {
            try engine.put([i], Array("value".utf8) + Bytes(repeating: i, count: 95))
        }
        try engine.close()
    }

    private func remove(_ prefix: String) throws {
        for name in try directory.files where name.hasPrefix(prefix) || name.hasSuffix(prefix) {
            try FileManager.default.removeItem(atPath: directory.path + "/" + name)
        }
    }

    private func failure(_ body: () throws -> Void) throws -> StorageError {
        try #require(throws: StorageError.self) { try body() }
    }

    private func openFailure(_ path: String? = nil, create: Bool = true) throws -> StorageError {
        try failure { try open(path, create: create).close() }
    }

    // Opening.

    @Test func aDirectoryThatIsOpenIsLocked() throws {
        let engine = try open()
        let error = try openFailure()
        guard case .locked(let message) = error else { throw error }
        #expect(message.contains(directory.path) && message.contains("stop it first"))
        try engine.close()
        try open().close()
    }

    /// The other process takes the record lock that RocksDB takes.
    @Test func aDirectoryThatAnotherProcessHasOpenIsLocked() throws {
        try makeStore()
        let holder = Process()
        holder.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let script = """
            import fcntl, sys
            lock = open(sys.argv[1], "r+")
            fcntl.lockf(lock, fcntl.LOCK_EX)
            print("held", flush=True)
            sys.stdin.read()
            """
        holder.arguments = ["python3", "-c", script, directory.path + "/LOCK"]
        let output = Pipe()
        let input = Pipe()
        holder.standardOutput = output
        holder.standardInput = input
        try holder.run()
        // Waits for output, or for the end of the process.
        #expect(!output.fileHandleForReading.availableData.isEmpty)
        let error = try openFailure()
        try input.fileHandleForWriting.close()
        holder.waitUntilExit()
        guard case .locked = error else { throw error }
        try open().close()
    }

    @Test func anEmptyDirectoryIsNotAStoreWhenOneIsExpected() throws {
        let error = try openFailure(create: false)
        guard case .corruption(let message) = error else { throw error }
        #expect(message.contains("holds no store"))
        #expect(try directory.files == [])
    }

    /// RocksDB by itself would make a new database here, and remove the tables.
    @Test func aMissingCurrentIsNotAnEmptyStore() throws {
        try makeStore()
        try remove("CURRENT")
        let before = try directory.files
        let error = try openFailure()
        guard case .corruption(let message) = error else { throw error }
        #expect(message.contains("CURRENT is missing"))
        #expect(try directory.files == before)
    }

    @Test func aStartThatWasCutShortIsRepeated() throws {
        let unfinished = directory.path + "/MANIFEST-000001"
        try Data().write(to: URL(fileURLWithPath: unfinished))
        let engine = try open()
        try engine.put([1], [1])
        try engine.close()
        #expect(try open().value(for: [1]) == [1])
    }

    @Test(arguments: ["MANIFEST", ".sst"])
    func aMissingFileIsCorruption(_ name: String) throws {
        try makeStore()
        try remove(name)
        let error = try openFailure()
        guard case .corruption(let message) = error else { throw error }
        #expect(message.contains(directory.path))
    }

    @Test func aDamagedManifestIsCorruption() throws {
        try makeStore()
        let manifest = try #require(try directory.files.first { $0.hasPrefix("MANIFEST") })
        try flipByte(of: manifest, at: 20)
        let error = try openFailure()
        guard case .corruption = error else { throw error }
    }

    @Test func aCurrentWithoutANameIsCorruption() throws {
        try makeStore()
        try Data("nothing".utf8).write(to: URL(fileURLWithPath: directory.path + "/CURRENT"))
        let error = try openFailure()
        guard case .corruption = error else { throw error }
    }

    @Test func settingsThatTheLibraryLacksAreIncompatible() throws {
        var settings = RocksDBSettings.small
        settings.tableFormatVersion = 99
        let error = try failure {
            try RocksDBEngine.open(directory: directory.path, settings: settings).close()
        }
        guard case .incompatible(let message) = error else { throw error }
        #expect(message.contains("format_version"))
    }

    @Test func theDiagnosticsLogIsBounded() throws {
        let log = directory.path + "/LOG"
        let full = Data(repeating: 0x0A, count: 8 << 20)
        try full.write(to: URL(fileURLWithPath: log))
        try makeStore()
        let old = try Data(contentsOf: URL(fileURLWithPath: log + ".old"))
        #expect(old == full)
        let lines = try String(contentsOfFile: log, encoding: .utf8)
        #expect(lines.contains("RocksDB version: 7.8"))
        #expect(lines.utf8.count < 1 << 20)
    }

    @Test func aFileIsNotADirectory() throws {
        let file = directory.path + "/file"
        try Data("text".utf8).write(to: URL(fileURLWithPath: file))
        let error = try openFailure(file)
        guard case .inputOutput(let message) = error else { throw error }
        #expect(message.contains(file))
        #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == Data("text".utf8))
    }

    @Test(arguments: ["/proc/storage-engine", "/nowhere-at-all/storage-engine"])
    func aDirectoryThatCannotBeMadeIsAnInputOutputError(_ path: String) throws {
        let error = try openFailure(path)
        guard case .inputOutput(let message) = error else { throw error }
        #expect(message.contains(path))
    }

    @Test(.enabled(if: geteuid() != 0, "root may write everywhere"))
    func aReadOnlyDirectoryIsAnInputOutputError() throws {
        try makeStore()
        chmod(directory.path, 0o500)
        defer { chmod(directory.path, 0o700) }
        let error = try openFailure()
        guard case .inputOutput = error else { throw error }
    }

    @Test func aLastComponentThatIsMissingIsMade() throws {
        let path = directory.path + "/store"
        let engine = try open(path)
        try engine.put([1], [1])
        try engine.close()
        #expect(try open(path).value(for: [1]) == [1])
    }

    @Test func allCompressionsAreThere() throws {
        for compression in [.none, .lz4, .zstd] as [RocksDBSettings.Compression] {
            let path = directory.path + "/\(compression)"
            var settings = RocksDBSettings.small
            settings.compression = compression
            settings.bottommostCompression = compression
            let engine = try RocksDBEngine.open(directory: path, settings: settings)
            let value = Bytes(repeating: 7, count: 500_000)
            try engine.put([1], value)
            try engine.flush()
            #expect(try engine.value(for: [1]) == value)
            #expect((engine.diskBytes < 100_000) == (compression != .none))
            try engine.close()
        }
    }

    // Stopping.

    @Test func anEngineDroppedWithoutCloseStopsAsInACrash() throws {
        do {
            let engine = try open()
            try engine.put([1], [1])
            try engine.flush()
            try engine.put([2], [2])
        }
        let engine = try open()
        #expect(try engine.makeReadView().entries() == [Entry(key: [1], value: [1])])
    }

    @Test func aCloseMayLeaveTheRestToTheLog() throws {
        let first = try open()
        try first.put([1], [1])
        try first.close(flushing: false)
        #expect(try open().value(for: [1]) == nil)
    }

    @Test func theDefaultsHoldAStore() throws {
        let path = directory.path + "/store"
        let engine = try RocksDBEngine.open(directory: path)
        for i in UInt8(0)..<100 { try engine.put([i], [i]) }
        #expect(engine.memtableBytes > 0)
        try engine.close()
        let next = try RocksDBEngine.open(directory: path)
        #expect(try next.makeReadView().entries().count == 100)
        #expect(next.diskBytes > 0)
        try next.verifyChecksums()
    }

    // A full disk.

    @Test(.enabled(if: SmallFileSystem.isPossible, "needs the right to mount a small tmpfs"))
    func aFullDiskEndsWritesUntilTheStoreIsOpenedAgain() throws {
        let disk = try #require(SmallFileSystem(bytes: 8 << 20))
        let path = disk.directory.path + "/store"
        var generator = SeededGenerator(seed: 1)
        let engine = try open(path)
        var committed: UInt64 = 0
        func commitNext() throws {
            var writer = ByteWriter()
            writer.writeBigEndian(committed + 1)
            let noise = (0..<512).map { _ in generator.next() }
            var batch = WriteBatch()
            batch.put([1], writer.bytes)
            batch.put([2] + writer.bytes, noise.withUnsafeBytes { Array($0) })
            try engine.commit(batch)
            committed += 1
        }
        let first = try failure { while committed < 10_000 { try commitNext() } }
        guard case .noSpace(let message) = first else { throw first }
        #expect(message.contains("make room"))
        #expect(try failure { try commitNext() } == first)
        #expect(try failure { try engine.flush() } == first)

        var newest = ByteWriter()
        newest.writeBigEndian(committed)
        #expect(try engine.value(for: [1]) == newest.bytes)
        let persisted = try #require(try engine.persistedValue(for: [1]))
        // Room does not revive it: what was refused must not be followed by what is accepted.
        try disk.makeRoom()
        #expect(try failure { try commitNext() } == first)
        #expect(try failure { try engine.close() } == first)

        try disk.fill()
        let full = try openFailure(path)
        guard case .noSpace = full else { throw full }
        try disk.makeRoom()
        // A flush that was under way may have ended where room was made: what is there is what had
        // been flushed, or more of what was committed.
        let next = try open(path)
        let kept = try #require(try next.value(for: [1]))
        #expect(!kept.lexicographicallyPrecedes(persisted))
        #expect(!newest.bytes.lexicographicallyPrecedes(kept))
        #expect(try next.value(for: [2] + kept)?.count == 4096)
        try next.put([3], [3])
        try next.close()
    }

    // Checksums.

    @Test func aFlippedByteIsCorruptionForItsReaders() throws {
        try makeStore()
        try open().verifyChecksums()
        let table = try #require(try directory.files.first { $0.hasSuffix(".sst") })
        // In the middle of some value.
        try flipByte(of: table, at: 8_000)

        let engine = try open()
        var damaged = 0
        for i in UInt8(0)..<200 {
            let read = Result { try engine.value(for: [i]) }
            switch read {
            case .success(let value):
                #expect(value == Array("value".utf8) + Bytes(repeating: i, count: 95))
            case .failure(StorageError.corruption): damaged += 1
            case .failure(let error): throw error
            }
        }
        // One block of 1 KiB.
        #expect((1...15).contains(damaged))

        let iterator = try engine.makeReadView().makeIterator(lower: [], upper: nil)
        iterator.seek(to: [])
        var seen = 0
        while iterator.isValid {
            seen += 1
            iterator.next()
        }
        #expect(seen < 200)
        #expect(try isCorruption(failure { try iterator.checkStatus() }))
        #expect(try isCorruption(failure { try engine.verifyChecksums() }))
    }

    private func isCorruption(_ error: StorageError) -> Bool {
        if case .corruption = error { return true }
        return false
    }

    private func flipByte(of name: String, at offset: Int) throws {
        let url = URL(fileURLWithPath: directory.path + "/" + name)
        var data = try Data(contentsOf: url)
        try #require(data.count > offset)
        data[offset] ^= 0x10
        try data.write(to: url)
    }
}
