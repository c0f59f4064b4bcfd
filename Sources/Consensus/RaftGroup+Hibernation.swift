import Primitives

/// Why a sleeping group must look around.
package enum WakeReason: Hashable, Sendable {
    /// Somebody wants to read, to write or to change something. What follows wakes it anyway; a
    /// follower that is woken so tells its leader.
    case request
    /// A node has not been heard for an election timeout.
    case nodeLost(NodeID)
    /// The deadline that the shell had set is here: a lease of a client may have run out.
    case deadline
}

// Sleep: nobody ticks a group that has nothing to do, and no heartbeat is sent for it. What a
// heartbeat proves for each group is then proved for all groups of a node at once (`MultiRaft`).
extension RaftGroup {
    /// Whether the shell need not call `ticked` until something happens.
    package var isHibernating: Bool { false }

    /// Where the leader sits, as far as known: the node whose loss `woken(.nodeLost)` tells.
    package var leaderNode: NodeID? { leader.flatMap { configuration.member($0)?.node } }

    package mutating func woken(_ reason: WakeReason) -> Effects {
        finishEvent()
    }
}
