import Primitives

/// Names a lease in its shard: etcd's lease id, chosen by the client or, where it sends 0, by the
/// node that it asks.
package struct LeaseID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: Int64
    package init(_ rawValue: Int64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// No lease: what a record without one holds.
    package static let none = LeaseID(0)

    /// 16 hexadecimal digits, as etcdctl shows it.
    package var description: String {
        let digits = String(UInt64(bitPattern: rawValue), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// A lease as every replica holds it. When it expires is not among this: that is known to the
/// leader alone, on its own clock (docs/leases.md).
package struct Lease: Hashable, Sendable {
    /// etcd's `MaxLeaseTTL`, which clients see as the reason of a refusal.
    package static let secondsMax: Int64 = 9_000_000_000

    package var id: LeaseID
    /// Granted, in seconds; 1 to `secondsMax`.
    package var seconds: Int64
    /// Index of the entry that granted the lease, or took back a checkpoint for a keep-alive: a
    /// decision about the lease names it, and is refused once it is another.
    package var generation: LogIndex
    /// What a leader had left of it when it last said so, in whole seconds rounded up; 0: nobody
    /// said. The next leader begins with this instead of with all.
    package var remainingSeconds: Int64

    package init(
        id: LeaseID, seconds: Int64, generation: LogIndex, remainingSeconds: Int64 = 0
    ) {
        self.id = id
        self.seconds = seconds
        self.generation = generation
        self.remainingSeconds = remainingSeconds
    }
}

/// How much of a lease is left, as its leader sees it.
package struct LeaseCheckpoint: Hashable, Sendable {
    package var id: LeaseID
    package var generation: LogIndex
    /// In seconds, rounded up: 1 to the lease's own.
    package var remainingSeconds: Int64

    package init(id: LeaseID, generation: LogIndex, remainingSeconds: Int64) {
        self.id = id
        self.generation = generation
        self.remainingSeconds = remainingSeconds
    }
}

/// What is asked of the leases of a shard. Grant and revoke are a client's; the others are what the
/// leader of `term` has decided by its clock. They hold only where their entry is of that very term,
/// so that none outlives the leadership in which it was decided (docs/leases.md).
package enum LeaseCommand: Hashable, Sendable {
    case grant(LeaseID, seconds: Int64)
    /// Deletes the lease's keys, all at one revision.
    case revoke(LeaseID)
    /// The same, because its time is up.
    case expire(LeaseID, generation: LogIndex, term: Term)
    case checkpoint([LeaseCheckpoint], term: Term)
    /// A keep-alive of a lease of which a checkpoint says that less than all is left.
    case renew(LeaseID, generation: LogIndex, term: Term)

    /// Leases in one checkpoint: etcd's `maxLeaseCheckpointBatchSize`.
    package static let checkpointsMax = 1_000
}

package enum LeaseResult: Hashable, Sendable {
    case granted(Lease)
    /// Revoked or expired.
    case ended
    case checkpointed
    case renewed
}
