import RecordModel

/// Why a node did not answer a request. The cases differ in what the caller may do next.
package enum NodeError: Error, Hashable, Sendable {
    /// Certainly not done: no leader was known until the deadline. Try again, or another node.
    case noLeader
    /// Certainly not done: a queue is full (`NodeLimits`). Try again later.
    case overloaded
    /// Certainly not done, and never will be: larger than a log entry may be.
    case tooLarge(bytes: Int, limit: Int)
    /// Certainly not done: the node is stopping.
    case stopping
    /// A write was proposed and its fate is not known: it may be applied yet.
    case outcomeUnknown
    /// A read was not confirmed in time. Reads change nothing: try again.
    case readTimedOut
    /// This node's storage failed; the text is for the operator.
    case storage(String)
    /// The state machine refused, on every replica alike.
    case refused(CommandRefusal)
}

/// Everything of a node that queues, and how much of it. At a limit requests are refused with
/// `NodeError.overloaded`; nothing is dropped in silence.
package enum NodeLimits {
    /// Requests of clients that wait for the consensus thread.
    static let consensusMailbox = 65_536
    /// Proposals of this node's clients without an answer yet.
    static let pendingProposals = 65_536
    /// Bytes of those proposals.
    static let pendingProposalBytes = 256 << 20
    /// Linearizable reads that wait for their index.
    static let waitingReads = 65_536
    /// Committed entries of a group that wait for the state machine. At the limit the leader takes
    /// no more proposals: a stalled disk must not let the log run away from the state.
    static let applyBacklogEntries: UInt64 = 10_000
    /// Questions about leases without an answer yet, of clients and of other nodes.
    static let leaseQuestions = 65_536
    /// Keep-alives on one stream without an answer yet: beyond it the stream is not read.
    static let keepAlivesPerStream = 256
    /// Batches of reads that wait for a reading thread.
    static let readMailbox = 65_536
    /// Bytes of one command: one log entry.
    package static let commandBytes = 32 << 20
    /// Threads that serve reads from the engine.
    static let readThreads = 2
    /// Requests on one watch stream that wait to be answered; above it the stream is not read.
    static let watchRequests = 128
    /// Recovery points that a node streams at once.
    static let concurrentSnapshots = 2
    /// Answers of storage to the consensus thread are few and never refused.
    static let internalMailbox = 1 << 20
}
