import Primitives
import RecordModel

/// From what the state machine takes and gives, so that a workload is written once.
extension StoreOperation {
    /// nil for what the sequential model does not hold: leases, index terms, kept values, sorting,
    /// filters, and ranges without values.
    package init?(_ operation: Operation) {
        switch operation {
        case .range(let request):
            let plain = RangeRequest(
                range: request.range, revision: request.revision, limit: request.limit)
            guard request == plain else { return nil }
            self = .range(request.range, at: request.revision, limit: max(request.limit, 0))
        case .put(let request):
            let plain = PutRequest(
                key: request.key, value: request.value, wantsPrevious: request.wantsPrevious)
            guard request == plain else { return nil }
            self = .put(
                key: request.key, value: request.value, wantsPrevious: request.wantsPrevious)
        case .deleteRange(let request):
            self = .delete(request.range, wantsPrevious: request.wantsPrevious)
        case .txn(let txn):
            let then = txn.success.compactMap(StoreOperation.init)
            let otherwise = txn.failure.compactMap(StoreOperation.init)
            guard then.count == txn.success.count, otherwise.count == txn.failure.count else {
                return nil
            }
            self = .txn(compares: txn.compares, then: then, otherwise: otherwise)
        }
    }
}

extension StoreAnswer {
    package init(_ result: OperationResult) {
        switch result {
        case .range(let range):
            self = .range(range.records.map(StoreRecord.init), count: range.count)
        case .put(let previous):
            self = .put(previous: previous.map(StoreRecord.init))
        case .deleteRange(let deleted, let previous):
            self = .delete(count: deleted, previous: previous.map(StoreRecord.init))
        case .txn(let txn):
            self = .txn(succeeded: txn.succeeded, txn.results.map(StoreAnswer.init))
        }
    }
}

extension StoreRecord {
    package init(_ record: Record) {
        self.init(
            key: record.key, value: record.value, createRevision: record.createRevision,
            modRevision: record.modRevision, version: record.version)
    }
}
