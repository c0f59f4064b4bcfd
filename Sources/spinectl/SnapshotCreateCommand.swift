import ArgumentParser
import Foundation
import Primitives
import RecordModel
import SnapshotArchive
import SpineClient

/// RPC: `spine.v1.Recovery/CreateSnapshot`. Streams a recovery point of keyspaces `default` and
/// `fhir` into DIR, each cut at one revision while writes go on, and prints the manifest's SHA-256:
/// keep it elsewhere, it is what proves DIR later.
struct SnapshotCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Streams a recovery point into a directory.",
        discussion: "The directory must be empty or not there. It holds clear text: protect it.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "Where the recovery point goes.")
    var directory: String

    private struct Keyspace: Encodable {
        var name: String
        var revision: UInt64
        var versions: UInt64
    }

    private struct Answer: Encodable {
        var directory: String
        var manifest: String
        var keyspaces: [Keyspace]
        enum CodingKeys: String, CodingKey {
            case directory, keyspaces
            case manifest = "manifest_sha256"
        }
    }

    private func newWriter() throws -> ArchiveWriter {
        let now = UInt64(Date().timeIntervalSince1970 * 1_000_000)
        return try ArchiveWriter(
            creating: directory, created: HybridTimestamp(microseconds: now),
            productVersion: Spinectl.configuration.version)
    }

    func run() async throws {
        try await connection.run { client in
            do {
                // Made when the cluster answers, so that a cluster that does not leaves nothing behind.
                var begun: ArchiveWriter?
                var keyspaces: [Keyspace] = []
                try await client.createSnapshot { event in
                    let writer = try begun ?? newWriter()
                    begun = writer
                    switch event {
                    case .keyspaceStart(
                        let name, let revision, let compactRevision, let timestamp, let cluster):
                        try writer.beginKeyspace(
                            name, revision: Revision(Int64(clamping: revision)),
                            compactRevision: Revision(Int64(clamping: compactRevision)),
                            timestamp: HybridTimestamp(microseconds: timestamp),
                            clusterID: ClusterID(cluster))
                        keyspaces.append(Keyspace(name: name, revision: revision, versions: 0))
                    case .rows(let bytes, let count):
                        try writer.append(rows: bytes, count: count)
                    case .keyspaceEnd(let count, let digest):
                        guard let digest = LogicalDigest(bytes: digest) else {
                            throw SpineError(
                                code: .protocolViolation,
                                message: "the cluster's digest does not have 16 bytes")
                        }
                        try writer.endKeyspace(rowCount: count, digest: digest)
                        keyspaces[keyspaces.count - 1].versions = count
                    case .end: break
                    }
                }
                guard let writer = begun else {
                    preconditionFailure("a stream that had an end had no beginning")
                }
                let manifest = try writer.finish()
                try output.print(
                    columns: ["KEYSPACE", "REVISION", "VERSIONS"],
                    rows: keyspaces.map { [$0.name, "\($0.revision)", "\($0.versions)"] }
                        + [["manifest sha256 \(manifest)"]],
                    json: Answer(
                        directory: directory, manifest: "\(manifest)", keyspaces: keyspaces))
            } catch let error as ArchiveError {
                complain("\(error)")
                throw ExitCode(1)
            }
        }
    }
}
