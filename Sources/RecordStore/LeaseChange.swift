import RecordModel

/// What an entry has done to the shard's leases: what every replica's `LeaseClock` is told.
package enum LeaseChange: Hashable, Sendable {
    /// Granted, or another generation of it after a keep-alive took back a checkpoint: all of it is
    /// left.
    case begun(Lease)
    case checkpointed(Lease)
    case ended(LeaseID)
    /// A restore has taken all of them away.
    case cleared
}
