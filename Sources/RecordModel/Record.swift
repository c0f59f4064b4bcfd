import Primitives

/// A name and value under which a record can be found, written atomically with it and held in the
/// record's own shard. A record may carry several terms of one name.
package struct IndexTerm: Hashable, Comparable, Sendable {
    package var name: Bytes
    package var value: Bytes
    package init(name: Bytes, value: Bytes) {
        self.name = name
        self.value = value
    }
    package static func < (a: Self, b: Self) -> Bool {
        if a.name != b.name { return a.name.lexicographicallyPrecedes(b.name) }
        return a.value.lexicographicallyPrecedes(b.value)
    }
}

/// The newest version of a key, or a past one. The field meanings are those of etcd's
/// `mvccpb.KeyValue`; `timestamp` and `terms` are ours.
package struct Record: Hashable, Sendable {
    package var key: Bytes
    package var value: Bytes
    /// Revision of the put that created the key (after its last deletion).
    package var createRevision: Revision
    /// Revision of the put that wrote this version.
    package var modRevision: Revision
    /// 1 at creation, raised by one with each put, back to 1 after a deletion.
    package var version: Int64
    /// 0: no lease.
    package var lease: Int64
    /// Stamp of the entry that wrote this version.
    package var timestamp: HybridTimestamp
    /// Sorted, without duplicates.
    package var terms: [IndexTerm]

    package init(
        key: Bytes, value: Bytes, createRevision: Revision, modRevision: Revision, version: Int64,
        lease: Int64 = 0, timestamp: HybridTimestamp, terms: [IndexTerm] = []
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
        self.timestamp = timestamp
        self.terms = terms
    }
}

/// One version of one key in its history: a put, or the deletion that ended the key's life.
package struct RecordVersion: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case put(Record)
        case deletion
    }
    package var key: Bytes
    package var modRevision: Revision
    /// Order among the changes of one revision, from 0.
    package var subRevision: UInt32
    package var timestamp: HybridTimestamp
    package var kind: Kind

    package init(
        key: Bytes, modRevision: Revision, subRevision: UInt32, timestamp: HybridTimestamp,
        kind: Kind
    ) {
        self.key = key
        self.modRevision = modRevision
        self.subRevision = subRevision
        self.timestamp = timestamp
        self.kind = kind
    }
}
