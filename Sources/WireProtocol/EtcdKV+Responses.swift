import struct Foundation.Data
import RecordModel

/// From the model's results to etcd's messages.
extension Mvccpb_KeyValue {
    package init(_ record: Record) {
        self.init()
        key = Data(record.key)
        value = Data(record.value)
        createRevision = record.createRevision.rawValue
        modRevision = record.modRevision.rawValue
        version = record.version
        lease = record.lease
    }
}

extension Etcdserverpb_RangeResponse {
    package init(_ result: RangeResult, header: Etcdserverpb_ResponseHeader?) {
        self.init()
        if let header { self.header = header }
        kvs = result.records.map(Mvccpb_KeyValue.init)
        more = result.more
        count = Int64(result.count)
    }
}

extension Etcdserverpb_PutResponse {
    package init(previous: Record?, header: Etcdserverpb_ResponseHeader?) {
        self.init()
        if let header { self.header = header }
        if let previous { prevKv = Mvccpb_KeyValue(previous) }
    }
}

extension Etcdserverpb_DeleteRangeResponse {
    package init(
        deleted: Int, previous: [Record], header: Etcdserverpb_ResponseHeader?
    ) {
        self.init()
        if let header { self.header = header }
        self.deleted = Int64(deleted)
        prevKvs = previous.map(Mvccpb_KeyValue.init)
    }
}

extension Etcdserverpb_TxnResponse {
    /// - Parameter header: that of the whole answer. The answers inside hold a revision alone, as
    ///   in etcd: up to the first write the one that the transaction began at, then its own; and a
    ///   transaction inside holds none.
    package init(_ result: TxnResult, header: Etcdserverpb_ResponseHeader) {
        let wrote = result.results.contains { $0.wrote }
        var reached = header.revision - (wrote ? 1 : 0)
        self.init(result, header: header, own: header.revision, reached: &reached)
    }

    fileprivate init(
        _ result: TxnResult, header: Etcdserverpb_ResponseHeader, own: Int64, reached: inout Int64
    ) {
        self.init()
        self.header = header
        succeeded = result.succeeded
        for operation in result.results {
            responses.append(Etcdserverpb_ResponseOp(operation, own: own, reached: &reached))
        }
    }
}

extension Etcdserverpb_ResponseOp {
    fileprivate init(_ result: OperationResult, own: Int64, reached: inout Int64) {
        self.init()
        if case .txn(let txn) = result {
            responseTxn = Etcdserverpb_TxnResponse(
                txn, header: Etcdserverpb_ResponseHeader(), own: own, reached: &reached)
            return
        }
        if result.wrote { reached = own }
        var header = Etcdserverpb_ResponseHeader()
        header.revision = reached
        switch result {
        case .range(let range):
            responseRange = Etcdserverpb_RangeResponse(range, header: header)
        case .put(let previous):
            responsePut = Etcdserverpb_PutResponse(previous: previous, header: header)
        case .deleteRange(let deleted, let previous):
            responseDeleteRange = Etcdserverpb_DeleteRangeResponse(
                deleted: deleted, previous: previous, header: header)
        case .txn: break
        }
    }
}

extension OperationResult {
    /// Whether it made the transaction take a revision.
    fileprivate var wrote: Bool {
        switch self {
        case .range: false
        case .put: true
        case .deleteRange(let deleted, _): deleted > 0
        case .txn(let txn): txn.results.contains { $0.wrote }
        }
    }
}
