import Consensus
import Primitives

/// All Raft groups of one node, as a value: everything that happens to the node goes in, and once
/// per turn `endTurn` says what to do. It decides what a single `RaftGroup` cannot: what the groups
/// say to a node goes as one batch, what they write as another; a proposal finds its leader and is
/// in the log at most once; a read waits until the state machine has reached its index; groups that
/// have nothing to do cost nothing, and are woken when a node that they rely on is lost.
///
/// The shell (a thread, or a simulator) calls one method for each event, then `endTurn`, and performs
/// what that returns. There is no other order between events than the one in which they are told.
///
/// Invariants, checked by `checkInvariants(since:)`:
///
/// 1. A group is active exactly when it is not hibernating; `active` holds each active group once.
/// 2. `PeerNode.sleepers` counts the sleeping groups that have a member on that node.
/// 3. A pending proposal waits in `held` or has been sent in a term, never both; one that was sent in
///    a term below that of an applied entry is held again.
/// 4. Proposals and reads that wait are counted, and never more than their limits.
/// 5. Each read that waits is in exactly one place: not asked for, asked for, or waiting for apply.
/// 6. A group with something that waits to be sent is in `waiting`.
/// 7. A wake deadline that is not reached is in `deadlines`.
/// 8. Learned seats do not exceed their limit, and none is in the group's configuration.
///
/// Between an earlier moment and a later one:
///
/// 9. `ticks` and the incarnation of each peer never fall.
/// 10. The applied index of a group never falls.
package struct MultiRaft: Sendable {
    package let node: NodeID
    /// Counts this node's starts.
    package let incarnation: UInt64
    package let settings: MultiRaftSettings

    /// In no order that means anything; `places` finds them.
    var slots: [GroupSlot] = []
    var places: [GroupID: Int] = [:]
    /// Groups that are ticked.
    var active: [GroupID] = []
    /// Since the start.
    package internal(set) var ticks: UInt64 = 0
    /// Nodes that members of the groups sit on, ascending.
    var peers: [PeerNode] = []
    /// Groups to be told that a node is lost.
    var wakes = WakeQueue()
    var deadlines = DeadlineQueue()
    /// Draws when groups are told that a node is lost.
    var generator: SeededGenerator

    /// Groups with proposals or reads to be sent as soon as there is a leader.
    var waiting: [GroupID] = []
    var proposalDeadlines = RequestDeadlines()
    var readDeadlines = RequestDeadlines()
    var pendingProposals = 0
    /// Tokens of reads without an answer yet.
    var outstandingReads: Set<UInt64> = []
    var nextReadBatch: UInt64 = 1
    var nextForward: UInt64 = 1

    /// Heartbeats of this interval, until it ends.
    var heldHeartbeats: [(to: NodeID, message: RaftMessage)] = []
    /// Groups are being ticked.
    var isTicking = false
    var turn = Turn()
    /// How much has been done, for metrics and for tests of what nothing costs.
    package internal(set) var counters = MultiRaftCounters()
    /// Every event of a group is kept until `takeSteps()`. For models and checkers.
    package var recordsSteps = false
    var steps: [GroupStep] = []

    /// - Parameters:
    ///   - groups: at most one replica of each group; they are started by `started()`.
    ///   - seed: of when groups are told that a node is lost; differs between nodes.
    package init(
        node: NodeID, incarnation: UInt64, settings: MultiRaftSettings, groups: [RaftGroup] = [],
        seed: UInt64
    ) {
        self.node = node
        self.incarnation = incarnation
        self.settings = settings
        generator = SeededGenerator(seed: seed)
        slots.reserveCapacity(groups.count)
        places.reserveCapacity(groups.count)
        for group in groups { insert(group) }
    }

    /// What a turn has led to so far.
    struct Turn: Sendable {
        var effects = NodeEffects()
        var append = AppendBatch()
        var outgoing = Outbox()
        var afterDurable = Outbox()
    }

    // MARK: How it stands

    /// Ascending.
    package var groups: [GroupID] { places.keys.sorted() }
    package var groupCount: Int { slots.count }
    package var activeCount: Int { active.count }

    package func contains(_ group: GroupID) -> Bool { places[group] != nil }

    /// The group's own state; nil when it is not here.
    package func group(_ id: GroupID) -> RaftGroup? { places[id].map { slots[$0].raft } }

    /// What the state machine was last reported to have applied.
    package func appliedIndex(of group: GroupID) -> LogIndex? {
        places[group].map { slots[$0].appliedIndex }
    }

    package func isAsleep(_ group: GroupID) -> Bool {
        places[group].map { slots[$0].activePosition == nil } ?? false
    }

    /// Where a replica of a group is, as far as known.
    package func node(of replica: ReplicaID, in group: GroupID) -> NodeID? {
        places[group].flatMap { slots[$0].node(of: replica) }
    }
}

package struct MultiRaftCounters: Hashable, Sendable {
    /// Events that any group was told.
    package var groupEvents: UInt64 = 0
    /// Ticks among them.
    package var groupTicks: UInt64 = 0
    package var wakes: UInt64 = 0
    /// Batches that left.
    package var batchesSent: UInt64 = 0
    /// Messages of groups in them.
    package var messagesSent: UInt64 = 0
    /// Batches that held nothing but a node's sign of life.
    package var signsOfLifeSent: UInt64 = 0

    package init() {}
}
