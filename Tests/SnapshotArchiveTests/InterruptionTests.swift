import Glibc
import Primitives
import RecordModel
import Testing

@testable import SnapshotArchive

/// A creation that does not end must never be taken for one that did.
@Suite struct InterruptionTests {
    @Test func untilTheManifestIsWrittenThereIsNoRecoveryPoint() throws {
        let directory = TestDirectory()
        let writer = try ArchiveWriter(
            creating: directory.point, created: testCreated, productVersion: "0.1.0",
            packBytesTarget: 64)
        func expectNone() {
            #expect(
                ArchiveVerifier.verify(directory: directory.point).names(.missing, "manifest.json"))
            #expect(throws: ArchiveError.noManifest(path: directory.point)) {
                try ArchiveReader(opening: directory.point)
            }
        }
        expectNone()
        try writer.beginKeyspace(
            "default", revision: Revision(100), compactRevision: .none, timestamp: .zero,
            clusterID: testCluster)
        var digest = LogicalDigest()
        for revision in 2..<20 {
            let row = VersionRow.encode(put("key", at: Int64(revision)))
            digest.add(row: row)
            try writer.append(rows: row, count: 1)
            expectNone()
        }
        try writer.endKeyspace(rowCount: 18, digest: digest)
        expectNone()
        _ = try writer.finish()
        #expect(ArchiveVerifier.verify(directory: directory.point).isValid)
    }

    @Test func whatACrashLeavesIsNamed() throws {
        let directory = TestDirectory()
        _ = try smallPoint(at: directory.point)
        // As if the power had gone between the manifest's bytes and its name.
        directory.rename("manifest.json", ".partial-manifest.json")
        let report = ArchiveVerifier.verify(directory: directory.point)
        #expect(report.names(.missing, "manifest.json"))
        #expect(
            report.problems.contains {
                $0.file == ".partial-manifest.json"
                    && $0.reason == "left by a creation that did not end"
            })
        #expect(throws: ArchiveError.directoryNotEmpty(path: directory.point)) {
            try createPoint(at: directory.point, [])
        }
    }

    @Test func aManifestThatCannotBeWrittenLeavesNone() throws {
        let directory = TestDirectory()
        let writer = try ArchiveWriter(
            creating: directory.point, created: testCreated, productVersion: "0.1.0")
        try writer.beginKeyspace(
            "default", revision: .initial, compactRevision: .none, timestamp: .zero,
            clusterID: testCluster)
        try writer.endKeyspace(rowCount: 0, digest: LogicalDigest())
        directory.write("manifest.json", [])
        #expect(
            throws: ArchiveError.file(
                operation: "create", path: directory.point + "/manifest.json", errno: EEXIST)
        ) { try writer.finish() }
        #expect(!ArchiveVerifier.verify(directory: directory.point).isValid)
    }

    /// In a process of its own, whose files may have 32 KiB at most: the write fails midway, as on
    /// a full disk.
    @Test func aWriteThatFailsMidwayIsAnErrorAndLeavesNoObject() async {
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 32 << 10, rlim_max: 32 << 10)
            guard setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else {
                exit(3)
            }
            let directory = TestDirectory()
            let code = Self.failsToWrite(at: directory, errno: EFBIG)
            directory.removeAll()
            exit(code)
        }
    }

    /// On a file system of 256 KiB, where one can be mounted.
    @Test func aFullDiskIsAnErrorAndLeavesNoObject() async {
        let probe = TestDirectory()
        guard Self.mountSmall(probe) else {
            print("full disk: skipped, a small file system cannot be mounted (errno \(errno))")
            return
        }
        Self.unmount(probe)
        await #expect(processExitsWith: .success) {
            let directory = TestDirectory()
            guard Self.mountSmall(directory) else { exit(4) }
            let code = Self.failsToWrite(at: directory, errno: ENOSPC)
            Self.unmount(directory)
            directory.removeAll()
            exit(code)
        }
    }

    private static func mountSmall(_ directory: TestDirectory) -> Bool {
        mount("none", directory.root, "tmpfs", 0, "size=256k") == 0
    }

    private static func unmount(_ directory: TestDirectory) {
        umount2(directory.root, Int32(MNT_DETACH))
    }

    /// Exit code 0 when the error is the one expected and nothing half-written has a name.
    private static func failsToWrite(at directory: TestDirectory, errno: Int32) -> Int32 {
        var generator = SeededGenerator(seed: 11)
        let keyspace = TestKeyspace(
            name: "default",
            versions: (0..<100).map { number in
                put(
                    "key-\(1_000 + number)", at: 2,
                    value: (0..<4_096).map { _ in UInt8.random(in: 0...255, using: &generator) })
            })
        do throws(ArchiveError) {
            try createPoint(at: directory.point, [keyspace], packBytesTarget: 128 << 10)
            return 10
        } catch {
            guard case .file("write", _, errno) = error else {
                print("unexpected: \(error)")
                return 11
            }
        }
        let left =
            TestDirectory.names(directory.point) + TestDirectory.names(directory.point + "/packs")
        guard !left.contains(where: { $0.hasPrefix(ArchiveLayout.partialPrefix) }) else {
            return 12
        }
        let report = ArchiveVerifier.verify(directory: directory.point)
        guard report.problems.map(\.kind) == [.missing] else { return 13 }
        return 0
    }
}
