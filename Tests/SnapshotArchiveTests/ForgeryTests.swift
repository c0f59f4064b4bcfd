import Primitives
import RecordModel
import Testing

@testable import SnapshotArchive

/// Recovery points whose hashes are all right and whose content is not: what a defective writer, or
/// someone who can rewrite the whole directory, would leave.
@Suite struct ForgeryTests {
    /// A recovery point made by hand: packs as they are given, described as they are given.
    private final class Forgery {
        let directory = TestDirectory()
        var packs: [Manifest.Pack] = []
        var keyspace: Manifest.Keyspace

        init() throws {
            let made = try ArchiveDirectory.create(at: directory.point)
            _ = try made.create(subdirectory: ArchiveLayout.packs)
            keyspace = Manifest.Keyspace(
                name: "default", revision: Revision(100), compactRevision: .none,
                timestamp: .zero, rowCount: 0, digest: LogicalDigest(), packs: [])
        }

        func add(_ file: Bytes, rows: [RecordVersion], uncompressedBytes: Int? = nil) throws {
            let digest = try SHA256Digest(of: file)
            directory.write(ArchiveLayout.packPath(digest), file)
            let encoded = rows.map { VersionRow.encode($0) }
            keyspace.packs.append(
                Manifest.Pack(
                    digest: digest, bytes: UInt64(file.count),
                    uncompressedBytes: UInt64(uncompressedBytes ?? encoded.joined().count),
                    rowCount: UInt64(rows.count), firstKey: rows.first?.key ?? [],
                    lastKey: rows.last?.key ?? []))
            keyspace.rowCount += UInt64(rows.count)
            for row in encoded { keyspace.digest.add(row: row) }
        }

        func pack(
            _ rows: [RecordVersion], sequence: UInt64 = 0, keyspace: String = "default"
        ) throws -> Bytes {
            try PackFile(
                keyspace: keyspace, sequence: sequence, rowCount: UInt64(rows.count),
                rows: Bytes(rows.flatMap { VersionRow.encode($0) })
            ).encoded()
        }

        var manifest: Manifest {
            Manifest(
                created: testCreated, clusterID: testCluster, productVersion: "0.1.0",
                keyspaces: [keyspace])
        }

        /// The problems, and the reader's error, which must be there when there are problems.
        func verify(manifest bytes: Bytes? = nil) throws -> [VerificationReport.Problem] {
            let bytes = bytes ?? manifest.encoded
            directory.write("manifest.json", bytes)
            directory.write(
                "manifest.sha256",
                Bytes(ArchiveLayout.digestLine(try SHA256Digest(of: bytes)).utf8))
            let problems = ArchiveVerifier.verify(directory: directory.point).problems
            var isReadable = true
            do throws(ArchiveError) {
                _ = try readAll(directory.point, "default")
            } catch {
                isReadable = false
            }
            #expect(isReadable == problems.isEmpty, "\(problems)")
            return problems
        }

        func verifyManifest(_ change: (String) -> String) throws -> [VerificationReport.Problem] {
            let text = String(decoding: manifest.encoded, as: UTF8.self)
            let changed = change(text)
            #expect(changed != text)
            return try verify(manifest: Bytes(changed.utf8))
        }
    }

    private func problems(
        _ packs: [[RecordVersion]], _ change: (inout Manifest.Keyspace) -> Void = { _ in }
    ) throws -> [VerificationReport.Problem] {
        let forgery = try Forgery()
        for (sequence, rows) in packs.enumerated() {
            try forgery.add(forgery.pack(rows, sequence: UInt64(sequence)), rows: rows)
        }
        change(&forgery.keyspace)
        return try forgery.verify()
    }

    @Test func theForgeIsGoodWhenNothingIsForged() throws {
        #expect(try problems([[put("a", at: 2)], [put("b", at: 3)]]) == [])
    }

    @Test func rowsAgainstTheOrderAreNamed() throws {
        let (a, b, c) = (put("a", at: 2), put("b", at: 3), put("c", at: 4))
        for (packs, reason) in [
            ([[b, a]], "row 1 is out of order"),
            ([[b], [a], [c]], "row 1 is out of order"),
            ([[a, b], [b, c]], "row 2 repeats the one before it"),
            ([[a, a]], "row 1 repeats the one before it"),
            ([[a], [put("b", at: 101)]], "row 1 is of revision 101, above the cut at 100"),
        ] {
            let found = try problems(packs)
            #expect(found.map(\.kind) == [.rows])
            #expect(found.map(\.reason) == [reason])
            #expect(found.allSatisfy { $0.file.hasPrefix("packs/") })
        }
    }

    @Test func rowsAfterADamagedPackAreStillNumbered() throws {
        let forgery = try Forgery()
        let packs = [
            [put("a", at: 2), put("b", at: 2)], [put("c", at: 2)],
            [put("e", at: 2), put("d", at: 2)],
        ]
        for (sequence, rows) in packs.enumerated() {
            try forgery.add(forgery.pack(rows, sequence: UInt64(sequence)), rows: rows)
        }
        forgery.directory.remove(ArchiveLayout.packPath(forgery.keyspace.packs[1].digest))
        let found = try forgery.verify()
        #expect(found.map(\.kind) == [.missing, .rows])
        #expect(found.last?.reason == "row 4 is out of order")
    }

    @Test func statedCountsDigestsAndKeysAreCompared() throws {
        let packs = [[put("a", at: 2), put("b", at: 3)]]
        #expect(try problems(packs) { $0.digest.high ^= 1 }.map(\.kind) == [.digestMismatch])
        #expect(
            try problems(packs) {
                $0.rowCount = 3
                $0.packs[0].rowCount = 3
            }.map(\.reason) == ["the header states 2 rows, the manifest 3"])
        #expect(
            try problems(packs) { $0.packs[0].firstKey = [0] }.map(\.reason)
                == ["row 0 has another key than the manifest states for its pack"])
        #expect(
            try problems(packs) { $0.packs[0].lastKey = [0] }.map(\.reason)
                == ["row 1 has another key than the manifest states for its pack"])
        #expect(try problems(packs) { $0.packs[0].bytes += 1 }.map(\.kind) == [.malformed])
        #expect(
            try problems(packs) { $0.packs[0].uncompressedBytes += 1 }.map(\.kind)
                == [.malformed])
        #expect(
            try problems(packs) { $0.rowCount = 1 }.map(\.reason)
                == ["keyspace default: rowCount 1, its packs hold 2"])
    }

    @Test func headersThatCountOtherwiseThanTheRowsAreNamed() throws {
        let forgery = try Forgery()
        let rows = [put("a", at: 2), put("b", at: 3)]
        let file = try PackFile(
            keyspace: "default", sequence: 0, rowCount: 3,
            rows: Bytes(rows.flatMap { VersionRow.encode($0) })
        ).encoded()
        try forgery.add(file, rows: rows)
        forgery.keyspace.packs[0].rowCount = 3
        forgery.keyspace.rowCount = 3
        #expect(try forgery.verify().map(\.kind) == [.rowCountMismatch])
    }

    @Test func packsOutOfTheirPlaceAreNamed() throws {
        let packs = [[put("a", at: 2)], [put("b", at: 3)]]
        let found = try problems(packs) { $0.packs.swapAt(0, 1) }
        #expect(found.map(\.kind) == [.misplaced, .misplaced])
        #expect(found.first?.reason == "pack 1 of keyspace default, listed as pack 0")

        let repeated = try problems([[put("a", at: 2)]]) {
            $0.packs.append($0.packs[0])
            $0.rowCount = 2
        }
        #expect(repeated.map(\.reason) == ["pack 0 of keyspace default, listed as pack 1"])

        let forgery = try Forgery()
        try forgery.add(forgery.pack(packs[0], keyspace: "fhir"), rows: packs[0])
        #expect(
            try forgery.verify().map(\.reason)
                == ["pack of keyspace fhir, listed in keyspace default"])
    }

    @Test func rowsThatCannotBeDecodedAreNamed() throws {
        let forgery = try Forgery()
        let row = put("a", at: 2)
        let bytes = Bytes(VersionRow.encode(row).dropLast())
        try forgery.add(
            PackFile(keyspace: "default", sequence: 0, rowCount: 1, rows: bytes).encoded(),
            rows: [row], uncompressedBytes: bytes.count)
        let found = try forgery.verify()
        #expect(found.map(\.kind) == [.rows])
        #expect(found.first?.reason.hasPrefix("row 0 cannot be decoded") == true)
    }

    /// Rewrites a header's bytes and makes its checksum and the hashes right again.
    private func headerProblems(
        _ change: (inout Bytes) -> Void, uncompressedBytes: Int? = nil
    ) throws -> [VerificationReport.Problem] {
        let forgery = try Forgery()
        let rows = [put("a", at: 2)]
        var file = try forgery.pack(rows)
        let headerBytes = PackFile.fixedHeaderBytes + 7 + 4
        let before = file
        change(&file)
        #expect(file != before)
        var checksum = ByteWriter()
        checksum.write(CRC32C.checksum(file[..<(headerBytes - 4)]))
        file.replaceSubrange((headerBytes - 4)..<headerBytes, with: checksum.bytes)
        try forgery.add(file, rows: rows, uncompressedBytes: uncompressedBytes)
        return try forgery.verify()
    }

    @Test func headersThatTheFormatDoesNotHaveAreNamed() throws {
        #expect(try headerProblems { $0[0] = 0 }.map(\.kind) == [.malformed])
        #expect(try headerProblems { $0[10] += 1 }.map(\.kind) == [.malformed])
        // Sealed packs are of a later version.
        #expect(
            try headerProblems { $0[12] = 1 }.map(\.reason)
                == ["pack header: invalid(field: sealing, offset: 12)"])
        #expect(try headerProblems { $0[13] = 2 }.map(\.kind) == [.malformed])
        #expect(try headerProblems { $0[14] += 1 }.map(\.kind) == [.malformed])
        #expect(try headerProblems { $0[40] += 1 }.map(\.kind) == [.malformed])
        #expect(
            try headerProblems { $0[48] ^= 1 }.map(\.reason)
                == ["the rows' checksum does not match"])
        let newer = try headerProblems { $0[8] = 2 }
        #expect(newer.map(\.kind) == [.unsupportedVersion])
        #expect(
            newer.first?.reason
                == "pack of format version 2; this program reads version 1: use a newer one")
    }

    @Test func bytesAfterTheFrameAreNamed() throws {
        let found = try headerProblems { file in
            file.append(contentsOf: [0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0])  // a skippable frame
            file[40] += 8
        }
        #expect(found.map(\.reason) == ["compressed rows: 8 bytes after the frame"])
    }

    @Test func aFrameThatExpandsBeyondWhatIsStatedIsNotExpanded() throws {
        // 64 MiB of zeroes in a few KiB, with a header and manifest that state 100 bytes.
        let frame = try Zstandard.compress(Bytes(repeating: 0, count: 64 << 20))
        #expect(frame.count < 10_000)
        let found = try headerProblems(
            { file in
                file.replaceSubrange((PackFile.fixedHeaderBytes + 11)..., with: frame)
                var sizes = ByteWriter()
                sizes.write(UInt64(100))
                sizes.write(UInt64(frame.count))
                file.replaceSubrange(32..<48, with: sizes.bytes)
            }, uncompressedBytes: 100)
        #expect(
            found.map(\.reason)
                == ["compressed rows: the frame states another size than the header"])
    }

    @Test func aSizeBeyondTheLimitIsRefusedBeforeDecompressing() throws {
        let forgery = try Forgery()
        let rows = [put("a", at: 2)]
        try forgery.add(
            forgery.pack(rows), rows: rows,
            uncompressedBytes: ArchiveLimits.packUncompressedBytesMax + 1)
        #expect(try forgery.verify().map(\.file) == ["manifest.json"])
        let found = try headerProblems({ file in
            file.replaceSubrange(32..<40, with: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0])
        })
        #expect(
            found.map(\.reason)
                == ["pack header: invalid(field: uncompressed bytes, offset: 32)"])
    }

    @Test func manifestsThatTheFormatDoesNotHaveAreNamed() throws {
        let forgery = try Forgery()
        let rows = [put("a", at: 2)]
        try forgery.add(forgery.pack(rows), rows: rows)
        let sha = forgery.keyspace.packs[0].digest.description
        let changes: [(from: String, to: String, reason: String)] = [
            ("\"format\": \"spine-recovery-point\"", "\"format\": \"x\"", "format is not"),
            ("\"formatVersion\": 1", "\"formatVersion\": 0", "formatVersion 0 does not exist"),
            ("\"formatVersion\": 1", "\"formatVersion\": 1.0", "not an integer"),
            ("\"formatVersion\": 1,", "", "formatVersion is missing"),
            ("\"previous\": null", "\"previous\": \"x\"", "previous is not null"),
            ("\"sealing\": null", "\"sealing\": {}", "sealing is not null"),
            ("\"previous\": null", "\"previous\": null, \"x\": null", "x is not a field"),
            ("\"previous\": null", "\"previous\": null, \"previous\": null", "there twice"),
            ("\"revision\": 100", "\"revision\": 9223372036854775808", "not within"),
            ("\"revision\": 100", "\"revision\": 99999999999999999999", "beyond 64 bits"),
            ("\"revision\": 100", "\"revision\": -1", "not a value"),
            ("\"revision\": 100", "\"revision\": 0100", "leading zero"),
            ("\"revision\": 100", "\"revision\": \"100\"", "not an integer"),
            ("\"compactRevision\": 0", "\"compactRevision\": 101", "not within"),
            (sha, "../../../../etc/passwd", "sha256 is not"),
            (sha, sha.uppercased(), "sha256 is not"),
            (sha, sha + "0", "sha256 is not"),
            ("\"name\": \"default\"", "\"name\": \"../x\"", "name is not one"),
            ("\"clusterId\": \"c", "\"clusterId\": \"0", "clusterId is not"),
            ("\"firstKey\": \"61\"", "\"firstKey\": \"6\"", "firstKey is not"),
            ("\"packs\": 1", "\"packs\": 2", "the totals are not"),
            ("\"keyspaces\": [", "\"keyspaces\": {", "is missing"),
            ("\"productVersion\": \"0.1.0\"", "\"productVersion\": \"\\ud800\"", "no character"),
        ]
        for (from, to, reason) in changes {
            let found = try forgery.verifyManifest { text in
                guard let range = text.firstRange(of: from) else { return text }
                return text.replacingCharacters(in: range, with: to)
            }
            #expect(found.map(\.kind) == [.malformed], "\(to)")
            #expect(found.first?.file == "manifest.json")
            #expect(found.first?.reason.contains(reason) == true, "\(found) for \(to)")
        }
    }

    @Test func aManifestOfALaterVersionSaysSo() throws {
        let forgery = try Forgery()
        let found = try forgery.verify(
            manifest: Bytes(
                "{\"format\": \"spine-recovery-point\", \"formatVersion\": 2, \"new\": [{}]}".utf8))
        #expect(found.map(\.kind) == [.unsupportedVersion])
        #expect(
            found.first?.reason
                == "is of format version 2; this program reads version 1: use a newer one")
    }

    @Test func nestingIsBounded() throws {
        let forgery = try Forgery()
        let found = try forgery.verify(
            manifest: Bytes(repeating: UInt8(ascii: "["), count: 1 << 20))
        #expect(found.first?.reason.hasSuffix("nested too deeply") == true)
    }

    @Test func aDigestOfRowsInAnEmptyKeyspaceIsNamed() throws {
        #expect(try problems([]) { $0.digest.low = 1 }.map(\.kind) == [.digestMismatch])
    }
}

extension String {
    fileprivate func replacingCharacters(in range: Range<Index>, with text: String) -> String {
        self[..<range.lowerBound] + text + self[range.upperBound...]
    }
}
