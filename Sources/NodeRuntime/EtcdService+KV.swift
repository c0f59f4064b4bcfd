import Primitives
import RPC
import RecordModel
import RecordStore
import WireProtocol

/// `etcdserverpb.KV`. Reads without `serializable` are linearizable; a transaction that only reads
/// makes no log entry.
extension EtcdService {
    var kvMethods: [String: RPCMethod] {
        [
            MethodPath.KV.range: unary(Etcdserverpb_RangeRequest.self, range),
            MethodPath.KV.put: unary(Etcdserverpb_PutRequest.self, put),
            MethodPath.KV.deleteRange: unary(Etcdserverpb_DeleteRangeRequest.self, deleteRange),
            MethodPath.KV.txn: unary(Etcdserverpb_TxnRequest.self, txn),
            MethodPath.KV.compact: unary(Etcdserverpb_CompactionRequest.self, compact),
        ]
    }

    private func range(_ wire: Etcdserverpb_RangeRequest, _ call: Call) throws(EtcdError) {
        let keyspace = try call.keyspace()
        let request = try RangeRequest(wire)
        read(keyspace, linearizable: !wire.serializable, call) {
            reader throws(RecordReadFailure) in
            let result = try reader.range(request)
            call.succeed(
                Etcdserverpb_RangeResponse(
                    result, header: header(revision: reader.revision, keyspace: keyspace)))
        }
    }

    private func put(_ wire: Etcdserverpb_PutRequest, _ call: Call) throws(EtcdError) {
        let keyspace = try call.writableKeyspace()
        let request = try PutRequest(wire)
        try write(.put(request), to: keyspace, call) { outcome, result in
            guard case .put(let previous) = result else { return false }
            call.succeed(
                Etcdserverpb_PutResponse(
                    previous: previous,
                    header: header(revision: outcome.revision, keyspace: keyspace)))
            return true
        }
    }

    private func deleteRange(
        _ wire: Etcdserverpb_DeleteRangeRequest, _ call: Call
    ) throws(EtcdError) {
        let keyspace = try call.writableKeyspace()
        let request = try DeleteRangeRequest(wire)
        try write(.deleteRange(request), to: keyspace, call) { outcome, result in
            guard case .deleteRange(let deleted, let previous) = result else { return false }
            call.succeed(
                Etcdserverpb_DeleteRangeResponse(
                    deleted: deleted, previous: previous,
                    header: header(revision: outcome.revision, keyspace: keyspace)))
            return true
        }
    }

    private func txn(_ wire: Etcdserverpb_TxnRequest, _ call: Call) throws(EtcdError) {
        let request = try TxnRequest(wire, operationsMax: Self.txnOperationsMax)
        guard Operation.txn(request).changesState else {
            let keyspace = try call.keyspace()
            return read(keyspace, linearizable: !wire.isSerializable, call) {
                reader throws(RecordReadFailure) in
                let result = try reader.compare(request)
                call.succeed(
                    Etcdserverpb_TxnResponse(
                        result, header: header(revision: reader.revision, keyspace: keyspace)))
            }
        }
        let keyspace = try call.writableKeyspace()
        try write(.txn(request), to: keyspace, call) { outcome, result in
            guard case .txn(let txn) = result else { return false }
            call.succeed(
                Etcdserverpb_TxnResponse(
                    txn, header: header(revision: outcome.revision, keyspace: keyspace)))
            return true
        }
    }

    private func compact(
        _ wire: Etcdserverpb_CompactionRequest, _ call: Call
    ) throws(EtcdError) {
        let keyspace = try call.writableKeyspace()
        let revision = Revision(wire.revision)
        node.submit(.compact(through: revision), to: keyspace) { result in
            switch result {
            case .success(let outcome):
                if case .failure(let refusal) = outcome.result {
                    return call.fail(EtcdError(refusal))
                }
                var response = Etcdserverpb_CompactionResponse()
                response.header = header(revision: outcome.revision, keyspace: keyspace)
                guard wire.physical else { return call.succeed(response) }
                let answer = response
                node.remover.whenRemoved(in: keyspace.group, through: revision) { result in
                    switch result {
                    case .success: call.succeed(answer)
                    case .failure(let error): call.fail(error)
                    }
                }
            case .failure(let error): call.fail(error)
            }
        }
    }

    private func read(
        _ keyspace: KeyspaceID, linearizable: Bool, _ call: Call,
        _ body: @escaping @Sendable (RecordReader) throws(RecordReadFailure) -> Void
    ) {
        node.read(keyspace, linearizable: linearizable) { result in
            switch result {
            case .success(let reader):
                do throws(RecordReadFailure) {
                    try body(reader)
                } catch {
                    call.fail(node.failed(error))
                }
            case .failure(let error): call.fail(error)
            }
        }
    }

    /// - Parameter answer: false when the result is not of the operation's kind.
    private func write(
        _ operation: Operation, to keyspace: KeyspaceID, _ call: Call,
        _ answer: @escaping @Sendable (CommandOutcome, OperationResult) -> Bool
    ) throws(EtcdError) {
        if let refusal = operation.validate() { throw EtcdError(refusal) }
        guard operation.contentBytes <= Self.requestBytesMax else { throw .requestTooLarge }
        node.submit(.operation(operation), to: keyspace) { result in
            switch result {
            case .success(let outcome):
                switch outcome.result {
                case .success(.operation(let result)):
                    let answered = answer(outcome, result)
                    precondition(answered, "the result is not of the operation's kind")
                case .success(.compacted), .success(.restore), .success(.lease):
                    preconditionFailure("an operation was answered as something else")
                case .failure(let refusal): call.fail(EtcdError(refusal))
                }
            case .failure(let error): call.fail(error)
            }
        }
    }
}

extension Etcdserverpb_TxnRequest {
    /// All its reads are serializable (etcd `isTxnSerializable`); one without any is too.
    fileprivate var isSerializable: Bool {
        (success + failure).allSatisfy { operation in
            guard case .requestRange(let range) = operation.request else { return false }
            return range.serializable
        }
    }
}

extension Operation {
    /// Keys and values that the operation would write into the log, in bytes.
    fileprivate var contentBytes: Int {
        switch self {
        case .range(let request): request.range.contentBytes
        case .put(let request): request.key.count + request.value.count
        case .deleteRange(let request): request.range.contentBytes
        case .txn(let txn):
            txn.compares.reduce(0) { $0 + $1.contentBytes }
                + (txn.success + txn.failure).reduce(0) { $0 + $1.contentBytes }
        }
    }
}

extension Compare {
    fileprivate var contentBytes: Int {
        guard case .value(let value) = target else { return range.contentBytes }
        return range.contentBytes + value.count
    }
}

extension KeyRange {
    fileprivate var contentBytes: Int {
        guard case .before(let upper) = end else { return lower.count }
        return lower.count + upper.count
    }
}
