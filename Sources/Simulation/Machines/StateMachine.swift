import Primitives
import RecordModel

/// The state machine of one group on one node, as the simulator drives it: it survives a stop as
/// its disk does.
protocol StateMachine: AnyObject {
    var appliedIndex: LogIndex { get }
    /// Of everything applied, at `appliedIndex`: the same on every replica.
    var digest: UInt64 { get }
    /// At or above the stamps of everything applied.
    var newestTimestamp: HybridTimestamp { get }
    /// The configuration entry applied last; nil when there was none.
    var configuration: (index: LogIndex, encoded: Bytes)? { get }

    /// Applies entries that follow `appliedIndex`; earlier ones are skipped.
    func apply(_ entries: [LogEntry]) throws(MachineFailure) -> [MachineAnswer]

    /// Makes all that was applied durable.
    func flush() throws(MachineFailure)

    /// What a restart after a crash now would go on from, at least.
    func persistedIndex() throws(MachineFailure) -> LogIndex

    /// The state as a snapshot; nil where the machine makes none.
    func snapshot() -> MachineSnapshot?

    /// Takes the snapshot's place, durably.
    func install(_ snapshot: MachineSnapshot)

    /// The process ends.
    /// - Parameter seed: decides what of the unflushed state is kept.
    func stop(seed: UInt64)

    /// Starts over what `stop` left.
    func start() throws(MachineFailure)

    /// The disk is empty.
    func wipe()
}

/// The state cannot be used, or not now; the node stops.
struct MachineFailure: Error, CustomStringConvertible {
    /// The state is gone or cannot be trusted: it must be made anew.
    var isLoss: Bool
    var description: String
}

/// What applying one command gave, for whoever proposed it.
struct MachineAnswer {
    var index: LogIndex
    var proposal: ProposalID
    var answer: WorkloadAnswer
}

/// What a client is told.
enum WorkloadAnswer: Hashable, Sendable {
    case key(KeyAnswer)
    case store(StoreReply)
    /// The command was refused, for good.
    case refused
}

struct MachineSnapshot: Sendable {
    var registers: RegisterState
    var appliedIndex: LogIndex { registers.appliedIndex }
}
