package import Primitives

/// One replica of one Raft group, as a value: each method tells it what happened, and returns what
/// to do.
package struct RaftGroup: Sendable {
    package let group: GroupID
    package let replica: ReplicaID
    package let settings: RaftSettings

    /// - Parameter seed: of the randomised election timeouts; differs between replicas.
    /// - Throws: `RestoreFailure` when the disk's parts contradict each other.
    package init(
        group: GroupID, replica: ReplicaID, settings: RaftSettings, restored: RestoredState,
        seed: UInt64
    ) throws(RestoreFailure) {
        self.group = group
        self.replica = replica
        self.settings = settings
        fatalError("in progress")
    }

    package var role: Role { fatalError("in progress") }
    package var term: Term { fatalError("in progress") }
    /// The leader of this term, as far as known.
    package var leader: ReplicaID? { fatalError("in progress") }
    package var commitIndex: LogIndex { fatalError("in progress") }
    package var appliedIndex: LogIndex { fatalError("in progress") }
    package var firstIndex: LogIndex { fatalError("in progress") }
    package var lastIndex: LogIndex { fatalError("in progress") }
    package var durableIndex: LogIndex { fatalError("in progress") }
    package var configuration: Configuration { fatalError("in progress") }

    /// After `init`, once: hands out what is committed and not yet applied; a group with one voter
    /// campaigns with its first ticks like any other.
    package mutating func started() -> Effects { fatalError("in progress") }
    /// One tick of the shell's clock has passed.
    package mutating func ticked() -> Effects { fatalError("in progress") }
    package mutating func received(_ message: RaftMessage) -> Effects { fatalError("in progress") }
    /// - Parameter wallClock: microseconds since 1970, as this node's clock reads now.
    package mutating func proposed(
        _ proposals: [Proposal], wallClock: UInt64
    ) -> (ProposalOutcome, Effects) { fatalError("in progress") }
    /// Each token ends once, in `readsReady` or `readsRefused`, of this call or a later one.
    package mutating func readRequested(_ token: UInt64) -> Effects { fatalError("in progress") }
    /// Several reads at once share one confirmation of leadership.
    package mutating func readsRequested(_ tokens: [UInt64]) -> Effects {
        fatalError("in progress")
    }
    /// The work of this ticket, and of all before it, is durable.
    package mutating func appended(_ ticket: AppendTicket) -> Effects { fatalError("in progress") }
    /// The state machine has applied everything up to here.
    package mutating func applied(through index: LogIndex) -> Effects { fatalError("in progress") }
    package mutating func entriesFetched(_ fetched: FetchedEntries) -> Effects {
        fatalError("in progress")
    }
}
