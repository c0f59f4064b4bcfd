import Primitives

// Leadership transfer: thesis §3.10.
extension RaftGroup {
    /// Asks a leader to hand over.
    ///
    /// - Parameter target: a voter; nil for whoever suits best.
    package mutating func transferRequested(
        to target: ReplicaID?
    ) -> (TransferOutcome, Effects) {
        (.refused(.notLeader(leader: leader)), finishEvent())
    }

    mutating func receivedTimeoutNow(from peer: ReplicaID) {}
}
