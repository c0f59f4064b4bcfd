import ArgumentParser
import RecordModel
import SnapshotArchive

/// Needs no cluster. Reads every byte of DIR; prints what it holds, or each thing that is wrong
/// with it, and then exits with 1.
struct SnapshotVerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Checks a recovery point without a cluster.")

    @OptionGroup var output: OutputOptions
    @Option(
        name: .customLong("manifest-sha256"),
        help: "What `create` printed. Without it only accidents are found, not forgery.")
    var manifest: String?
    @Argument(help: "The recovery point.")
    var directory: String

    private struct Keyspace: Encodable {
        var name: String
        var revision: Int64
        var records: UInt64
        var versions: UInt64
        var bytes: UInt64
        var digest: String
    }

    private struct Answer: Encodable {
        var valid: Bool
        var manifest: String?
        var keyspaces: [Keyspace]
        var problems: [String]
        enum CodingKeys: String, CodingKey {
            case valid, keyspaces, problems
            case manifest = "manifest_sha256"
        }
    }

    func validate() throws { _ = try Self.digest(manifest) }

    static func digest(_ text: String?) throws -> SHA256Digest? {
        guard let text else { return nil }
        guard let digest = SHA256Digest(hex: text) else {
            throw ValidationError("--manifest-sha256 is 64 hexadecimal digits")
        }
        return digest
    }

    func run() async throws {
        let report = ArchiveVerifier.verify(
            directory: directory, expectedManifest: try Self.digest(manifest))
        let keyspaces = report.keyspaces.map {
            Keyspace(
                name: $0.name, revision: $0.revision.rawValue, records: $0.records,
                versions: $0.versions, bytes: $0.bytes, digest: "\($0.digest)")
        }
        var problems = report.problems.map { "\($0)" }
        if report.problemsOmitted > 0 { problems.append("and \(report.problemsOmitted) more") }
        let digest = report.manifestDigest.map { "\($0)" }
        var rows = keyspaces.map {
            [
                $0.name, "\($0.revision)", "\($0.records)", "\($0.versions)", "\($0.bytes)",
                $0.digest,
            ]
        }
        if let digest { rows.append(["manifest sha256 \(digest)"]) }
        rows += problems.map { ["PROBLEM \($0)"] }
        rows.append([report.isValid ? "valid" : "NOT VALID"])
        try output.print(
            columns: ["KEYSPACE", "REVISION", "RECORDS", "VERSIONS", "BYTES", "DIGEST"], rows: rows,
            json: Answer(
                valid: report.isValid, manifest: digest, keyspaces: keyspaces, problems: problems))
        if !report.isValid { throw ExitCode(1) }
    }
}
