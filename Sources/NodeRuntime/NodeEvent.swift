import Consensus
import MultiRaft
import Primitives
import RecordModel
import RecordStore

/// What the consensus thread is told. Its `MultiRaft` owns every group; nobody else touches one.
enum NodeEvent: Sendable {
    case propose(NodeProposal)
    case read(GroupID, ReadWaiter)
    /// As a read, but of nothing that is on disk.
    case confirm(GroupID, ConfirmWaiter)
    case peer(NodeMessages, from: NodeID)
    /// The log holds these durably, and everything of lower tickets.
    case durable([InGroup<AppendTicket>])
    case applied(AppliedReport)
    case fetched(GroupID, FetchedEntries)
    /// A lease of the group may have ended then: it must be awake. Nil: it has none.
    case wakeDeadline(GroupID, MonotonicTime?)
}

/// A read that waits for its index; `run` is called once, on a reading thread or, to fail, on the
/// consensus thread.
struct ReadWaiter: Sendable {
    /// Nanoseconds of CLOCK_MONOTONIC.
    var deadline: UInt64
    var run: @Sendable (Result<RecordReader, NodeError>) -> Void
}

/// Waits until this node has applied what a linearizable read would have to see. `run` is called
/// once, on the consensus thread, and must not block: scans of any client may keep the reading
/// threads, and must not keep a lease from being kept alive.
struct ConfirmWaiter: Sendable {
    /// Nanoseconds of CLOCK_MONOTONIC.
    var deadline: UInt64
    var run: @Sendable (Result<Void, NodeError>) -> Void
}

typealias ProposalCompletion = @Sendable (Result<CommandOutcome, NodeError>) -> Void
