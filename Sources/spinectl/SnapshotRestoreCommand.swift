import ArgumentParser
import Primitives
import RecordModel
import SnapshotArchive
import SpineClient

/// RPCs: `spine.v1.Recovery/…`. Takes a recovery point into a running, empty cluster. No keyspace
/// serves before all of them hold every row and the cluster's own count and digest equal the
/// archive's. An interrupted restore is finished, or begun again, by running the same command.
struct SnapshotRestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Restores a recovery point into an empty cluster.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Option(
        name: .customLong("manifest-sha256"),
        help: "What `create` printed. Without it only accidents are found, not forgery.")
    var manifest: String?
    @Flag(help: "Drop what an interrupted restore of another recovery point has brought so far.")
    var discardInterrupted = false
    @Argument(help: "The recovery point.")
    var directory: String

    func validate() throws { _ = try SnapshotVerifyCommand.digest(manifest) }

    private struct Restored: Encodable {
        var name: String
        var revision: Int64
        var versions: UInt64
        var digest: String
    }

    func run() async throws {
        let expected = try SnapshotVerifyCommand.digest(manifest)
        // The whole archive is checked before the cluster is told anything.
        let report = ArchiveVerifier.verify(directory: directory, expectedManifest: expected)
        guard report.isValid else {
            for problem in report.problems { complain("\(problem)") }
            complain("\(directory) is not a valid recovery point; nothing was restored")
            throw ExitCode(1)
        }
        try await connection.run { client in
            do {
                let reader = try ArchiveReader(opening: directory, expectedManifest: expected)
                try await refuseSource(reader.manifest, client)
                let restored = try await restore(reader, client)
                try output.print(
                    columns: ["KEYSPACE", "REVISION", "VERSIONS", "DIGEST"],
                    rows: restored.map {
                        [$0.name, "\($0.revision)", "\($0.versions)", $0.digest]
                    } + [["restored, and serving"]], json: restored)
            } catch let error as ArchiveError {
                complain("\(error)")
                throw ExitCode(1)
            }
        }
    }

    /// The restored cluster has an identity of its own, so that nodes of the attacked one can never
    /// join it.
    private func refuseSource(_ manifest: Manifest, _ client: SpineClient) async throws {
        for case (_, .success(let node)) in await client.status()
        where node.clusterID == manifest.clusterID.rawValue {
            throw SpineError(
                code: .refused,
                message: "\(directory) was made from this very cluster "
                    + "(\(hexadecimal(node.clusterID))); restore into a new one, started with "
                    + "another --initial-cluster-token or other addresses")
        }
    }

    /// The cluster reads back everything it has taken, which may take longer than a call; it answers
    /// nothing meanwhile. So the answer is waited for by asking how the keyspace stands.
    private func finish(
        _ keyspace: Manifest.Keyspace, restoreID: String, _ client: SpineClient
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(3600)
        while true {
            do throws(SpineError) {
                _ = try await client.finishRestore(
                    keyspace: keyspace.name, restoreID: restoreID, rowCount: keyspace.rowCount,
                    digest: keyspace.digest.bytes)
                return
            } catch {
                guard error.code == .unavailable, ContinuousClock.now < deadline else {
                    throw error
                }
                complain("keyspace \(keyspace.name): waiting for the cluster's check: \(error)")
            }
            try await Task.sleep(for: .seconds(1))
        }
    }

    private func restore(
        _ reader: ArchiveReader, _ client: SpineClient
    ) async throws -> [Restored] {
        // Named by its content: the same archive finds its own interrupted restore again.
        let id = "\(reader.manifestDigest)"
        var pending: [Manifest.Keyspace] = []
        var isServing = true
        for keyspace in reader.manifest.keyspaces {
            let state = try await client.restoreState(keyspace: keyspace.name)
            if state.restoreID != id, ["loading", "verified"].contains(state.phase),
                !discardInterrupted
            {
                throw SpineError(
                    code: .refused,
                    message: "keyspace \(keyspace.name) is in the middle of a restore of another "
                        + "recovery point (manifest sha256 \(state.restoreID)); finish that one, or "
                        + "say --discard-interrupted; nothing was done")
            }
            isServing = isServing && state.restoreID == id && state.phase == "active"
            // What an interrupted run has brought this far need not be brought again.
            if state.restoreID == id, ["verified", "active"].contains(state.phase) { continue }
            pending.append(keyspace)
        }
        // An interrupted restore leaves at least one keyspace that does not serve yet.
        guard !isServing else {
            throw SpineError(
                code: .refused,
                message: "this cluster was restored from \(directory) already and is not empty; "
                    + "nothing was done")
        }
        // All begin before any takes rows: from here on none of them serves.
        for keyspace in pending {
            _ = try await client.beginRestore(
                keyspace: keyspace.name, restoreID: id,
                revision: UInt64(keyspace.revision.rawValue),
                compactRevision: UInt64(keyspace.compactRevision.rawValue))
        }
        for keyspace in pending {
            var chunks = try reader.rows(of: keyspace.name)
            while let chunk = try chunks.next() {
                _ = try await client.applyRestoreRows(
                    keyspace: keyspace.name, restoreID: id, sequence: chunk.sequence,
                    rows: chunk.rows)
            }
        }
        for keyspace in pending {
            try await finish(keyspace, restoreID: id, client)
        }
        var restored: [Restored] = []
        for keyspace in reader.manifest.keyspaces {
            let state = try await client.activateRestore(keyspace: keyspace.name, restoreID: id)
            restored.append(
                Restored(
                    name: keyspace.name, revision: keyspace.revision.rawValue,
                    versions: state.rowCount,
                    digest: LogicalDigest(bytes: state.digest)?.description ?? ""))
        }
        return restored
    }
}
