import Consensus
import Primitives

/// Something of one group.
package struct InGroup<Value: Hashable & Sendable>: Hashable, Sendable {
    package var group: GroupID
    package var value: Value

    package init(_ group: GroupID, _ value: Value) {
        self.group = group
        self.value = value
    }
}

/// What the shell must do after a turn. As in `Effects`, the order is part of the contract:
///
/// - `outgoing` may leave at once, whatever else is here.
/// - `append` goes to the log behind all earlier batches; `append.messagesAfterDurable` leave once it
///   is durable, and `durable(_:)` is called then with its tickets.
/// - `apply` goes to the state machines, each group's in order; `applied(_:)` is called as they
///   advance.
/// - Each of `fetches` is answered once by `fetched(_:_:)`.
/// - `readsReady` may be served now, from what this node has applied.
package struct NodeEffects: Hashable, Sendable {
    /// At most one for each node, ascending.
    package var outgoing: [NodeBatch] = []
    package var append: AppendBatch?
    package var apply: [InGroup<CommittedRange>] = []
    package var fetches: [InGroup<FetchRequest>] = []
    /// Tokens of reads.
    package var readsReady: [InGroup<[UInt64]>] = []
    package var readsFailed: [FailedRequest] = []
    package var proposalsFailed: [FailedRequest] = []
    package var snapshotRequests: [InGroup<SnapshotRequest>] = []
    package var snapshotFetches: [InGroup<SnapshotFetch>] = []
    package var roleChanges: [InGroup<RoleChange>] = []
    package var configurationChanges: [InGroup<ConfigurationEntry>] = []
    package var transfersEnded: [InGroup<TransferResult>] = []
    package var alarms: [InGroup<AlarmChange>] = []
    package var quarantined: [InGroup<QuarantineReason>] = []
    package var nodeChanges: [NodeChange] = []
    /// Groups whose wake deadline is here, awake or not: a client's lease may have run out.
    package var deadlinesReached: [GroupID] = []
    package var faults: [NodeFault] = []
    /// Groups to which something happened in this turn, each once: how they stand may have changed.
    package var touched: [GroupID] = []

    package init() {}

    package var isEmpty: Bool { self == NodeEffects() }
}

/// A proposal, by its sequence, or a read, by its token.
package struct FailedRequest: Hashable, Sendable {
    package var id: UInt64
    package var group: GroupID
    package var failure: RequestFailure

    package init(id: UInt64, group: GroupID, failure: RequestFailure) {
        self.id = id
        self.group = group
        self.failure = failure
    }
}

/// A snapshot to fetch from the node at which `metadata.id.source` sits.
package struct SnapshotFetch: Hashable, Sendable {
    package var metadata: SnapshotMetadata
    /// Nil when no message has told where the source is.
    package var node: NodeID?

    package init(metadata: SnapshotMetadata, node: NodeID?) {
        self.metadata = metadata
        self.node = node
    }
}

package enum NodeChange: Hashable, Sendable {
    /// Not heard for an election timeout, though groups here rely on it; so many are woken for it.
    case lost(NodeID, groupsToWake: Int)
    /// Heard again.
    case heard(NodeID)
    /// It has started anew; so many groups are woken for it.
    case restarted(NodeID, incarnation: UInt64, groupsToWake: Int)
}

/// What no correct peer or disk would have led to; it changed nothing.
package enum NodeFault: Hashable, Sendable {
    case breach(GroupID, ContractBreach)
    /// A node speaks for a seat that the configuration gives to another.
    case foreignSeat(GroupID, ReplicaID, speaker: NodeID)
    /// A message to a replica of which nothing says where it is: it is lost.
    case noAddress(GroupID, ReplicaID)
}
