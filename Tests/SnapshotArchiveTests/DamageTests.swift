import Glibc
import Primitives
import RecordModel
import Testing

@testable import SnapshotArchive

/// Accidents that befall a recovery point's files. `verify` names each file; the reader hands out
/// nothing of it.
@Suite struct DamageTests {
    private func verify(_ directory: TestDirectory) -> VerificationReport {
        ArchiveVerifier.verify(directory: directory.point)
    }

    private func readable(_ directory: TestDirectory) -> Bool {
        do throws(ArchiveError) {
            for name in ["system", "default", "fhir"] { _ = try readAll(directory.point, name) }
            return true
        } catch {
            return false
        }
    }

    /// A recovery point whose files are small enough to hurt at every byte.
    private func tinyPoint() throws -> TestDirectory {
        let directory = TestDirectory()
        try createPoint(
            at: directory.point,
            ["system", "default", "fhir"].map { name in
                TestKeyspace(
                    name: name, revision: Revision(9),
                    versions: name == "fhir" ? [put("a", at: 2), put("b", at: 3)] : [])
            })
        return directory
    }

    @Test func everyFlippedBitOfAPackIsFound() throws {
        let directory = try tinyPoint()
        let pack = try #require(directory.packs.first)
        let whole = directory.read(pack)
        #expect(readable(directory))
        for position in whole.indices {
            for bit in 0..<8 {
                var damaged = whole
                damaged[position] ^= 1 << bit
                directory.write(pack, damaged)
                let report = verify(directory)
                #expect(
                    report.problems.map(\.kind) == [.altered], "byte \(position), bit \(bit)")
                #expect(report.problems.first?.file == pack)
                #expect(report.keyspaces.map(\.name) == ["system", "default"])
            }
            #expect(!readable(directory), "byte \(position)")
        }
        directory.write(pack, whole)
        #expect(verify(directory).isValid)
    }

    @Test(arguments: ["manifest.json", "manifest.sha256"])
    func everyFlippedByteOfTheManifestIsFound(file: String) throws {
        let directory = try tinyPoint()
        let whole = directory.read(file)
        for position in whole.indices {
            var damaged = whole
            damaged[position] ^= 1 << (position % 8)
            directory.write(file, damaged)
            let report = verify(directory)
            #expect(
                report.names(.altered, "manifest.json"), "byte \(position): \(report.problems)")
            #expect(!readable(directory), "byte \(position)")
        }
    }

    @Test func everyTruncationIsFound() throws {
        let directory = try tinyPoint()
        let pack = try #require(directory.packs.first)
        for (file, kind, named) in [
            (pack, VerificationReport.Problem.Kind.truncated, pack),
            ("manifest.json", .altered, "manifest.json"),
            ("manifest.sha256", .altered, "manifest.json"),
        ] {
            let whole = directory.read(file)
            for length in 0..<whole.count {
                directory.write(file, Bytes(whole.prefix(length)))
                #expect(verify(directory).names(kind, named), "\(file) cut to \(length)")
                #expect(!readable(directory))
            }
            directory.write(file, whole)
        }
        #expect(verify(directory).isValid)
    }

    @Test func bytesAddedToAFileAreFound() throws {
        let directory = try tinyPoint()
        let pack = try #require(directory.packs.first)
        for (file, kind, named) in [
            (pack, VerificationReport.Problem.Kind.tooLarge, pack),
            ("manifest.json", .altered, "manifest.json"),
            ("manifest.sha256", .altered, "manifest.json"),
        ] {
            let whole = directory.read(file)
            directory.write(file, whole + [0x0A])
            #expect(verify(directory).names(kind, named))
            #expect(!readable(directory))
            directory.write(file, whole)
        }
    }

    @Test func everyMissingFileIsNamed() throws {
        let directory = TestDirectory()
        _ = try smallPoint(at: directory.point)
        for file in directory.packs + ["manifest.sha256", "manifest.json"] {
            let whole = directory.read(file)
            directory.remove(file)
            #expect(verify(directory).problems.map(\.kind) == [.missing])
            #expect(verify(directory).problems.first?.file == file)
            #expect(!readable(directory))
            directory.write(file, whole)
        }
        #expect(verify(directory).isValid)
    }

    @Test func swappedFilesAreBothNamed() throws {
        let directory = TestDirectory()
        _ = try smallPoint(at: directory.point)
        let (one, other) = (directory.packs[0], directory.packs[1])
        directory.rename(one, "spare")
        directory.rename(other, one)
        directory.rename("spare", other)
        let report = verify(directory)
        #expect(report.problems.map(\.kind) == [.misplaced, .misplaced])
        #expect(Set(report.problems.map(\.file)) == [one, other])
        #expect(report.problems.contains { $0.reason == "holds the content of \(one)" })
        #expect(!readable(directory))
    }

    @Test func oneFilesContentTwiceIsNamed() throws {
        let directory = TestDirectory()
        _ = try smallPoint(at: directory.point)
        directory.write(directory.packs[0], directory.read(directory.packs[1]))
        let report = verify(directory)
        #expect(report.problems.map(\.kind) == [.misplaced])
        #expect(report.problems.first?.file == directory.packs[0])
    }

    @Test func aRenamedPackIsFoundUnderItsNewName() throws {
        let directory = TestDirectory()
        _ = try smallPoint(at: directory.point)
        let pack = directory.packs[2]
        directory.rename(pack, "packs/backup.pack")
        let report = verify(directory)
        #expect(report.names(.missing, pack))
        #expect(
            report.problems.contains {
                $0.kind == .unexpected && $0.file == "packs/backup.pack"
                    && $0.reason == "holds the content of \(pack) under another name"
            })
        #expect(report.problems.count == 2)
    }

    @Test func addedFilesAreNamedWithoutWritingToATerminal() throws {
        let directory = TestDirectory()
        _ = try smallPoint(at: directory.point)
        directory.write("notes.txt", [])
        directory.write("packs/\(String(repeating: "0", count: 64)).pack", [])
        directory.write("packs/\u{1B}[2J.pack", [])
        let files = verify(directory).problems.filter { $0.kind == .unexpected }.map(\.file)
        #expect(
            files == [
                "notes.txt", "packs/\\u{1b}[2J.pack",
                "packs/\(String(repeating: "0", count: 64)).pack",
            ])
        #expect(verify(directory).problems.count == 3)
    }

    @Test func everyProblemIsNamedNotOnlyTheFirst() throws {
        let directory = TestDirectory()
        _ = try smallPoint(at: directory.point)
        let packs = directory.packs
        directory.remove(packs[0])
        directory.write(packs[1], Bytes(directory.read(packs[1]).dropLast()))
        var bytes = directory.read(packs[2])
        bytes[bytes.count - 1] ^= 1
        directory.write(packs[2], bytes)
        directory.write("extra", [])
        directory.remove("manifest.sha256")
        let report = verify(directory)
        #expect(report.names(.missing, packs[0]))
        #expect(report.names(.truncated, packs[1]))
        #expect(report.names(.altered, packs[2]))
        #expect(report.names(.unexpected, "extra"))
        #expect(report.names(.missing, "manifest.sha256"))
        #expect(report.problems.count == 5)
    }

    @Test func packsAreStillHashedWithoutAManifest() throws {
        let directory = try tinyPoint()
        let pack = try #require(directory.packs.first)
        directory.write(pack, [1, 2, 3])
        directory.write("manifest.json", Bytes("{".utf8))
        #expect(verify(directory).names(.altered, pack))
    }

    @Test func linksPipesAndDirectoriesAreNotRead() throws {
        let directory = try tinyPoint()
        let pack = try #require(directory.packs.first)
        directory.rename(pack, "../outside")
        #expect(symlink("../../outside", "\(directory.point)/\(pack)") == 0)
        #expect(verify(directory).problems.map(\.kind) == [.notRegularFile])
        #expect(!readable(directory))
        directory.remove(pack)
        #expect(mkfifo("\(directory.point)/\(pack)", 0o600) == 0)
        #expect(verify(directory).problems.map(\.kind) == [.notRegularFile])
        #expect(!readable(directory))
        directory.remove(pack)
        #expect(mkdir("\(directory.point)/\(pack)", 0o700) == 0)
        #expect(verify(directory).problems.map(\.kind) == [.notRegularFile])
        #expect(!readable(directory))
    }

    @Test func aLinkInPlaceOfTheManifestOrThePacksIsNotFollowed() throws {
        let directory = try tinyPoint()
        directory.rename("manifest.json", "../elsewhere")
        #expect(symlink("../elsewhere", directory.point + "/manifest.json") == 0)
        #expect(verify(directory).names(.notRegularFile, "manifest.json"))
        directory.remove("manifest.json")
        directory.rename("../elsewhere", "manifest.json")
        directory.rename("packs", "../elsewhere")
        #expect(symlink("../elsewhere", directory.point + "/packs") == 0)
        #expect(verify(directory).names(.unreadable, "packs"))
        #expect(!readable(directory))
    }

    @Test func aFileBeyondTheLimitIsNotReadIntoMemory() throws {
        let directory = try tinyPoint()
        let pack = try #require(directory.packs.first)
        #expect(truncate("\(directory.point)/\(pack)", 1 << 42) == 0)
        #expect(verify(directory).names(.tooLarge, pack))
        #expect(!readable(directory))
    }

    @Test func whatIsNotADirectoryIsAProblemOfTheDirectory() {
        let directory = TestDirectory()
        let report = verify(directory)
        #expect(report.names(.missing, "."))
        #expect(report.problems.first?.reason.hasSuffix("No such file or directory") == true)
    }

    @Test func problemsBeyondTheLimitAreCounted() throws {
        let directory = try tinyPoint()
        for number in 0..<(ArchiveLimits.problemsMax + 5) {
            directory.write("packs/\(number)", [])
        }
        let report = verify(directory)
        #expect(report.problems.count == ArchiveLimits.problemsMax)
        #expect(report.problemsOmitted == 5)
    }

    @Test func anUnexpectedManifestIsNamed() throws {
        let (one, other) = (TestDirectory(), TestDirectory())
        let digest = try createPoint(
            at: one.point, [TestKeyspace(name: "default", versions: [put("a", at: 2)])])
        let forged = try createPoint(
            at: other.point, [TestKeyspace(name: "default", versions: [put("b", at: 2)])])
        // Whole in itself, and not the one whose digest was kept.
        #expect(ArchiveVerifier.verify(directory: other.point).isValid)
        let report = ArchiveVerifier.verify(directory: other.point, expectedManifest: digest)
        #expect(report.problems.map(\.kind) == [.unexpectedManifest])
        #expect(
            throws: ArchiveError.unexpectedManifest(
                path: other.point + "/manifest.json", expected: digest, found: forged)
        ) { try ArchiveReader(opening: other.point, expectedManifest: digest) }
    }

    @Test func aPackAlteredAfterOpeningIsRefusedBeforeItsRows() throws {
        let directory = TestDirectory()
        let keyspaces = try smallPoint(at: directory.point)
        let reader = try ArchiveReader(opening: directory.point)
        var rows = try reader.rows(of: "default", chunkBytesMax: 100)
        _ = try #require(try rows.next())
        let second = ArchiveLayout.packPath(reader.manifest.keyspaces[1].packs[1].digest)
        let whole = directory.read(second)
        var bytes = whole
        bytes[bytes.count - 3] ^= 4
        directory.write(second, bytes)
        var failure: ArchiveError?
        var handedOut: UInt64 = 1
        do throws(ArchiveError) {
            while let chunk = try rows.next() { handedOut = max(handedOut, chunk.sequence) }
        } catch {
            failure = error
        }
        guard case .damaged(let path, _) = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        #expect(path == "\(directory.point)/\(second)")
        // What has failed stays failed, even when the file is well again.
        directory.write(second, whole)
        #expect(throws: try #require(failure)) { try rows.next() }
        #expect(keyspaces[1].versions.count > Int(handedOut))
    }
}
