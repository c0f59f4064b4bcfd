import struct Foundation.Data
import WireProtocol

extension SpineClient {
    /// Writes a value. Not idempotent: a repetition raises version and revision once more.
    public func put(
        _ key: [UInt8], _ value: [UInt8], returningPrevious: Bool = false
    ) async throws(SpineError) -> PutResult {
        var request = Etcdserverpb_PutRequest()
        request.key = Data(key)
        request.value = Data(value)
        request.prevKv = returningPrevious
        let response = try await call(
            MethodPath.KV.put, request, Etcdserverpb_PutResponse.self, repetition: .harmful)
        return PutResult(response, revision: response.header.revision)
    }

    /// Linearizable, unless the options say otherwise.
    public func get(
        _ keys: KeySelection, _ options: GetOptions = GetOptions()
    ) async throws(SpineError) -> GetResult {
        let response = try await call(
            MethodPath.KV.range, Etcdserverpb_RangeRequest(keys, options),
            Etcdserverpb_RangeResponse.self, repetition: .harmless)
        return GetResult(response, revision: response.header.revision)
    }

    public func delete(
        _ keys: KeySelection, returningPrevious: Bool = false
    ) async throws(SpineError) -> DeleteResult {
        var request = Etcdserverpb_DeleteRangeRequest(keys)
        request.prevKv = returningPrevious
        let response = try await call(
            MethodPath.KV.deleteRange, request, Etcdserverpb_DeleteRangeResponse.self,
            repetition: .harmful)
        return DeleteResult(response, revision: response.header.revision)
    }

    public func transaction(
        _ transaction: Transaction
    ) async throws(SpineError) -> TransactionResult {
        let response = try await call(
            MethodPath.KV.txn, Etcdserverpb_TxnRequest(transaction),
            Etcdserverpb_TxnResponse.self,
            repetition: transaction.changesNothing ? .harmless : .harmful)
        return try TransactionResult(response, revision: response.header.revision)
    }
}

extension Transaction {
    fileprivate var changesNothing: Bool {
        (success + failure).allSatisfy { operation in
            switch operation {
            case .get: true
            case .put, .delete: false
            case .transaction(let inner): inner.changesNothing
            }
        }
    }
}

extension KeyValue {
    init(_ wire: Mvccpb_KeyValue) {
        self.init(
            key: [UInt8](wire.key), value: [UInt8](wire.value),
            createRevision: wire.createRevision, modRevision: wire.modRevision,
            version: wire.version, lease: wire.lease)
    }
}

extension Etcdserverpb_RangeRequest {
    init(_ keys: KeySelection, _ options: GetOptions) {
        self.init()
        key = Data(keys.key)
        rangeEnd = Data(keys.rangeEnd)
        revision = options.revision ?? 0
        limit = options.limit
        keysOnly = options.keysOnly
        countOnly = options.countOnly
        serializable = options.serializable
        switch options.order {
        case .unordered: sortOrder = .none
        case .ascending: sortOrder = .ascend
        case .descending: sortOrder = .descend
        }
        switch options.target {
        case .key: sortTarget = .key
        case .version: sortTarget = .version
        case .createRevision: sortTarget = .create
        case .modRevision: sortTarget = .mod
        case .value: sortTarget = .value
        }
    }
}

extension Etcdserverpb_DeleteRangeRequest {
    init(_ keys: KeySelection) {
        self.init()
        key = Data(keys.key)
        rangeEnd = Data(keys.rangeEnd)
    }
}

extension Etcdserverpb_TxnRequest {
    init(_ transaction: Transaction) {
        self.init()
        compare = transaction.conditions.map(Etcdserverpb_Compare.init)
        success = transaction.success.map(Etcdserverpb_RequestOp.init)
        failure = transaction.failure.map(Etcdserverpb_RequestOp.init)
    }
}

extension Etcdserverpb_Compare {
    init(_ condition: Transaction.Condition) {
        self.init()
        key = Data(condition.key)
        switch condition.relation {
        case .equal: result = .equal
        case .greater: result = .greater
        case .less: result = .less
        case .notEqual: result = .notEqual
        }
        switch condition.target {
        case .version(let number):
            target = .version
            version = number
        case .createRevision(let number):
            target = .create
            createRevision = number
        case .modRevision(let number):
            target = .mod
            modRevision = number
        case .value(let bytes):
            target = .value
            value = Data(bytes)
        case .lease(let number):
            target = .lease
            lease = number
        }
    }
}

extension Etcdserverpb_RequestOp {
    init(_ operation: Transaction.Operation) {
        self.init()
        switch operation {
        case .get(let keys, let options):
            requestRange = Etcdserverpb_RangeRequest(keys, options)
        case .put(let key, let value):
            requestPut.key = Data(key)
            requestPut.value = Data(value)
        case .delete(let keys): requestDeleteRange = Etcdserverpb_DeleteRangeRequest(keys)
        case .transaction(let inner): requestTxn = Etcdserverpb_TxnRequest(inner)
        }
    }
}

extension GetResult {
    init(_ wire: Etcdserverpb_RangeResponse, revision: Int64) {
        self.init(
            keyValues: wire.kvs.map(KeyValue.init), count: wire.count, more: wire.more,
            revision: revision)
    }
}

extension PutResult {
    init(_ wire: Etcdserverpb_PutResponse, revision: Int64) {
        self.init(
            revision: revision, previous: wire.hasPrevKv ? KeyValue(wire.prevKv) : nil)
    }
}

extension DeleteResult {
    init(_ wire: Etcdserverpb_DeleteRangeResponse, revision: Int64) {
        self.init(
            revision: revision, deleted: wire.deleted, previous: wire.prevKvs.map(KeyValue.init))
    }
}

extension TransactionResult {
    init(_ wire: Etcdserverpb_TxnResponse, revision: Int64) throws(SpineError) {
        self.init(succeeded: wire.succeeded, revision: revision, results: [])
        for response in wire.responses {
            switch response.response {
            case .responseRange(let range):
                results.append(.get(GetResult(range, revision: revision)))
            case .responsePut(let put): results.append(.put(PutResult(put, revision: revision)))
            case .responseDeleteRange(let delete):
                results.append(.delete(DeleteResult(delete, revision: revision)))
            case .responseTxn(let txn):
                results.append(.transaction(try TransactionResult(txn, revision: revision)))
            case nil:
                throw SpineError(
                    code: .protocolViolation, message: "an operation was answered with nothing")
            }
        }
    }
}
