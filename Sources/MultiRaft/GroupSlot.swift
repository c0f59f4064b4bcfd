import Consensus
import Primitives

/// A group on this node, and what the node keeps for it.
struct GroupSlot: Sendable {
    var raft: RaftGroup
    /// Of the configuration in force.
    var seats: [Seat] = []
    /// Of replicas outside it, the latest last: those that spoke, or were members before.
    var learned: [Seat] = []
    /// This node's seat is a witness's.
    var isWitness = false
    /// Nodes of the configuration but this one, ascending.
    var peerNodes: [NodeID] = []
    /// The place in `MultiRaft.active`; nil: asleep.
    var activePosition: Int?
    /// The tick at which the group is woken, whatever else happens.
    var wakeDeadline: UInt64?
    /// The node that led this term has started anew, and so leads it no more.
    var termLostByRestart: Term?
    /// The latest round that left with a heartbeat, and its term: a later one does not wait.
    var sentRound: (term: Term, round: UInt64) = (.zero, 0)

    var proposals = GroupProposals()
    var reads = GroupReads()
    /// Is in `MultiRaft.waiting`.
    var isWaiting = false
    /// Is in `NodeEffects.touched` of this turn.
    var isTouched = false

    /// As the state machine was last reported to stand.
    var appliedIndex: LogIndex
    var appliedTerm: Term = .zero
    var newestStamp: UInt64 = 0
    var snapshotFetch: SnapshotMetadata?

    struct Seat: Sendable {
        let replica: ReplicaID
        let node: NodeID
    }

    init(_ raft: RaftGroup) {
        self.raft = raft
        appliedIndex = raft.appliedIndex
    }

    /// Tells the group what happened, where it is: a copy of so large a value costs more than most
    /// events do.
    mutating func tell(
        _ event: (inout RaftGroup) -> Effects
    ) -> (effects: Effects, sleeps: Bool) {
        let effects = event(&raft)
        return (effects, raft.isHibernating)
    }

    func node(of replica: ReplicaID) -> NodeID? {
        (seats.first { $0.replica == replica } ?? learned.last { $0.replica == replica })?.node
    }

    /// The node of the leader that the group knows.
    var leaderNode: NodeID? { raft.leader.flatMap { node(of: $0) } }

    /// Something waits that a leader, or a turn, could move on.
    var hasWaiting: Bool {
        !proposals.held.isEmpty || !proposals.forwardedHere.isEmpty || !reads.new.isEmpty
    }
}
