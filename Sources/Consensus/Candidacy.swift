import Primitives

/// What is true only while a replica campaigns.
struct Candidacy: Sendable {
    enum Stage: Hashable, Sendable {
        /// Would a majority vote for me? (thesis §9.6)
        case preVote
        /// - Parameter ownVote: the append that makes the candidate's term and its vote for itself
        ///   durable. It counts only then.
        case vote(ownVote: AppendTicket)
    }

    let stage: Stage
    /// The last leader has handed over to this replica.
    var isTransfer = false
    /// One answer per voter, the first: voters do not change their minds within a term.
    private var votes: [(voter: ReplicaID, granted: Bool)] = []

    init(_ stage: Stage) { self.stage = stage }

    mutating func record(_ voter: ReplicaID, granted: Bool) {
        if vote(of: voter) == nil { votes.append((voter, granted)) }
    }

    func vote(of voter: ReplicaID) -> Bool? {
        votes.first { $0.voter == voter }?.granted
    }
}
