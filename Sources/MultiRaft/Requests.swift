import Primitives

/// A command of one of this node's clients.
package struct NodeProposal: Hashable, Sendable {
    /// Unique among all proposals of this node, over its restarts: refusals speak of it.
    package var sequence: UInt64
    package var group: GroupID
    package var command: Bytes
    /// When the client must be told how it stands.
    package var deadline: MonotonicTime

    package init(sequence: UInt64, group: GroupID, command: Bytes, deadline: MonotonicTime) {
        self.sequence = sequence
        self.group = group
        self.command = command
        self.deadline = deadline
    }
}

/// The leader appends these only in exactly this term: so once an entry of a later term is applied,
/// what was forwarded and has not been applied never will be, and may be proposed again.
package struct ForwardedProposals: Hashable, Sendable {
    /// Counts the forwards of the sender's incarnation from 1: a repetition is not appended again.
    package var id: UInt64
    package var group: GroupID
    package var term: Term
    /// Sequence numbers of the origin's proposals, one for each command.
    package var sequences: [UInt64]
    package var commands: [Bytes]

    package init(
        id: UInt64, group: GroupID, term: Term, sequences: [UInt64], commands: [Bytes]
    ) {
        self.id = id
        self.group = group
        self.term = term
        self.sequences = sequences
        self.commands = commands
    }
}

/// The receiver's forwarded commands were not appended, and never will be by that message.
package struct ForwardRefused: Hashable, Sendable {
    package enum Reason: UInt8, Sendable {
        /// Not the leader of that term, or one that hands over: the origin looks for the leader and
        /// sends again.
        case notLeader = 1
        /// The leader's uncommitted tail is full: the client is told to slow down.
        case overloaded = 2
    }
    package var group: GroupID
    package var term: Term
    package var sequences: [UInt64]
    package var reason: Reason

    package init(group: GroupID, term: Term, sequences: [UInt64], reason: Reason) {
        self.group = group
        self.term = term
        self.sequences = sequences
        self.reason = reason
    }
}

/// What the state machine has done.
package struct AppliedReport: Hashable, Sendable {
    package var group: GroupID
    package var through: LogIndex
    /// Of the last entry applied.
    package var term: Term
    /// This node's proposals among the entries; their clients have been answered.
    package var sequences: [UInt64]
    /// Microseconds that later entries must be stamped above, beyond what the log itself says:
    /// a restore brings in stamps that no entry bears.
    package var newestStamp: UInt64

    package init(
        group: GroupID, through: LogIndex, term: Term, sequences: [UInt64] = [],
        newestStamp: UInt64 = 0
    ) {
        self.group = group
        self.through = through
        self.term = term
        self.sequences = sequences
        self.newestStamp = newestStamp
    }
}

/// Why a request of this node's clients got no answer. The cases differ in what may be done next.
package enum RequestFailure: Hashable, Sendable {
    /// Certainly not done: no leader was known until the deadline.
    case noLeader
    /// Certainly not done: a limit of `MultiRaftSettings` or `RaftSettings` is reached.
    case overloaded
    /// Certainly not done: this node has no replica of the group that could answer.
    case notServing
    /// Certainly not done: the node stops.
    case stopping
    /// A proposal was sent, and its fate is not known: it may be applied yet.
    case outcomeUnknown
    /// A read was not confirmed in time.
    case readTimedOut
}
