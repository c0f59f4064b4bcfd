import struct Foundation.Data
import Logging
import NIOCore
import Primitives
import RPC
import RecordModel
import RecordStore
import SwiftProtobuf
import Synchronization
import WireProtocol

/// `spine.v1.Recovery`: streams a recovery point out of a running cluster, and takes one into an
/// empty one (DESIGN, decision 13).
package struct RecoveryService: Sendable {
    /// What clients see is what is kept: group 0 describes this cluster, not its records.
    static let keyspaces: [KeyspaceID] = [.default, .fhir]
    /// Bytes of rows in one message of the stream; one larger row travels alone.
    private static let chunkBytes = 1 << 20
    /// A client that does not read for this long has its stream ended.
    private static let stallTimeout: Duration = .seconds(60)

    private let node: Node
    private let logger: Logger
    private let running: SnapshotCount

    package init(node: Node, logger: Logger) {
        self.node = node
        self.logger = logger
        running = SnapshotCount()
    }

    /// Streams under way; at `NodeLimits.concurrentSnapshots` another is refused.
    private final class SnapshotCount: Sendable {
        private let count = Mutex(0)
        func begin() -> Bool {
            count.withLock { count in
                guard count < NodeLimits.concurrentSnapshots else { return false }
                count += 1
                return true
            }
        }
        func end() { count.withLock { $0 -= 1 } }
        var isIdle: Bool { count.withLock { $0 == 0 } }
    }

    /// Waits until no stream reads the node's state any more; then the node may be stopped. To be
    /// called when the clients' connections are closed, which ends the streams.
    package func drained() async {
        while !running.isIdle { try? await Task.sleep(for: .milliseconds(20)) }
    }

    package var methods: [String: RPCMethod] {
        let etcd = EtcdService(node: node)
        return [
            MethodPath.Recovery.createSnapshot: .serverStreaming { _, _, writer in
                createSnapshot(writer)
            },
            MethodPath.Recovery.beginRestore: etcd.unary(Spine_V1_BeginRestoreRequest.self) {
                request, call throws(EtcdError) in
                try step(request.keyspace, call) { _ in
                    .restoreBegin(
                        restoreID: request.restoreID,
                        revision: Revision(Int64(clamping: request.revision)),
                        compactRevision: Revision(Int64(clamping: request.compactRevision)))
                }
            },
            MethodPath.Recovery.applyRestoreRows: etcd.unary(
                Spine_V1_ApplyRestoreRowsRequest.self
            ) { request, call throws(EtcdError) in
                try step(request.keyspace, call) { _ in
                    .restoreRows(
                        restoreID: request.restoreID, sequence: request.sequence,
                        rows: Bytes(request.encodedRows))
                }
            },
            MethodPath.Recovery.finishRestore: etcd.unary(Spine_V1_FinishRestoreRequest.self) {
                request, call throws(EtcdError) in
                guard let digest = LogicalDigest(bytes: Bytes(request.digest)) else {
                    throw .malformed("the digest of a keyspace has 16 bytes")
                }
                try step(request.keyspace, call) { _ in
                    .restoreFinish(
                        restoreID: request.restoreID, rowCount: request.rowCount, digest: digest)
                }
            },
            MethodPath.Recovery.activateRestore: etcd.unary(
                Spine_V1_ActivateRestoreRequest.self
            ) { request, call throws(EtcdError) in
                try step(request.keyspace, call) { _ in
                    .restoreActivate(restoreID: request.restoreID)
                }
            },
            MethodPath.Recovery.status: etcd.unary(Spine_V1_RestoreStatusRequest.self, status),
        ]
    }

    // MARK: - Create

    /// Each keyspace is cut by one view of the engine, at the revision that a linearizable read
    /// found or later; later writes do not show. The keyspaces' cuts are moments apart.
    private func createSnapshot(_ writer: RPCStreamWriter) {
        guard running.begin() else {
            return writer.finish(
                RPCStatus(
                    .resourceExhausted,
                    "spine: this node streams \(NodeLimits.concurrentSnapshots) recovery points "
                        + "already; wait, or ask another node"))
        }
        Task {
            var readers: [RecordReader] = []
            for keyspace in Self.keyspaces {
                switch await node.read(keyspace, { reader in reader }) {
                case .success(let reader): readers.append(reader)
                case .failure(let error):
                    running.end()
                    return writer.finish(Self.status(EtcdError(error)))
                }
            }
            let cut = readers
            _ = DedicatedThread(name: "spine-snapshot") {
                stream(cut, to: writer)
                running.end()
            }
        }
    }

    private func stream(_ readers: [RecordReader], to writer: RPCStreamWriter) {
        do {
            for reader in readers {
                guard try stream(reader, to: writer) else { return }
            }
            var end = Spine_V1_SnapshotChunk()
            end.end = Spine_V1_SnapshotChunk.End()
            guard send(end, to: writer) else { return }
            writer.finish()
        } catch let error as RecordReadFailure {
            writer.finish(Self.status(EtcdError(node.failed(error))))
        } catch let error as RecordStoreError {
            writer.finish(Self.status(EtcdError(node.failed(.store(error)))))
        } catch {
            writer.finish(RPCStatus(.internalError, "spine: the stream ended early: \(error)"))
        }
    }

    /// False when the client has gone.
    private func stream(_ reader: RecordReader, to writer: RPCStreamWriter) throws -> Bool {
        var start = Spine_V1_SnapshotChunk.KeyspaceStart()
        start.keyspace = reader.keyspace.name
        start.revision = UInt64(reader.revision.rawValue)
        start.compactRevision = UInt64(clamping: reader.compactRevision.rawValue)
        start.timestampUs = reader.newestTimestamp.microseconds
        start.clusterID = node.cluster.rawValue
        var chunk = Spine_V1_SnapshotChunk()
        chunk.keyspaceStart = start
        guard send(chunk, to: writer) else { return false }

        var export = try reader.exportRows()
        var sent: UInt64 = 0
        while true {
            let rows = try export.nextRows(maxBytes: Self.chunkBytes)
            if rows.isEmpty { break }
            var part = Spine_V1_SnapshotChunk.Rows()
            part.encodedRows = Data(rows)
            part.count = UInt32(export.count - sent)
            sent = export.count
            chunk.rows = part
            guard send(chunk, to: writer) else { return false }
        }
        var end = Spine_V1_SnapshotChunk.KeyspaceEnd()
        end.rowCount = export.count
        end.digest = Data(export.digest.bytes)
        chunk.keyspaceEnd = end
        return send(chunk, to: writer)
    }

    /// Waits until the client has room, so that a slow one costs the node one window.
    private func send(_ chunk: Spine_V1_SnapshotChunk, to writer: RPCStreamWriter) -> Bool {
        switch writer.waitUntilWritable(timeout: Self.stallTimeout) {
        case .writable: break
        case .closed: return false
        case .timedOut:
            writer.finish(
                RPCStatus(.deadlineExceeded, "spine: the client has not read for 60 seconds"))
            return false
        }
        do {
            let bytes: [UInt8] = try chunk.serializedBytes()
            return writer.write(ByteBuffer(bytes: bytes))
        } catch {
            writer.finish(RPCStatus(.internalError, "spine: a chunk cannot be encoded"))
            return false
        }
    }

    private static func status(_ error: EtcdError) -> RPCStatus {
        guard let code = RPCStatusCode(rawValue: error.code) else {
            preconditionFailure("gRPC has no code \(error.code)")
        }
        return RPCStatus(code, error.message)
    }

    // MARK: - Restore

    private func step(
        _ name: String, _ call: EtcdService.Call, _ body: (KeyspaceID) -> Command.Body
    ) throws(EtcdError) {
        let keyspace = try keyspace(name)
        node.submit(body(keyspace), to: keyspace) { result in
            switch result {
            case .success(let outcome):
                switch outcome.result {
                case .success(.restore(let progress)): call.succeed(Self.message(progress))
                case .success(.operation), .success(.compacted), .success(.lease):
                    preconditionFailure("a restore step was answered as something else")
                case .failure(let refusal): call.fail(EtcdError(refusal))
                }
            case .failure(let error): call.fail(error)
            }
        }
    }

    private func status(
        _ request: Spine_V1_RestoreStatusRequest, _ call: EtcdService.Call
    ) throws(EtcdError) {
        let keyspace = try keyspace(request.keyspace)
        node.read(keyspace, linearizable: true) { result in
            switch result {
            case .success(let reader): call.succeed(Self.message(reader.restoreProgress))
            case .failure(let error): call.fail(error)
            }
        }
    }

    private func keyspace(_ name: String) throws(EtcdError) -> KeyspaceID {
        guard let keyspace = KeyspaceID(name: name), Self.keyspaces.contains(keyspace) else {
            throw .unknownKeyspace(name)
        }
        return keyspace
    }

    private static func message(_ progress: RestoreProgress) -> Spine_V1_RestoreStatus {
        var status = Spine_V1_RestoreStatus()
        switch progress.phase {
        case .none: status.state = "none"
        case .loading: status.state = "loading"
        case .verified: status.state = "verified"
        case .active: status.state = "active"
        }
        status.nextSequence = progress.nextSequence
        status.rowCount = progress.rowCount
        status.digest = Data(progress.digest.bytes)
        status.restoreID = progress.restoreID
        return status
    }
}
