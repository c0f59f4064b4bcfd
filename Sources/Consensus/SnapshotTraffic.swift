import Primitives

/// Snapshots on their way to this replica and from it.
struct SnapshotTraffic: Sendable {
    /// Set while this replica looks for one.
    var search: SnapshotSearch?
    /// Set while the shell makes one. One at a time: whoever else wants one shares it.
    var making: SnapshotInMaking?
    /// The last one made: within an election timeout it is offered again.
    var made: (metadata: SnapshotMetadata, at: UInt64)?
    var nextSequence: UInt64 = 1
    /// How long nobody has had a state for this replica, which has none.
    var ticksWithoutState = 0
    var isAlarmed = false
}

struct SnapshotSearch: Sendable {
    /// Sources that a search goes through; those that a message names beyond are ignored.
    static let sourcesMax = 8

    var minIndex: LogIndex
    /// In the order of preference. Not empty.
    var sources: [ReplicaID]
    /// The one in turn.
    var position = 0
    var stage = Stage.asking(ticks: 0)

    enum Stage: Hashable, Sendable {
        /// - Parameter ticks: since the one in turn was asked.
        case asking(ticks: Int)
        /// An offer is taken, and fetched once the term in which it was made is durable here: what
        /// is known to be committed was committed in a term that this replica has entered, lest it
        /// acknowledge it to an earlier leader that does not have it.
        case accepted(SnapshotMetadata, after: AppendTicket)
        case fetching(SnapshotMetadata)
    }

    /// The snapshot that may be installed any moment.
    var taken: SnapshotMetadata? {
        switch stage {
        case .asking: nil
        case .accepted(let metadata, _), .fetching(let metadata): metadata
        }
    }
}

struct SnapshotInMaking: Sendable {
    /// Those that may share one snapshot. Others must ask again, or ask elsewhere.
    static let requestersMax = 16

    let id: SnapshotID
    /// What was applied when it was asked for: the log is not truncated beyond it, so that the term
    /// of the snapshot's place is known when it is made.
    let floor: LogIndex
    /// Each once.
    var requesters: [(replica: ReplicaID, minIndex: LogIndex)]
}
