/// The limits and intervals of all groups of a node together. Ticks are those of its groups'
/// `RaftSettings`, and every node of a cluster has the same.
package struct MultiRaftSettings: Hashable, Sendable {
    /// Ticks between two batches of heartbeats to a node: the groups' `heartbeatTicks`.
    package var heartbeatTicks: Int
    /// Ticks of silence after which a node counts as lost: the groups' `electionTimeoutTicks`.
    package var electionTimeoutTicks: Int
    /// Proposals of this node's clients without an outcome yet. Beyond it they are refused as
    /// `overloaded`.
    package var maxPendingProposals: Int
    /// Linearizable reads of this node's clients that wait for their index, or for the state machine
    /// to reach it. Beyond it they are refused as `overloaded`.
    package var maxWaitingReads: Int
    /// Committed entries of a group that wait for the state machine. Beyond it its leader takes no
    /// proposals: a stalled state machine must not let the log run away from it.
    package var maxApplyBacklog: UInt64
    /// Bytes of commands in one forward to a leader; a single larger command travels alone.
    package var maxForwardBytes: Int
    /// Places of replicas outside a group's configuration that are remembered, by group. Beyond it
    /// the oldest is forgotten, and what is said to it is lost until it speaks again.
    package var maxLearnedSeats: Int

    package init(
        heartbeatTicks: Int = 1, electionTimeoutTicks: Int = 10,
        maxPendingProposals: Int = 65_536, maxWaitingReads: Int = 65_536,
        maxApplyBacklog: UInt64 = 10_000, maxForwardBytes: Int = 4 << 20,
        maxLearnedSeats: Int = 16
    ) {
        precondition(
            heartbeatTicks >= 1 && electionTimeoutTicks > heartbeatTicks,
            "heartbeatTicks \(heartbeatTicks), electionTimeoutTicks \(electionTimeoutTicks)")
        precondition(
            maxPendingProposals > 0 && maxWaitingReads > 0 && maxApplyBacklog > 0
                && maxForwardBytes > 0 && maxLearnedSeats > 0, "every limit is above zero")
        self.heartbeatTicks = heartbeatTicks
        self.electionTimeoutTicks = electionTimeoutTicks
        self.maxPendingProposals = maxPendingProposals
        self.maxWaitingReads = maxWaitingReads
        self.maxApplyBacklog = maxApplyBacklog
        self.maxForwardBytes = maxForwardBytes
        self.maxLearnedSeats = maxLearnedSeats
    }
}
