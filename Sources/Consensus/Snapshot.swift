import Primitives

/// Names a snapshot of the state machine, on the node that made it. The state itself travels
/// outside consensus: whoever wants it asks `source` for it by this name.
package struct SnapshotID: Hashable, Sendable {
    package var source: ReplicaID
    package var incarnation: UInt64
    package var sequence: UInt64

    package init(source: ReplicaID, incarnation: UInt64, sequence: UInt64) {
        self.source = source
        self.incarnation = incarnation
        self.sequence = sequence
    }
}

/// What a snapshot stands for: the state after the committed entry `index`.
package struct SnapshotMetadata: Hashable, Sendable {
    package var id: SnapshotID
    package var index: LogIndex
    package var term: Term
    package var timestamp: HybridTimestamp
    package var configuration: ConfigurationEntry

    package init(
        id: SnapshotID, index: LogIndex, term: Term, timestamp: HybridTimestamp,
        configuration: ConfigurationEntry
    ) {
        self.id = id
        self.index = index
        self.term = term
        self.timestamp = timestamp
        self.configuration = configuration
    }
}

/// The shell shall make a snapshot of the state machine as it is now, and call
/// `snapshotMade(_:at:)`.
package struct SnapshotRequest: Hashable, Sendable {
    package var id: SnapshotID
    /// Who asked for it.
    package var replica: ReplicaID

    package init(id: SnapshotID, replica: ReplicaID) {
        self.id = id
        self.replica = replica
    }
}

/// How making, fetching or installing a snapshot ended.
package enum SnapshotInstallOutcome: Hashable, Sendable {
    /// The state machine durably is what the snapshot holds.
    case installed
    /// It could not be had: another is asked for.
    case failed
}
