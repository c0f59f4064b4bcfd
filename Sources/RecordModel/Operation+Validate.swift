import Primitives

extension Operation {
    /// What makes the operation wrong by itself, whatever the state: to be asked before it is
    /// proposed, and asked again by `apply`. nil when it may be proposed.
    ///
    /// The checks are etcd's (`checkPutRequest`, `checkTxnRequest`, `checkIntervals`), but for the
    /// limit on a transaction's operations, which is the server's and not the model's.
    package func validate() -> CommandRefusal? {
        if let refusal = refusal(depth: 0) { return refusal }
        guard case .txn(let txn) = self else { return nil }
        for list in [txn.success, txn.failure] {
            if case .failure(let refusal) = KeysTouched.collect(list) { return refusal }
        }
        return nil
    }

    private func refusal(depth: Int) -> CommandRefusal? {
        switch self {
        case .range(let request):
            return request.range.lacksKey ? .emptyKey : nil
        case .deleteRange(let request):
            return request.range.lacksKey ? .emptyKey : nil
        case .put(let request):
            if request.key.isEmpty { return .emptyKey }
            if request.ignoresValue && !request.value.isEmpty { return .valueProvided }
            if request.ignoresLease && request.lease != 0 { return .leaseProvided }
            return nil
        case .txn(let txn):
            if depth == Self.nestingDepthMax {
                return .malformed("transactions nested deeper than \(Self.nestingDepthMax)")
            }
            if txn.compares.contains(where: \.range.lacksKey) { return .emptyKey }
            for operation in txn.success + txn.failure {
                if let refusal = operation.refusal(depth: depth + 1) { return refusal }
            }
            return nil
        }
    }
}

extension KeyRange {
    /// An empty key is no key; only "every key" may be written with one.
    var lacksKey: Bool { lower.isEmpty && end != .unbounded }
}

/// The keys that a list of operations may put and the ranges that it may delete, as etcd's
/// `checkIntervals` gathers them: a key put twice, or put where the same list deletes, is refused.
/// As in etcd a delete that is unbounded upwards (`range_end` = `\0`) is not held against puts, nor
/// is a nested transaction's delete against the puts of one before it: operations then take effect
/// in their order.
private struct KeysTouched {
    var puts: Set<Bytes> = []
    var deletedKeys: Set<Bytes> = []
    var deletedRanges: [KeyRange] = []

    static func collect(_ operations: [Operation]) -> Result<KeysTouched, CommandRefusal> {
        var touched = KeysTouched()
        for case .deleteRange(let request) in operations where request.range.end != .unbounded {
            if request.range.end == .single {
                touched.deletedKeys.insert(request.range.lower)
            } else {
                touched.deletedRanges.append(request.range)
            }
        }
        for case .txn(let txn) in operations {
            let success: KeysTouched
            let failure: KeysTouched
            switch (collect(txn.success), collect(txn.failure)) {
            case (.failure(let refusal), _), (_, .failure(let refusal)): return .failure(refusal)
            case (.success(let a), .success(let b)): (success, failure) = (a, b)
            }
            // Only one of the two lists runs, so that both may put a key.
            let either = success.puts.union(failure.puts)
            guard touched.puts.isDisjoint(with: either) else { return .failure(.duplicateKey) }
            if either.contains(where: touched.deletesKey) { return .failure(.duplicateKey) }
            touched.puts.formUnion(either)
            for nested in [success, failure] {
                touched.deletedKeys.formUnion(nested.deletedKeys)
                touched.deletedRanges += nested.deletedRanges
            }
        }
        for case .put(let request) in operations {
            guard touched.puts.insert(request.key).inserted else { return .failure(.duplicateKey) }
            if touched.deletesKey(request.key) { return .failure(.duplicateKey) }
        }
        return .success(touched)
    }

    private func deletesKey(_ key: Bytes) -> Bool {
        deletedKeys.contains(key) || deletedRanges.contains { $0.contains(key) }
    }
}
