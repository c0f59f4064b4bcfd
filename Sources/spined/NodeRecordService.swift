import FHIRServer
import NodeRuntime
import Primitives
import RecordModel
import RecordStore

/// The FHIR layer's records, served by the node in this process.
struct NodeRecordService: RecordService {
    let node: Node

    func execute(_ txn: TxnRequest) async throws(RecordServiceError) -> AppliedTxn {
        let outcome: CommandOutcome
        switch await node.submit(.operation(.txn(txn)), to: .fhir) {
        case .success(let applied): outcome = applied
        case .failure(let error): throw RecordServiceError(error)
        }
        switch outcome.result {
        case .success(.operation(.txn(let result))):
            return AppliedTxn(
                revision: outcome.revision, timestamp: outcome.timestamp, result: result)
        case .success:
            preconditionFailure("a transaction was answered as something else")
        case .failure(let refusal): throw .refused(refusal)
        }
    }

    func record(_ key: Bytes, at revision: Revision?) async throws(RecordServiceError) -> Record? {
        try await read { reader throws(RecordReadFailure) in
            try reader.record(key, at: revision)
        }
    }

    func version(
        of key: Bytes, modRevision: Revision
    ) async throws(RecordServiceError) -> RecordVersion? {
        try await read { reader throws(RecordReadFailure) in
            try reader.version(of: key, at: modRevision)
        }
    }

    func history(
        of key: Bytes, limit: Int, before: Revision?
    ) async throws(RecordServiceError) -> [RecordVersion] {
        try await read { reader throws(RecordReadFailure) in
            try reader.history(of: key, limit: limit, before: before)
        }
    }

    func query(_ query: RecordQuery) async throws(RecordServiceError) -> QueryResult {
        try await read { reader throws(RecordReadFailure) in try reader.query(query) }
    }

    func range(_ request: RangeRequest) async throws(RecordServiceError) -> RangeResult {
        try await read { reader throws(RecordReadFailure) in try reader.range(request) }
    }

    private func read<Value: Sendable>(
        _ body: @escaping @Sendable (RecordReader) throws(RecordReadFailure) -> Value
    ) async throws(RecordServiceError) -> Value {
        switch await node.read(.fhir, body) {
        case .success(let value): return value
        case .failure(let error): throw RecordServiceError(error)
        }
    }
}

extension RecordServiceError {
    fileprivate init(_ error: NodeError) {
        switch error {
        case .noLeader: self = .unavailable(reason: "no leader is known")
        case .overloaded: self = .unavailable(reason: "too many requests are waiting")
        case .stopping: self = .unavailable(reason: "this node is stopping")
        case .readTimedOut: self = .unavailable(reason: "no quorum answered in time")
        case .storage: self = .unavailable(reason: "this node's storage failed")
        case .outcomeUnknown:
            self = .outcomeUnknown(reason: "no answer came in time; the write may be applied yet")
        case .tooLarge(let bytes, let limit): self = .tooLarge(bytes: bytes, limit: limit)
        case .refused(let refusal): self = .refused(refusal)
        }
    }
}
