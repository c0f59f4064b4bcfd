import Primitives
import RecordModel
import RecordStore
import StorageEngine

/// The record store over an engine in memory. It makes no snapshots of a group yet, so that the log
/// of its group is never truncated, and a store that is lost is made anew from the log's beginning.
final class RecordMachine: StateMachine {
    private let group: GroupID
    private(set) var engine: MemoryEngine
    private var store: RecordStore?

    init(group: GroupID) {
        self.group = group
        engine = MemoryEngine()
    }

    var appliedIndex: LogIndex { store?.appliedIndex ?? .zero }
    var digest: UInt64 { store?.effectDigest.value ?? 0 }
    var newestTimestamp: HybridTimestamp { store?.newestTimestamp ?? .zero }
    var configuration: (index: LogIndex, encoded: Bytes)? { store?.configuration }

    func apply(_ entries: [LogEntry]) throws(MachineFailure) -> [MachineAnswer] {
        guard let store else { preconditionFailure("apply of group \(group) while it is stopped") }
        let applied: [AppliedEntry]
        do throws(RecordStoreError) {
            applied = try store.apply(entries)
        } catch {
            throw failure(error)
        }
        return applied.compactMap { entry in
            guard let proposal = entry.proposalID, let outcome = entry.outcome else { return nil }
            return MachineAnswer(
                index: entry.index, proposal: proposal, answer: WorkloadAnswer(outcome))
        }
    }

    func flush() throws(MachineFailure) {
        do throws(StorageError) {
            try engine.flush()
        } catch {
            throw failure(.storage(error))
        }
    }

    func persistedIndex() throws(MachineFailure) -> LogIndex {
        do throws(RecordStoreError) {
            return try RecordStore.persistedAppliedIndex(engine: engine, group: group)
        } catch {
            throw failure(error)
        }
    }

    func snapshot() -> MachineSnapshot? { nil }

    func install(_ snapshot: MachineSnapshot) {
        preconditionFailure("a snapshot for group \(group), which has none")
    }

    func stop(seed: UInt64) {
        store = nil
        engine.stop(seed: seed)
    }

    func start() throws(MachineFailure) {
        do throws(StorageError) {
            engine = try engine.open()
        } catch {
            throw failure(.storage(error))
        }
        try makeStore()
    }

    /// The first start of all.
    func begin() throws(MachineFailure) { try makeStore() }

    func wipe() {
        precondition(store == nil, "the disk of a running group is wiped")
        engine = MemoryEngine()
        engine.stop(seed: 0)
    }

    /// What a stopped machine has on its disk, now or at an earlier stop.
    var image: MemoryEngine {
        get { engine }
        set { engine = newValue }
    }

    private func makeStore() throws(MachineFailure) {
        do throws(RecordStoreError) {
            store = try RecordStore(
                engine: engine, group: group, keyspace: KeyspaceID(group: group))
        } catch {
            // What was opened must be stopped before it can be opened again.
            engine.stop(seed: 0)
            throw failure(error)
        }
    }

    private func failure(_ error: RecordStoreError) -> MachineFailure {
        switch error {
        case .storage(.corruption), .storage(.inputOutput), .corruptRow, .inconsistent:
            MachineFailure(isLoss: true, description: "\(error)")
        case .storage, .unsupportedSemantics, .keyspaceMismatch:
            MachineFailure(isLoss: false, description: "\(error)")
        }
    }

    /// Answers a read from what is applied.
    func read(_ operation: StoreOperation) throws(MachineFailure) -> WorkloadAnswer {
        guard let store else { preconditionFailure("read of group \(group) while it is stopped") }
        guard case .range(let range, let revision, let limit) = operation else {
            preconditionFailure("\(operation) is no read")
        }
        do throws(RecordReadFailure) {
            let reader: RecordReader
            do throws(RecordStoreError) {
                reader = try store.makeReader()
            } catch {
                throw .store(error)
            }
            let result = try reader.range(
                RangeRequest(range: range, revision: revision, limit: limit))
            return .store(StoreReply(StoreAnswer(.range(result)), revision: reader.revision))
        } catch {
            switch error {
            case .refused: return .refused
            case .store(let error): throw failure(error)
            }
        }
    }
}

extension WorkloadAnswer {
    init(_ outcome: CommandOutcome) {
        switch outcome.result {
        case .success(.operation(let result)):
            self = .store(StoreReply(StoreAnswer(result), revision: outcome.revision))
        case .success, .failure: self = .refused
        }
    }
}

extension StoreOperation {
    /// As the record store is asked.
    var operation: Operation {
        switch self {
        case .range(let range, let revision, let limit):
            .range(RangeRequest(range: range, revision: revision, limit: limit))
        case .put(let key, let value, let wantsPrevious):
            .put(PutRequest(key: key, value: value, wantsPrevious: wantsPrevious))
        case .delete(let range, let wantsPrevious):
            .deleteRange(DeleteRangeRequest(range: range, wantsPrevious: wantsPrevious))
        case .txn(let compares, let then, let otherwise):
            .txn(
                TxnRequest(
                    compares: compares, success: then.map(\.operation),
                    failure: otherwise.map(\.operation)))
        }
    }
}
