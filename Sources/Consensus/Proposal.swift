import Primitives

/// A command that a leader is asked to append.
package struct Proposal: Hashable, Sendable {
    package var command: Bytes
    package var semantics: SemanticsLevel

    package init(command: Bytes, semantics: SemanticsLevel = .first) {
        self.command = command
        self.semantics = semantics
    }
}

/// All proposals of one call are accepted, in order, or none is.
package enum ProposalOutcome: Hashable, Sendable {
    /// They are in the leader's log as `first ... through`, not yet committed. They may still be
    /// lost: their fate is known when an entry with one of these indices is handed out, and theirs
    /// are those that carry this term.
    case accepted(term: Term, first: LogIndex, through: LogIndex)
    case refused(ProposalRefusal)
}

package enum ProposalRefusal: Hashable, Sendable {
    case notLeader(leader: ReplicaID?)
    /// `RaftSettings.maxUncommittedBytes`: wait for commits.
    case uncommittedTailFull(bytes: Int, limit: Int)
    /// The leader hands over (thesis §3.10); it ends within an election timeout.
    case transferInProgress(to: ReplicaID)
    /// `RaftSettings.maxEntryBytes`: never acceptable.
    case entryTooLarge(bytes: Int, limit: Int)
}
