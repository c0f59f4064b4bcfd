import Glibc
import Primitives
import RecordModel
import Testing

@testable import SnapshotArchive

@Suite struct WriterTests {
    /// Sends one keyspace, and returns the error that stopped it. Whatever the error, the directory
    /// must not look like a recovery point.
    private func refusal(
        rows: [Bytes], count: UInt64? = nil, statedCount: UInt64? = nil,
        digest: LogicalDigest? = nil, revision: Int64 = 100, compactRevision: Int64 = 0,
        name: String = "default"
    ) -> ArchiveError? {
        let directory = TestDirectory()
        do throws(ArchiveError) {
            let writer = try ArchiveWriter(
                creating: directory.point, created: testCreated, productVersion: "0.1.0")
            try writer.beginKeyspace(
                name, revision: Revision(revision), compactRevision: Revision(compactRevision),
                timestamp: .zero, clusterID: testCluster)
            try writer.append(rows: Bytes(rows.joined()), count: count ?? UInt64(rows.count))
            var sum = LogicalDigest()
            for row in rows { sum.add(row: row) }
            try writer.endKeyspace(
                rowCount: statedCount ?? UInt64(rows.count), digest: digest ?? sum)
            _ = try writer.finish()
            return nil
        } catch {
            let report = ArchiveVerifier.verify(directory: directory.point)
            #expect(report.names(.missing, "manifest.json"))
            return error
        }
    }

    private func row(_ key: String, _ revision: Int64, sub: UInt32 = 0) -> Bytes {
        VersionRow.encode(put(key, at: revision, sub: sub))
    }

    @Test func whatTheClusterStatesIsComparedWithWhatCame() {
        let rows = [row("a", 2), row("b", 3)]
        #expect(refusal(rows: rows) == nil)
        #expect(
            refusal(rows: rows, statedCount: 3)
                == .rowCountMismatch(keyspace: "default", stated: 3, received: 2))
        var sum = LogicalDigest()
        for row in rows { sum.add(row: row) }
        var wrong = sum
        wrong.low ^= 1
        #expect(
            refusal(rows: rows, digest: wrong)
                == .digestMismatch(keyspace: "default", stated: wrong, received: sum))
        #expect(
            refusal(rows: rows, count: 1)
                == .rows(keyspace: "default", problem: .count(stated: 1, found: 2)))
    }

    @Test func rowsThatAreNotInOrderAreRefused() {
        let problems: [([Bytes], RowProblem)] = [
            ([row("b", 2), row("a", 3)], .outOfOrder(row: 1)),
            ([row("a", 3), row("a", 2)], .outOfOrder(row: 1)),
            ([row("a", 3, sub: 1), row("a", 3, sub: 0)], .outOfOrder(row: 1)),
            ([row("a", 2), row("a", 2)], .repeated(row: 1)),
            (
                [row("a", 2), row("b", 101)],
                .aboveCut(row: 1, modRevision: Revision(101), cut: Revision(100))
            ),
        ]
        for (rows, problem) in problems {
            #expect(refusal(rows: rows) == .rows(keyspace: "default", problem: problem))
        }
        #expect(refusal(rows: [row("a", 2), row("a", 3), row("a", 3, sub: 1), row("b", 1)]) == nil)
    }

    @Test func rowsThatCannotBeDecodedAreRefused() {
        let whole = row("a", 2)
        #expect(
            refusal(rows: [whole, Bytes(whole.dropLast())])
                == .rows(
                    keyspace: "default",
                    problem: .undecodable(row: 1, .truncated(field: "row", offset: whole.count + 1))
                ))
    }

    @Test func statementsThatCannotBeAreRefused() {
        for name in ["", "../x", "A b", String(repeating: "x", count: 65)] {
            guard case .statement = refusal(rows: [], name: name) else {
                Issue.record("accepted a keyspace called \(name)")
                continue
            }
        }
        guard case .statement = refusal(rows: [], revision: 5, compactRevision: 6) else {
            Issue.record("accepted a floor above the revision")
            return
        }
    }

    @Test func aKeyspaceComesOnceAndFromOneCluster() throws {
        let directory = TestDirectory()
        let writer = try ArchiveWriter(
            creating: directory.point, created: testCreated, productVersion: "0.1.0")
        try writer.beginKeyspace(
            "default", revision: .initial, compactRevision: .none, timestamp: .zero,
            clusterID: testCluster)
        try writer.endKeyspace(rowCount: 0, digest: LogicalDigest())
        #expect(throws: ArchiveError.statement(keyspace: "default", reason: "sent twice")) {
            try writer.beginKeyspace(
                "default", revision: .initial, compactRevision: .none, timestamp: .zero,
                clusterID: testCluster)
        }

        let other = TestDirectory()
        let second = try ArchiveWriter(
            creating: other.point, created: testCreated, productVersion: "0.1.0")
        try second.beginKeyspace(
            "default", revision: .initial, compactRevision: .none, timestamp: .zero,
            clusterID: testCluster)
        try second.endKeyspace(rowCount: 0, digest: LogicalDigest())
        #expect(
            throws: ArchiveError.statement(
                keyspace: "fhir", reason: "sent by cluster 7, other keyspaces by another cluster")
        ) {
            try second.beginKeyspace(
                "fhir", revision: .initial, compactRevision: .none, timestamp: .zero,
                clusterID: ClusterID(7))
        }
    }

    @Test func nothingIsOverwritten() throws {
        let directory = TestDirectory()
        _ = try smallPoint(at: directory.point)
        let manifest = directory.read("manifest.json")
        #expect(throws: ArchiveError.directoryNotEmpty(path: directory.point)) {
            try createPoint(at: directory.point, [TestKeyspace(name: "default", versions: [])])
        }
        #expect(directory.read("manifest.json") == manifest)
        #expect(ArchiveVerifier.verify(directory: directory.point).isValid)
    }

    @Test func anObjectNeverReplacesAnother() throws {
        let directory = TestDirectory()
        let made = try ArchiveDirectory.create(at: directory.point)
        try made.create(object: "x", [1])
        #expect(
            throws: ArchiveError.file(
                operation: "create", path: directory.point + "/x", errno: EEXIST)
        ) { try made.create(object: "x", [2]) }
        #expect(directory.read("x") == [1])
        #expect(TestDirectory.names(directory.point) == ["x"])
    }

    @Test func anEmptyDirectoryIsTaken() throws {
        let directory = TestDirectory()
        try createPoint(at: directory.root, [TestKeyspace(name: "default", versions: [])])
        #expect(ArchiveVerifier.verify(directory: directory.root).isValid)
    }

    @Test func placesWhereNothingCanBeCreatedAreNamedWithTheReason() throws {
        let directory = TestDirectory()
        let below = directory.root + "/absent/point"
        #expect(throws: ArchiveError.file(operation: "create", path: below, errno: ENOENT)) {
            try createPoint(at: below, [])
        }
        #expect(
            ArchiveError.file(operation: "create", path: below, errno: ENOENT).description
                == "cannot create \(below): No such file or directory")
        _ = try ArchiveDirectory.create(at: directory.point)
        directory.write("file", [])
        let file = directory.point + "/file"
        #expect(throws: ArchiveError.file(operation: "open", path: file, errno: ENOTDIR)) {
            try createPoint(at: file, [])
        }
    }
}
