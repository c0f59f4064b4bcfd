import Primitives
import RecordModel

extension RecordReader {
    package func lease(_ id: LeaseID) throws(RecordReadFailure) -> Lease? {
        let shard = try shard()
        return try reading { () throws(RecordStoreError) in try shard.lease(id) }
    }

    /// In the order of their ids.
    package func leases() throws(RecordReadFailure) -> [Lease] {
        let shard = try shard()
        return try reading { () throws(RecordStoreError) in try shard.leases() }
    }

    /// The keys that end with a lease, in their order.
    package func keys(of id: LeaseID) throws(RecordReadFailure) -> [Bytes] {
        let shard = try shard()
        return try reading { () throws(RecordStoreError) in
            var keys: [Bytes] = []
            let cursor = try shard.tables.cursor(layout.leaseKeys(of: id))
            while let raw = cursor.key {
                keys.append(try layout.key(ofLeaseKey: raw))
                try cursor.advance()
            }
            return keys
        }
    }
}

extension RecordStore {
    /// All leases as they are now, in the order of their ids: none while the shard is being restored.
    package func leases() throws(RecordStoreError) -> [Lease] {
        let reader = try makeReader()
        do throws(RecordReadFailure) {
            return try reader.leases()
        } catch {
            switch error {
            case .refused: return []
            case .store(let failure): throw failure
            }
        }
    }
}

extension ShardView {
    fileprivate func leases() throws(RecordStoreError) -> [Lease] {
        var leases: [Lease] = []
        let cursor = try tables.cursor(layout.leasesRange)
        while let raw = cursor.key {
            let id = try layout.id(ofLease: raw)
            leases.append(try StoredLease.decode(cursor.value, id: id, under: raw))
            try cursor.advance()
        }
        return leases
    }
}
