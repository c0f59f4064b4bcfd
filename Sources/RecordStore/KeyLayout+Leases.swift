import Primitives
import RecordModel

/// Leases belong to the shard: `leases` and `lease_keys` are owned as `revisions` is.
extension KeyLayout {
    var leasesRange: RawRange { all(.leases, segment) }
    var leaseKeysRange: RawRange { all(.leaseKeys, segment) }

    func lease(_ id: LeaseID) -> Bytes {
        var raw = prefix(.leases, segment, reserving: 8)
        Self.append(id, to: &raw)
        return raw
    }

    func id(ofLease raw: Bytes) throws(RecordStoreError) -> LeaseID {
        guard raw.count == Self.prefixBytes + 8 else { throw .corruptRow(table: "leases", nil) }
        return Self.leaseID(raw[Self.prefixBytes...])
    }

    /// The row that says that the key ends with the lease.
    func leaseKey(_ id: LeaseID, _ key: Bytes) -> Bytes {
        var raw = prefix(.leaseKeys, segment, reserving: 8 + key.count + 8)
        Self.append(id, to: &raw)
        OrderedBytes.append(key, to: &raw)
        return raw
    }

    /// All keys of a lease.
    func leaseKeys(of id: LeaseID) -> RawRange {
        var lower = prefix(.leaseKeys, segment, reserving: 8)
        Self.append(id, to: &lower)
        return RawRange(lower: lower, upper: lower.prefixSuccessor ?? leaseKeysRange.upper)
    }

    func key(ofLeaseKey raw: Bytes) throws(RecordStoreError) -> Bytes {
        var offset = Self.prefixBytes + 8
        guard raw.count > offset, let key = OrderedBytes.read(raw, at: &offset),
            offset == raw.count
        else { throw .corruptRow(table: "leaseKeys", nil) }
        return key
    }

    /// With the sign turned, so that byte order is the order of ids.
    private static func append(_ id: LeaseID, to raw: inout Bytes) {
        appendBigEndian(UInt64(bitPattern: id.rawValue) ^ (1 << 63), to: &raw)
    }

    private static func leaseID(_ raw: ArraySlice<UInt8>) -> LeaseID {
        let ordered = raw.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return LeaseID(Int64(bitPattern: ordered ^ (1 << 63)))
    }
}
