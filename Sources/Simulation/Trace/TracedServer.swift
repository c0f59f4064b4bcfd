import Consensus
import Primitives

/// One replica as the specification sees it: what it has of a server's variables, and no more.
struct TracedServer {
    enum Role: String, CaseIterable {
        case follower = "StateFollower"
        case candidate = "StateCandidate"
        case leader = "StateLeader"

        /// PreVote is not modelled: whoever asks whether it would win is a follower still.
        init(_ role: Consensus.Role) {
            switch role {
            case .follower, .preCandidate: self = .follower
            case .candidate: self = .candidate
            case .leader: self = .leader
            }
        }
    }

    var role: Role
    var term: Term
    var vote: ReplicaID?
    var commit: LogIndex
    /// Length of the log.
    var log: LogIndex

    /// `matchIndex` of a leader for the others.
    var match: [ReplicaID: LogIndex] = [:]
    /// What a leader has appended and its own disk has not acknowledged, in order.
    var ownAppends: [(ticket: AppendTicket, end: LogIndex)] = []
    /// The work that holds a candidate's vote for itself.
    var ownVote: AppendTicket?

    init(_ raft: RaftGroup) {
        role = Role(raft.role)
        term = raft.term
        vote = raft.vote
        commit = raft.commitIndex
        log = raft.lastIndex
    }

    func stands(like raft: RaftGroup) -> Bool {
        role == Role(raft.role) && term == raft.term && vote == raft.vote
            && commit == raft.commitIndex && log == raft.lastIndex
    }

    /// `BecomeFollowerOfTerm`.
    mutating func becomeFollower(of newTerm: Term) {
        if newTerm > term { vote = nil }
        term = newTerm
        role = .follower
        match = [:]
        ownAppends = []
        ownVote = nil
    }

    var summary: String {
        "\(role.rawValue) of term \(term), vote \(vote?.description ?? "none"), commit \(commit), "
            + "log \(log)"
    }
}
