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
    /// - Parameter header: etcd gives the answers inside a transaction a header that holds the
    ///   revision alone; so do we.
    package init(_ result: TxnResult, header: Etcdserverpb_ResponseHeader) {
        self.init()
        self.header = header
        succeeded = result.succeeded
        var inner = Etcdserverpb_ResponseHeader()
        inner.revision = header.revision
        responses = result.results.map { Etcdserverpb_ResponseOp($0, header: inner) }
    }
}

extension Etcdserverpb_ResponseOp {
    fileprivate init(_ result: OperationResult, header: Etcdserverpb_ResponseHeader) {
        self.init()
        switch result {
        case .range(let range):
            responseRange = Etcdserverpb_RangeResponse(range, header: header)
        case .put(let previous):
            responsePut = Etcdserverpb_PutResponse(previous: previous, header: header)
        case .deleteRange(let deleted, let previous):
            responseDeleteRange = Etcdserverpb_DeleteRangeResponse(
                deleted: deleted, previous: previous, header: header)
        case .txn(let txn):
            responseTxn = Etcdserverpb_TxnResponse(txn, header: header)
        }
    }
}
