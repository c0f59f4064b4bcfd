import Primitives
import RecordModel

/// Reads a recovery point whole and says everything that is wrong with it. Needs no cluster.
package enum ArchiveVerifier {
    /// Blocks until every byte has been read; holds the manifest and one pack, compressed and not,
    /// in memory.
    ///
    /// - Parameter expectedManifest: what the manifest's SHA-256 must be, from a place that whoever
    ///   can write to the directory cannot reach. Without it only accidents are found, not forgery.
    package static func verify(
        directory path: String, expectedManifest: SHA256Digest? = nil
    ) -> VerificationReport {
        var verification = Verification(path: path)
        verification.run(expectedManifest: expectedManifest)
        return verification.report
    }
}

/// One run over one directory. Each step adds its problems and lets the next steps do what they
/// still can.
private struct Verification {
    var report: VerificationReport
    /// The digests that the manifest names.
    private var listed: Set<SHA256Digest> = []

    init(path: String) { report = VerificationReport(directory: path) }

    mutating func run(expectedManifest: SHA256Digest?) {
        let directory: ArchiveDirectory
        do throws(ArchiveError) {
            directory = try ArchiveDirectory.open(at: report.directory)
            try checkNames(in: directory)
        } catch {
            return add(error, file: ".")
        }
        checkManifest(in: directory, expectedManifest: expectedManifest)
        let packs: ArchiveDirectory
        let names: [String]
        do throws(ArchiveError) {
            packs = try directory.open(subdirectory: ArchiveLayout.packs)
            names = try packs.names()
        } catch {
            return add(error, file: ArchiveLayout.packs)
        }
        guard let manifest = report.manifest else {
            return checkHashes(of: names, in: packs)
        }
        for keyspace in manifest.keyspaces {
            listed.formUnion(keyspace.packs.map(\.digest))
        }
        checkUnlisted(names, in: packs)
        for keyspace in manifest.keyspaces { check(keyspace, in: packs) }
    }

    // MARK: Names

    private mutating func checkNames(in directory: ArchiveDirectory) throws(ArchiveError) {
        let known = [ArchiveLayout.manifest, ArchiveLayout.manifestDigest, ArchiveLayout.packs]
        for name in try directory.names() where !known.contains(name) {
            addUnexpected(name, name: name)
        }
    }

    private mutating func addUnexpected(_ file: String, name: String) {
        report.add(
            .unexpected, file: file,
            name.hasPrefix(ArchiveLayout.partialPrefix)
                ? "left by a creation that did not end" : "not a part of the recovery point")
    }

    /// Files that the manifest does not name; of packs under another name it says which they are.
    private mutating func checkUnlisted(_ names: [String], in packs: ArchiveDirectory) {
        for name in names {
            if let digest = ArchiveLayout.packDigest(name: name), listed.contains(digest) {
                continue
            }
            let file = "\(ArchiveLayout.packs)/\(name)"
            if let found = try? digest(of: name, in: packs), listed.contains(found) {
                report.add(
                    .unexpected, file: file,
                    "holds the content of \(ArchiveLayout.packPath(found)) under another name")
            } else {
                addUnexpected(file, name: name)
            }
        }
    }

    // MARK: Manifest

    private mutating func checkManifest(
        in directory: ArchiveDirectory, expectedManifest: SHA256Digest?
    ) {
        let file: ManifestFile
        do throws(ArchiveError) {
            file = try ManifestFile(in: directory)
        } catch {
            return add(error, file: ArchiveLayout.manifest)
        }
        report.manifestDigest = file.digest
        do throws(ArchiveError) {
            try file.expect(expectedManifest, in: directory)
        } catch {
            add(error, file: ArchiveLayout.manifest)
        }
        do throws(ArchiveError) {
            try file.expectDigestFile(in: directory)
        } catch {
            if case .damaged(_, let reason) = error {
                report.add(.altered, file: ArchiveLayout.manifest, reason)
            } else {
                add(error, file: ArchiveLayout.manifestDigest)
            }
        }
        do throws(ArchiveError) {
            report.manifest = try file.decoded(in: directory)
        } catch {
            add(error, file: ArchiveLayout.manifest)
        }
    }

    // MARK: Packs

    private func digest(
        of name: String, in packs: ArchiveDirectory
    ) throws(ArchiveError) -> SHA256Digest {
        try SHA256Digest(
            of: try packs.read(object: name, limit: ArchiveLimits.packFileBytesMax))
    }

    /// Without a manifest: at least whether each pack's content is what its name says.
    private mutating func checkHashes(of names: [String], in packs: ArchiveDirectory) {
        for name in names {
            let file = "\(ArchiveLayout.packs)/\(name)"
            guard let stated = ArchiveLayout.packDigest(name: name) else {
                addUnexpected(file, name: name)
                continue
            }
            do throws(ArchiveError) {
                let found = try digest(of: name, in: packs)
                if found != stated {
                    report.add(.altered, file: file, "its SHA-256 is \(found), not its name")
                }
            } catch {
                add(error, file: file)
            }
        }
    }

    private mutating func check(_ keyspace: Manifest.Keyspace, in packs: ArchiveDirectory) {
        var sequence = RowSequence(cut: keyspace.revision)
        var isWhole = true
        var rowsStated: UInt64 = 0
        for (position, entry) in keyspace.packs.enumerated() {
            rowsStated += entry.rowCount
            let file = ArchiveLayout.packPath(entry.digest)
            do throws(PackCheck.Failure) {
                let rows = try PackCheck.rows(
                    of: entry, keyspace: keyspace.name, sequence: UInt64(position), in: packs)
                do throws(RowProblem) {
                    try PackCheck.take(rows, of: entry, into: &sequence)
                    continue
                } catch {
                    add(error, file: file)
                }
            } catch {
                add(error, entry: entry)
            }
            isWhole = false
            sequence.resume(atRow: rowsStated)
        }
        guard isWhole else { return }
        precondition(
            sequence.rowCount == keyspace.rowCount,
            "\(sequence.rowCount) rows in packs of \(keyspace.rowCount)")
        guard sequence.digest == keyspace.digest else {
            report.add(
                .digestMismatch, file: ArchiveLayout.manifest,
                "keyspace \(keyspace.name): digest \(keyspace.digest) is stated, the rows have "
                    + "\(sequence.digest)")
            return
        }
        report.keyspaces.append(
            VerificationReport.KeyspaceTotals(
                name: keyspace.name, revision: keyspace.revision,
                compactRevision: keyspace.compactRevision, timestamp: keyspace.timestamp,
                records: sequence.livingKeys, versions: sequence.rowCount,
                packs: keyspace.packs.count, bytes: keyspace.bytes,
                uncompressedBytes: keyspace.uncompressedBytes, digest: sequence.digest))
    }

    // MARK: Problems

    private mutating func add(_ failure: PackCheck.Failure, entry: Manifest.Pack) {
        let file = ArchiveLayout.packPath(entry.digest)
        switch failure {
        case .file(let error): add(error, file: file)
        case .altered(let found, let bytes):
            if listed.contains(found) {
                report.add(
                    .misplaced, file: file,
                    "holds the content of \(ArchiveLayout.packPath(found))")
            } else if bytes != Int(entry.bytes) {
                report.add(
                    bytes < Int(entry.bytes) ? .truncated : .tooLarge, file: file,
                    "has \(bytes) bytes, the manifest states \(entry.bytes)")
            } else {
                report.add(.altered, file: file, "its SHA-256 is \(found), not its name")
            }
        case .content(let problem):
            let kind: VerificationReport.Problem.Kind =
                switch problem {
                case .malformed: .malformed
                case .misplaced: .misplaced
                case .unsupportedVersion: .unsupportedVersion
                }
            report.add(kind, file: file, problem.description)
        }
    }

    private mutating func add(_ problem: RowProblem, file: String) {
        if case .count = problem {
            report.add(.rowCountMismatch, file: file, problem.description)
        } else {
            report.add(.rows, file: file, problem.description)
        }
    }

    private mutating func add(_ error: ArchiveError, file: String) {
        let kind: VerificationReport.Problem.Kind
        switch error {
        case .noManifest: kind = .missing
        case .file where error.isMissingFile: kind = .missing
        case .notRegularFile: kind = .notRegularFile
        case .tooLarge: kind = .tooLarge
        case .damaged: kind = .malformed
        case .unsupportedVersion: kind = .unsupportedVersion
        case .unexpectedManifest: kind = .unexpectedManifest
        case .cryptography: kind = .cryptography
        default: kind = .unreadable
        }
        if case .noManifest = error {
            report.add(kind, file: file, "is missing: this is not a complete recovery point")
        } else {
            report.add(kind, file: file, error.reason)
        }
    }
}
