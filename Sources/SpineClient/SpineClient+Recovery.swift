import struct Foundation.Data
import NIOCore
import RPC
import SwiftProtobuf
import WireProtocol

/// What a recovery point's stream says, in order.
package enum SnapshotEvent: Sendable {
    case keyspaceStart(
        name: String, revision: UInt64, compactRevision: UInt64, timestampMicroseconds: UInt64,
        clusterID: UInt64)
    /// Whole rows, as `VersionRow` encodes them, one after another.
    case rows(bytes: [UInt8], count: UInt64)
    case keyspaceEnd(rowCount: UInt64, digest: [UInt8])
    /// Nothing follows; a stream that ends without it was cut off.
    case end
}

/// Where a restore into a keyspace stands.
package struct RestoreState: Hashable, Sendable {
    /// `none`, `loading`, `verified` or `active`.
    package var phase: String
    package var restoreID: String
    package var nextSequence: UInt64
    package var rowCount: UInt64
    package var digest: [UInt8]
}

extension SpineClient {
    /// Streams a recovery point from the first endpoint that opens one. Once anything has come
    /// there is no fail-over: another node would cut at another revision.
    ///
    /// - Throws: `SpineError`, or what `receive` threw, which ends the stream.
    package func createSnapshot(
        _ receive: (SnapshotEvent) async throws -> Void
    ) async throws {
        let request = try encode(Spine_V1_CreateSnapshotRequest())
        for attempt in endpoints.indices {
            let connection = connection(attempt)
            var messages = connection.rpc.serverStreaming(
                MethodPath.Recovery.createSnapshot, request
            ).makeAsyncIterator()
            var hasBegun = false
            var isWhole = false
            do {
                while let message = try await messages.next() {
                    hasBegun = true
                    let event = try event(message)
                    if case .end = event { isWhole = true }
                    try await receive(event)
                }
            } catch let error as RPCClientError {
                let failure = SpineError(error, endpoint: connection.endpoint, .harmless)
                let isLast = attempt == endpoints.count - 1
                guard failure.code == .unavailable, !hasBegun, !isLast else { throw failure }
                continue
            }
            guard isWhole else {
                throw SpineError(
                    code: .protocolViolation,
                    message: "the recovery point's stream ended before its end",
                    endpoint: connection.endpoint.description)
            }
            return
        }
    }

    private func event(_ message: ByteBuffer) throws(SpineError) -> SnapshotEvent {
        let chunk: Spine_V1_SnapshotChunk = try decode(message)
        switch chunk.part {
        case .keyspaceStart(let start):
            return .keyspaceStart(
                name: start.keyspace, revision: start.revision,
                compactRevision: start.compactRevision, timestampMicroseconds: start.timestampUs,
                clusterID: start.clusterID)
        case .rows(let rows):
            return .rows(bytes: [UInt8](rows.encodedRows), count: UInt64(rows.count))
        case .keyspaceEnd(let end):
            return .keyspaceEnd(rowCount: end.rowCount, digest: [UInt8](end.digest))
        case .end: return .end
        case nil:
            throw SpineError(
                code: .protocolViolation,
                message: "the stream holds a part that this version does not know")
        }
    }

    /// Starts over when a restore is under way, so it is not sent twice by the client itself. The
    /// other steps may be: the state machine takes each once (by its sequence, or because the
    /// keyspace already stands where the step would lead).
    package func beginRestore(
        keyspace: String, restoreID: String, revision: UInt64, compactRevision: UInt64
    ) async throws(SpineError) -> RestoreState {
        var request = Spine_V1_BeginRestoreRequest()
        request.keyspace = keyspace
        request.restoreID = restoreID
        request.revision = revision
        request.compactRevision = compactRevision
        return try await restoreStep(
            MethodPath.Recovery.beginRestore, request, repetition: .harmful)
    }

    package func applyRestoreRows(
        keyspace: String, restoreID: String, sequence: UInt64, rows: [UInt8]
    ) async throws(SpineError) -> RestoreState {
        var request = Spine_V1_ApplyRestoreRowsRequest()
        request.keyspace = keyspace
        request.restoreID = restoreID
        request.sequence = sequence
        request.encodedRows = Data(rows)
        return try await restoreStep(MethodPath.Recovery.applyRestoreRows, request)
    }

    package func finishRestore(
        keyspace: String, restoreID: String, rowCount: UInt64, digest: [UInt8]
    ) async throws(SpineError) -> RestoreState {
        var request = Spine_V1_FinishRestoreRequest()
        request.keyspace = keyspace
        request.restoreID = restoreID
        request.rowCount = rowCount
        request.digest = Data(digest)
        return try await restoreStep(MethodPath.Recovery.finishRestore, request)
    }

    package func activateRestore(
        keyspace: String, restoreID: String
    ) async throws(SpineError) -> RestoreState {
        var request = Spine_V1_ActivateRestoreRequest()
        request.keyspace = keyspace
        request.restoreID = restoreID
        return try await restoreStep(MethodPath.Recovery.activateRestore, request)
    }

    package func restoreState(keyspace: String) async throws(SpineError) -> RestoreState {
        var request = Spine_V1_RestoreStatusRequest()
        request.keyspace = keyspace
        return try await restoreStep(MethodPath.Recovery.status, request)
    }

    private func restoreStep(
        _ path: String, _ request: some SwiftProtobuf.Message,
        repetition: Repetition = .harmless
    ) async throws(SpineError) -> RestoreState {
        let wire = try await call(
            path, request, Spine_V1_RestoreStatus.self, repetition: repetition)
        return RestoreState(
            phase: wire.state, restoreID: wire.restoreID, nextSequence: wire.nextSequence,
            rowCount: wire.rowCount, digest: [UInt8](wire.digest))
    }
}
