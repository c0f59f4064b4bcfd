import Primitives
import RecordModel

extension ShardWriter {
    func perform(
        _ command: LeaseCommand, at timestamp: HybridTimestamp
    ) throws(RecordReadFailure) -> LeaseResult {
        if let refusal = state.refusal { throw .refused(refusal) }
        switch command {
        case .grant(let id, let seconds): return try grant(id, seconds)
        case .revoke(let id):
            try end(try known(id), at: timestamp)
            return .ended
        case .expire(let id, let generation, let term):
            try end(try decided(id, generation, term), at: timestamp)
            return .ended
        case .checkpoint(let checkpoints, let term):
            try checkpoint(checkpoints, term)
            return .checkpointed
        case .renew(let id, let generation, let term):
            var lease = try decided(id, generation, term)
            lease.generation = state.appliedIndex
            lease.remainingSeconds = 0
            store(lease)
            leaseChanges.append(.begun(lease))
            return .renewed
        }
    }

    private func grant(
        _ id: LeaseID, _ seconds: Int64
    ) throws(RecordReadFailure) -> LeaseResult {
        // etcd looks at the id first, then at the time, then for a lease of that id (`Grant`).
        guard id != .none else { throw .refused(.leaseNotFound(id.rawValue)) }
        guard 1...Lease.secondsMax ~= seconds else {
            throw .refused(.leaseTooLong(seconds: seconds))
        }
        guard try lease(id) == nil else { throw .refused(.leaseExists(id)) }
        let lease = Lease(id: id, seconds: seconds, generation: state.appliedIndex)
        store(lease)
        leaseChanges.append(.begun(lease))
        return .granted(lease)
    }

    /// Deletes the lease's keys in their order, as one change, and then the lease (etcd `Revoke`).
    /// Without keys the revision stays.
    private func end(_ lease: Lease, at timestamp: HybridTimestamp) throws(RecordReadFailure) {
        let range = layout.leaseKeys(of: lease.id)
        let keys = try reading { () throws(RecordStoreError) in
            var keys: [Bytes] = []
            let cursor = try tables.cursor(range)
            while let raw = cursor.key {
                keys.append(try layout.key(ofLeaseKey: raw))
                try cursor.advance()
            }
            return keys
        }
        try changing { () throws(RecordReadFailure) in
            for key in keys {
                _ = try delete(DeleteRangeRequest(range: .key(key)), at: timestamp)
            }
        }
        pending.delete(layout.lease(lease.id))
        note(Effect.leaseEnded, lease.id.rawValue)
        leaseChanges.append(.ended(lease.id))
    }

    /// Of leases that have changed since, or ended, it says nothing.
    private func checkpoint(
        _ checkpoints: [LeaseCheckpoint], _ term: Term
    ) throws(RecordReadFailure) {
        for checkpoint in checkpoints where term == state.appliedTerm {
            guard var lease = try lease(checkpoint.id), lease.generation == checkpoint.generation,
                1...lease.seconds ~= checkpoint.remainingSeconds
            else { continue }
            lease.remainingSeconds = checkpoint.remainingSeconds
            store(lease)
            leaseChanges.append(.checkpointed(lease))
        }
    }

    // MARK: Rows

    /// The lease that a decision speaks of, if it still holds. It does not in another term: whoever
    /// leads then may have promised the client more time (docs/leases.md).
    private func decided(
        _ id: LeaseID, _ generation: LogIndex, _ term: Term
    ) throws(RecordReadFailure) -> Lease {
        let lease = try known(id)
        guard term == state.appliedTerm, lease.generation == generation else {
            throw .refused(.leaseDecisionStale(id))
        }
        return lease
    }

    func known(_ id: LeaseID) throws(RecordReadFailure) -> Lease {
        guard let lease = try lease(id) else { throw .refused(.leaseNotFound(id.rawValue)) }
        return lease
    }

    private func lease(_ id: LeaseID) throws(RecordReadFailure) -> Lease? {
        try reading { () throws(RecordStoreError) in try shard.lease(id) }
    }

    private func store(_ lease: Lease) {
        let row = layout.lease(lease.id)
        let stored = StoredLease.encode(lease, under: row)
        pending.put(row, stored)
        note(Effect.leaseStored, lease.id.rawValue)
        state.digest.add(stored)
    }

    /// A put that names a lease of which there is none is refused (etcd `Put`).
    func checkLease(of request: PutRequest) throws(RecordReadFailure) {
        if request.lease != 0 { _ = try known(LeaseID(request.lease)) }
    }

    /// The key leaves the lease that it had and joins the one it has now. A record that a restore
    /// brought names a lease that is not there: nothing is kept of that.
    ///
    /// - Parameter names: the put named its lease, which is then known to be there.
    func moveKey(_ key: Bytes, from old: Int64, to new: Int64, names: Bool = false) {
        if old != new, old != 0 { pending.delete(layout.leaseKey(LeaseID(old), key)) }
        if names { pending.put(layout.leaseKey(LeaseID(new), key), StoredLeaseKey.value) }
    }
}

extension ShardView {
    func lease(_ id: LeaseID) throws(RecordStoreError) -> Lease? {
        let row = layout.lease(id)
        guard let raw = try tables.value(for: row) else { return nil }
        return try StoredLease.decode(raw, id: id, under: row)
    }
}
