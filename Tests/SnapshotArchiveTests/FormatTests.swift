import Primitives
import RecordModel
import Testing

@testable import SnapshotArchive

@Suite struct FormatTests {
    /// FIPS 180-4 examples, as NIST publishes them.
    @Test func sha256() throws {
        #expect(
            try SHA256Digest(of: Bytes()).description
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            try SHA256Digest(of: Bytes("abc".utf8)).description
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func digestsHaveOneSpelling() {
        let hex = String(repeating: "0f", count: 32)
        #expect(SHA256Digest(hex: hex)?.description == hex)
        for wrong in ["", hex.uppercased(), String(hex.dropLast()), hex + "00", "../" + hex] {
            #expect(SHA256Digest(hex: wrong) == nil)
        }
    }

    /// The pack of docs/formats/recovery-point.md, "Worked example": it can be read for ever, and
    /// its header is still written so. (What zstd makes of the rows is zstd's to change.)
    @Test func packOfTheWorkedExample() throws {
        let rows = Bytes([put("a", at: 2), put("b", at: 3)].flatMap { VersionRow.encode($0) })
        #expect(
            Hex.encode(rows)
                == "1101610002001400010100000576616c7565" + "1101620003001e00010100000576616c7565")
        let pack = PackFile(keyspace: "fhir", sequence: 0, rowCount: 2, rows: rows)
        let header =
            "5350494e4550414b" + "0100" + "3c00" + "00" + "01" + "0400" + "0000000000000000"
            + "0200000000000000" + "2400000000000000" + "2800000000000000" + "38a7d6e2"
            + "66686972" + "9540f3bc"
        let frame =
            "28b52ffd2024fd0000c81101610002001400010100000576616c75651101620003001e01009531c7"
        let written = try pack.encoded()
        #expect(Hex.encode(written[..<40]) == header.prefix(80))
        #expect(Hex.encode(written[48..<56]) == header.dropFirst(96).prefix(16))

        let file = try #require(Hex.decode(header + frame))
        let entry = Manifest.Pack(
            digest: try SHA256Digest(of: file), bytes: 100, uncompressedBytes: 36, rowCount: 2,
            firstKey: Bytes("a".utf8), lastKey: Bytes("b".utf8))
        #expect(
            entry.digest.description
                == "5f1022520e0119607a70c41b7f4c759f2b946665c2ca7d0ae7e22a1b93948173")
        #expect(try PackFile(file, entry: entry, keyspace: "fhir", sequence: 0) == pack)

        var digest = LogicalDigest()
        digest.add(row: rows[..<18])
        digest.add(row: rows[18...])
        let timestamp = HybridTimestamp(microseconds: 1_763_836_800_000_000, logical: 3)
        let manifest = Manifest(
            created: testCreated, clusterID: testCluster, productVersion: "0.1.0",
            keyspaces: [
                Manifest.Keyspace(
                    name: "default", revision: Revision(1), compactRevision: .none,
                    timestamp: timestamp, rowCount: 0, digest: LogicalDigest(), packs: []),
                Manifest.Keyspace(
                    name: "fhir", revision: Revision(9), compactRevision: .none,
                    timestamp: timestamp, rowCount: 2, digest: digest, packs: [entry]),
            ])
        #expect(
            try SHA256Digest(of: manifest.encoded).description
                == "76718e128326dcba5dcc52bbd8117bd237aa0b93783a0d273b925927971215a8")
    }

    @Test(arguments: ["\"\\\u{1}é€😀/\n", "", "plain"])
    func jsonStringsComeBack(text: String) throws {
        let value = JSONText.array([.string(text), .integer(.max), .null, .object([])])
        #expect(try JSONText(value.text) == value)
    }

    @Test(arguments: [
        "", "{", "[1,]", "[1 2]", "{\"a\" 1}", "{a: 1}", "nul", "true", "1.5", "1e3", "-1", "01",
        "\"a", "\"\\x\"", "\"\\u12\"", "\"\n\"", "[] []", "{\"a\": 1, \"a\": 1}", "\u{FEFF}{}",
        "\"\\ud83d\\ude00\"", "\"\\u+123\"",
    ])
    func jsonThatTheFormatDoesNotHaveIsRefused(text: String) {
        #expect(throws: JSONText.Problem.self) { try JSONText(Bytes(text.utf8)) }
    }

    @Test func jsonValuesAreCounted() throws {
        let text = Bytes("[0, [1, null], {\"a\": 2}]".utf8)
        #expect(throws: Never.self) { try JSONText(text, valuesMax: 7) }
        #expect(throws: JSONText.Problem(reason: "too many values", offset: 20)) {
            try JSONText(text, valuesMax: 6)
        }
    }

    @Test func jsonStringsThatAreNotUTF8AreRefused() {
        #expect(throws: JSONText.Problem.self) { try JSONText([0x22, 0xC3, 0x28, 0x22]) }
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func anyBytesAreAManifestOrAProblem(seed: UInt64) throws {
        print("manifest mutations: seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let directory = TestDirectory()
        _ = try smallPoint(at: directory.point)
        let whole = directory.read("manifest.json")
        let manifest = try Manifest(decoding: whole)
        #expect(manifest.encoded == whole)
        var decoded = 0
        for _ in 0..<2_000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: position)
                default:
                    bytes.insert(UInt8.random(in: 0x20...0x7E, using: &generator), at: position)
                }
            }
            if let other = try? Manifest(decoding: bytes) {
                decoded += 1
                // Whatever was accepted is within the format.
                #expect(try Manifest(decoding: other.encoded) == other)
            }
        }
        #expect(decoded < 2_000)
    }
}
