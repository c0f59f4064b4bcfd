import FHIRServer
import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Synchronization

/// The record store of keyspace `fhir` in memory, one command after another, without Raft.
///
/// Fault model: an error queued with `fail` ends one call before it does anything; `interfere`
/// runs before one `execute`, as another client's write that came in between. Time is a counter:
/// each command is a second after the one before, from 2024-03-01T00:00:00Z.
final class TestRecordService: RecordService {
    static let firstSecond: UInt64 = 1_709_251_200

    private struct State {
        var index = LogIndex.zero
        var executed = 0
        var keysRead = 0
        var failures: [RecordServiceError] = []
        var interference: [@Sendable (TestRecordService) -> Void] = []
        var lastTxn: TxnRequest?
    }

    private let store: RecordStore
    private let state = Mutex(State())

    init() throws {
        store = try RecordStore(engine: MemoryEngine(), group: .fhirKeyspace, keyspace: .fhir)
    }

    /// Commands applied.
    var executed: Int { state.withLock { $0.executed } }
    /// Index and record keys that queries looked at since the last call.
    func takeKeysRead() -> Int {
        state.withLock { state in
            defer { state.keysRead = 0 }
            return state.keysRead
        }
    }
    var lastTxn: TxnRequest? { state.withLock { $0.lastTxn } }

    func fail(_ error: RecordServiceError) { state.withLock { $0.failures.append(error) } }
    func interfere(_ action: @escaping @Sendable (TestRecordService) -> Void) {
        state.withLock { $0.interference.append(action) }
    }

    private func checkFailure() throws(RecordServiceError) {
        let failure = state.withLock { $0.failures.isEmpty ? nil : $0.failures.removeFirst() }
        if let failure { throw failure }
    }

    func execute(_ txn: TxnRequest) async throws(RecordServiceError) -> AppliedTxn {
        try checkFailure()
        let interference = state.withLock {
            $0.interference.isEmpty ? nil : $0.interference.removeFirst()
        }
        interference?(self)
        return try apply(txn)
    }

    /// Applies without faults.
    @discardableResult
    func apply(_ txn: TxnRequest) throws(RecordServiceError) -> AppliedTxn {
        let outcome: CommandOutcome? = state.withLock { state in
            state.index = state.index.next
            state.executed += 1
            state.lastTxn = txn
            let id = ProposalID(
                node: NodeID(1), incarnation: 1, sequence: state.index.rawValue)
            let command = Command(id: id, body: .operation(.txn(txn)))
            let entry = LogEntry(
                term: Term(1), index: state.index,
                timestamp: HybridTimestamp(
                    microseconds: (Self.firstSecond + state.index.rawValue) * 1_000_000),
                payload: .command(command.encode()))
            guard let applied = try? store.apply([entry]) else { return nil }
            return applied.first?.outcome
        }
        guard let outcome else { throw .unavailable(reason: "the store failed") }
        switch outcome.result {
        case .success(.operation(.txn(let result))):
            return AppliedTxn(
                revision: outcome.revision, timestamp: outcome.timestamp, result: result)
        case .success: throw .unavailable(reason: "another result than a transaction's")
        case .failure(let refusal): throw .refused(refusal)
        }
    }

    private func read<Value>(
        _ body: (RecordReader) throws(RecordReadFailure) -> Value
    ) throws(RecordServiceError) -> Value {
        try checkFailure()
        guard let reader = try? store.makeReader() else {
            throw .unavailable(reason: "the store failed")
        }
        do {
            return try body(reader)
        } catch {
            switch error {
            case .refused(let refusal): throw .refused(refusal)
            case .store(let failure): throw .unavailable(reason: "\(failure)")
            }
        }
    }

    func record(_ key: Bytes, at revision: Revision?) async throws(RecordServiceError) -> Record? {
        try read { reader throws(RecordReadFailure) in try reader.record(key, at: revision) }
    }

    func version(
        of key: Bytes, modRevision: Revision
    ) async throws(RecordServiceError) -> RecordVersion? {
        try read { reader throws(RecordReadFailure) in
            try reader.version(of: key, at: modRevision)
        }
    }

    func history(
        of key: Bytes, limit: Int, before: Revision?
    ) async throws(RecordServiceError) -> [RecordVersion] {
        try read { reader throws(RecordReadFailure) in
            try reader.history(of: key, limit: limit, before: before)
        }
    }

    func query(_ query: RecordQuery) async throws(RecordServiceError) -> QueryResult {
        let result = try read { reader throws(RecordReadFailure) in try reader.query(query) }
        state.withLock { $0.keysRead += result.keysRead }
        return result
    }

    func range(_ request: RangeRequest) async throws(RecordServiceError) -> RangeResult {
        try read { reader throws(RecordReadFailure) in try reader.range(request) }
    }
}
