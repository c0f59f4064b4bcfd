import Glibc
import Primitives
import RecordModel

@testable import SnapshotArchive

/// A directory of its own for one test, removed with everything in it at the end.
final class TestDirectory {
    let root: String
    /// Where the recovery point is to be: not there yet.
    var point: String { root + "/point" }

    init() {
        var template = Array("/tmp/recovery-point-test.XXXXXX".utf8CString)
        root = template.withUnsafeMutableBufferPointer { buffer in
            precondition(mkdtemp(buffer.baseAddress!) != nil, "mkdtemp: \(errno)")
            return String(cString: buffer.baseAddress!)
        }
    }

    deinit { removeAll() }

    /// For a process that exits without deinitialising anything.
    func removeAll() { Self.remove(root) }

    private static func remove(_ path: String) {
        if unlink(path) == 0 { return }
        for name in names(path) { remove("\(path)/\(name)") }
        rmdir(path)
    }

    static func names(_ path: String) -> [String] {
        (try? ArchiveDirectory.open(at: path).names()) ?? []
    }

    /// The paths of the packs, relative to the recovery point.
    var packs: [String] { Self.names(point + "/packs").map { "packs/\($0)" } }

    func read(_ file: String) -> Bytes {
        let descriptor = open("\(point)/\(file)", O_RDONLY)
        precondition(descriptor >= 0, "open \(file): \(errno)")
        defer { close(descriptor) }
        let size = Int(lseek(descriptor, 0, SEEK_END))
        lseek(descriptor, 0, SEEK_SET)
        return Bytes(unsafeUninitializedCapacity: size) { buffer, filled in
            filled = Glibc.read(descriptor, buffer.baseAddress, size)
        }
    }

    func write(_ file: String, _ bytes: Bytes) {
        let descriptor = open("\(point)/\(file)", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        precondition(descriptor >= 0, "open \(file): \(errno)")
        defer { close(descriptor) }
        bytes.withUnsafeBytes { raw in
            precondition(Glibc.write(descriptor, raw.baseAddress, raw.count) == raw.count)
        }
    }

    func remove(_ file: String) { precondition(unlink("\(point)/\(file)") == 0, "\(errno)") }

    func rename(_ file: String, _ other: String) {
        precondition(Glibc.rename("\(point)/\(file)", "\(point)/\(other)") == 0, "\(errno)")
    }
}

/// One keyspace as a cluster would send it.
struct TestKeyspace {
    var name: String
    var revision = Revision(1_000_000)
    var compactRevision = Revision(0)
    var timestamp = HybridTimestamp(microseconds: 1_763_836_800_000_000, logical: 3)
    var versions: [RecordVersion]

    var rows: [Bytes] { versions.map { VersionRow.encode($0) } }

    var digest: LogicalDigest {
        var digest = LogicalDigest()
        for row in rows { digest.add(row: row) }
        return digest
    }

    var livingKeys: Int {
        var newest: [Bytes: Bool] = [:]
        for version in versions {
            if case .put = version.kind {
                newest[version.key] = true
            } else {
                newest[version.key] = false
            }
        }
        return newest.values.count { $0 }
    }
}

let testCluster = ClusterID(0xCDF8_1819_4E3A_8C32)
let testCreated = HybridTimestamp(microseconds: 1_763_840_400_000_000)

func put(
    _ key: String, at revision: Int64, sub: UInt32 = 0, value: Bytes = Bytes("value".utf8),
    terms: [IndexTerm] = []
) -> RecordVersion {
    put(Bytes(key.utf8), at: revision, sub: sub, value: value, terms: terms)
}

func put(
    _ key: Bytes, at revision: Int64, sub: UInt32 = 0, value: Bytes = Bytes("value".utf8),
    terms: [IndexTerm] = []
) -> RecordVersion {
    let timestamp = HybridTimestamp(microseconds: UInt64(revision) * 10, logical: sub)
    return RecordVersion(
        key: key, modRevision: Revision(revision), subRevision: sub, timestamp: timestamp,
        kind: .put(
            Record(
                key: key, value: value, createRevision: Revision(1),
                modRevision: Revision(revision), version: 1, timestamp: timestamp, terms: terms)))
}

func deletion(_ key: Bytes, at revision: Int64, sub: UInt32 = 0) -> RecordVersion {
    RecordVersion(
        key: key, modRevision: Revision(revision), subRevision: sub,
        timestamp: HybridTimestamp(microseconds: UInt64(revision) * 10, logical: sub),
        kind: .deletion)
}

/// Versions in row order: keys of random bytes, several versions each, some of them deletions.
func randomVersions(
    count: Int, valueBytesMax: Int, using generator: inout SeededGenerator
) -> [RecordVersion] {
    var keys: [Bytes] = []
    for _ in 0..<max(1, count / 2) {
        keys.append(
            (0..<Int.random(in: 1...24, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            })
    }
    keys.sort { $0.lexicographicallyPrecedes($1) }
    var versions: [RecordVersion] = []
    var previous: Bytes?
    for key in keys where key != previous {
        previous = key
        var revision = Int64.random(in: 2...100, using: &generator)
        var sub: UInt32 = 0
        for _ in 0..<Int.random(in: 1...4, using: &generator) where versions.count < count {
            if Int.random(in: 0..<4, using: &generator) == 0 {
                versions.append(deletion(key, at: revision, sub: sub))
            } else {
                // Half of them compress, half do not.
                let isRandom = Bool.random(using: &generator)
                let value = (0..<Int.random(in: 0...valueBytesMax, using: &generator)).map { i in
                    isRandom ? UInt8.random(in: 0...255, using: &generator) : UInt8(i & 7)
                }
                versions.append(
                    put(
                        key, at: revision, sub: sub, value: value,
                        terms: [IndexTerm(name: Bytes("family".utf8), value: key)]))
            }
            if Bool.random(using: &generator) {
                sub += 1
            } else {
                revision += Int64.random(in: 1...50, using: &generator)
                sub = 0
            }
        }
    }
    return versions
}

/// Sends the keyspaces to a writer in batches of random length.
@discardableResult
func createPoint(
    at path: String, _ keyspaces: [TestKeyspace], packBytesTarget: Int = 4_096, seed: UInt64 = 1
) throws(ArchiveError) -> SHA256Digest {
    var generator = SeededGenerator(seed: seed)
    let writer = try ArchiveWriter(
        creating: path, created: testCreated, productVersion: "0.1.0",
        packBytesTarget: packBytesTarget)
    for keyspace in keyspaces {
        try writer.beginKeyspace(
            keyspace.name, revision: keyspace.revision,
            compactRevision: keyspace.compactRevision, timestamp: keyspace.timestamp,
            clusterID: testCluster)
        var rest = keyspace.rows[...]
        while !rest.isEmpty {
            let batch = rest.prefix(Int.random(in: 1...20, using: &generator))
            rest = rest.dropFirst(batch.count)
            try writer.append(rows: Bytes(batch.joined()), count: UInt64(batch.count))
        }
        try writer.endKeyspace(rowCount: UInt64(keyspace.rows.count), digest: keyspace.digest)
    }
    return try writer.finish()
}

/// Everything that a reader hands out for a keyspace.
func readAll(
    _ path: String, _ keyspace: String, chunkBytesMax: Int = ArchiveLimits.chunkBytesMax
) throws(ArchiveError) -> [RowChunk] {
    var rows = try ArchiveReader(opening: path).rows(of: keyspace, chunkBytesMax: chunkBytesMax)
    var chunks: [RowChunk] = []
    while let chunk = try rows.next() { chunks.append(chunk) }
    return chunks
}

/// Three keyspaces, one of them empty, in several packs; the same at every call.
func smallPoint(at path: String) throws(ArchiveError) -> [TestKeyspace] {
    var generator = SeededGenerator(seed: 7)
    let keyspaces = [
        TestKeyspace(name: "system", revision: Revision(1), versions: []),
        TestKeyspace(
            name: "default", compactRevision: Revision(5),
            versions: randomVersions(count: 40, valueBytesMax: 60, using: &generator)),
        TestKeyspace(
            name: "fhir",
            versions: randomVersions(count: 30, valueBytesMax: 60, using: &generator)),
    ]
    try createPoint(at: path, keyspaces, packBytesTarget: 512)
    return keyspaces
}

extension VerificationReport {
    func names(_ kind: Problem.Kind, _ file: String) -> Bool {
        problems.contains { $0.kind == kind && $0.file == file }
    }
}
