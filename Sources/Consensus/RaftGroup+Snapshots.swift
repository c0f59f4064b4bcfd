import Primitives

// Snapshots are pulled: whoever needs one asks a replica that has the state, makes it its own, and
// then goes on with the log. The leader only says that one is needed.
extension RaftGroup {
    /// The shell has made what `Effects.snapshotRequests` asked for.
    ///
    /// - Parameter index: what the state machine had applied; nil when it could not be made.
    package mutating func snapshotMade(_ id: SnapshotID, at index: LogIndex?) -> Effects {
        finishEvent()
    }

    /// The snapshot of `Effects.snapshotFetch` is installed durably, or could not be had.
    package mutating func snapshotEnded(
        _ id: SnapshotID, _ outcome: SnapshotInstallOutcome
    ) -> Effects {
        finishEvent()
    }

    mutating func receivedSnapshotNeeded(atLeast minIndex: LogIndex, sources: [ReplicaID]) {}
    mutating func receivedSnapshotWanted(atLeast minIndex: LogIndex, from peer: ReplicaID) {}
    mutating func receivedSnapshotOffer(_ metadata: SnapshotMetadata, from peer: ReplicaID) {}
}
