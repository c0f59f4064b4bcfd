import Primitives
import RecordModel
import Testing

@testable import SnapshotArchive

@Suite struct RoundTripTests {
    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
    func whatWasWrittenIsVerifiedAndRead(seed: UInt64) throws {
        print("round trip: seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let directory = TestDirectory()
        let packBytesTarget = Int.random(in: 1...20_000, using: &generator)
        let chunkBytesMax = Int.random(in: 1...5_000, using: &generator)
        let keyspaces = [
            TestKeyspace(name: "system", revision: .initial, versions: []),
            TestKeyspace(
                name: "default", compactRevision: Revision(17),
                versions: randomVersions(count: 300, valueBytesMax: 200, using: &generator)),
            TestKeyspace(
                name: "fhir",
                versions: randomVersions(count: 60, valueBytesMax: 9_000, using: &generator)),
        ]
        let digest = try createPoint(
            at: directory.point, keyspaces, packBytesTarget: packBytesTarget, seed: seed)

        let report = ArchiveVerifier.verify(directory: directory.point, expectedManifest: digest)
        #expect(report.problems == [])
        #expect(report.manifestDigest == digest)
        #expect(report.keyspaces.map(\.name) == ["system", "default", "fhir"])
        let reader = try ArchiveReader(opening: directory.point, expectedManifest: digest)
        #expect(reader.manifest.clusterID == testCluster)
        #expect(reader.manifest.created == testCreated)
        for (keyspace, totals) in zip(keyspaces, report.keyspaces) {
            #expect(totals.revision == keyspace.revision)
            #expect(totals.compactRevision == keyspace.compactRevision)
            #expect(totals.timestamp == keyspace.timestamp)
            #expect(totals.versions == UInt64(keyspace.versions.count))
            #expect(totals.records == UInt64(keyspace.livingKeys))
            #expect(totals.uncompressedBytes == UInt64(keyspace.rows.joined().count))
            #expect(totals.digest == keyspace.digest)

            let chunks = try readAll(
                directory.point, keyspace.name, chunkBytesMax: chunkBytesMax)
            #expect(chunks.flatMap(\.rows) == Bytes(keyspace.rows.joined()))
            #expect(chunks.map(\.sequence) == (0..<UInt64(chunks.count)).map { $0 })
            for chunk in chunks {
                let versions = try VersionRow.decodeAll(chunk.rows)
                #expect(UInt64(versions.count) == chunk.rowCount)
                #expect(chunk.rows.count <= chunkBytesMax || versions.count == 1)
            }
        }
    }

    @Test func aPackStaysWithinItsTarget() throws {
        let directory = TestDirectory()
        _ = try smallPoint(at: directory.point)
        let manifest = try ArchiveReader(opening: directory.point).manifest
        let packs = manifest.keyspaces.flatMap(\.packs)
        #expect(packs.count >= 6)
        for pack in packs {
            #expect(pack.uncompressedBytes <= 512 || pack.rowCount == 1)
            #expect(UInt64(directory.read(ArchiveLayout.packPath(pack.digest)).count) == pack.bytes)
        }
        #expect(directory.packs.count == packs.count)
    }

    @Test func aRowLargerThanAChunkAndAPackComesAlone() throws {
        let directory = TestDirectory()
        let large = Bytes(repeating: 7, count: 3 << 20)
        let keyspace = TestKeyspace(
            name: "fhir",
            versions: [
                put("a", at: 2), put("b", at: 3, value: large), put("c", at: 4), put("d", at: 5),
            ])
        try createPoint(at: directory.point, [keyspace], packBytesTarget: 1 << 20)
        let chunks = try readAll(directory.point, "fhir")
        #expect(chunks.map(\.rowCount) == [1, 1, 2])
        #expect(chunks[1].rows == VersionRow.encode(keyspace.versions[1]))
    }

    @Test func anEmptyKeyspaceHasNoPacksAndNoChunks() throws {
        let directory = TestDirectory()
        try createPoint(at: directory.point, [TestKeyspace(name: "default", versions: [])])
        #expect(try readAll(directory.point, "default") == [])
        #expect(directory.packs == [])
        let report = ArchiveVerifier.verify(directory: directory.point)
        #expect(report.isValid)
        #expect(report.keyspaces.first?.versions == 0)
    }

    @Test func theSameRowsMakeTheSameFiles() throws {
        let (one, other) = (TestDirectory(), TestDirectory())
        _ = try smallPoint(at: one.point)
        _ = try smallPoint(at: other.point)
        #expect(one.packs == other.packs)
        #expect(one.read("manifest.json") == other.read("manifest.json"))
    }

    @Test func aKeyspaceThatIsNotThereIsNamed() throws {
        let directory = TestDirectory()
        try createPoint(at: directory.point, [TestKeyspace(name: "default", versions: [])])
        #expect(
            throws: ArchiveError.noSuchKeyspace(path: directory.point, keyspace: "fhir")
        ) { try readAll(directory.point, "fhir") }
    }

    @Test func theManifestsDigestFileIsWhatSha256sumReads() throws {
        let directory = TestDirectory()
        let digest = try createPoint(
            at: directory.point, [TestKeyspace(name: "default", versions: [])])
        #expect(
            String(decoding: directory.read("manifest.sha256"), as: UTF8.self)
                == "\(digest)  manifest.json\n")
    }
}
