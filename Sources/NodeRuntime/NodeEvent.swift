import Consensus
import Primitives
import RecordModel
import RecordStore
import WireProtocol

/// What the consensus thread is told. It owns every `RaftGroup`; nobody else touches one.
enum NodeEvent: Sendable {
    case propose(PendingProposal)
    case read(GroupID, ReadWaiter)
    case peer([RaftMessage])
    case forwarded(ForwardedProposals, from: NodeID)
    case forwardRefused(ForwardRefused)
    /// The log holds these durably, and everything of lower tickets.
    case durable([GroupID: AppendTicket])
    case applied(AppliedReport)
    case fetched(GroupID, FetchedEntries)
}

/// A command of one of this node's clients, until its answer or its deadline.
struct PendingProposal: Sendable {
    var sequence: UInt64
    var group: GroupID
    var command: Bytes
    /// Nanoseconds of CLOCK_MONOTONIC.
    var deadline: UInt64
    /// The term in which it was last appended or forwarded; nil: certainly not in any log.
    var sentTerm: Term?
}

/// A read that waits for its index; `run` is called once, on a reading thread or, to fail, on the
/// consensus thread.
struct ReadWaiter: Sendable {
    /// Nanoseconds of CLOCK_MONOTONIC.
    var deadline: UInt64
    var run: @Sendable (Result<RecordReader, NodeError>) -> Void
}

/// What the applying thread has done.
struct AppliedReport: Sendable {
    var group: GroupID
    var through: LogIndex
    /// Of the last entry applied.
    var term: Term
    /// This node's proposals among the entries; their clients have been answered.
    var sequences: [UInt64]
}

typealias ProposalCompletion = @Sendable (Result<CommandOutcome, NodeError>) -> Void
