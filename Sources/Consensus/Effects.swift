import Primitives

/// What the shell must do after an event. The order is part of the contract:
///
/// - `messages` may leave at once, whatever else is here.
/// - `append` goes to the log in the order of its tickets. Once that work, and all work of lower
///   tickets, is durable, `appended(_:)` is told, and `append.messagesAfterDurable` leave: no answer to
///   one of them may be handed to the group before it was told.
/// - `committed` is durable in this replica's log already; it goes to the state machine in order,
///   and `applied(through:)` is called as it advances.
/// - Each of `fetches` is answered once by `entriesFetched(_:)`.
/// - `snapshotRequests` and `snapshotFetch` are long work, done beside; the state machine and its
///   applied index are durable before `snapshotEnded(_:.installed)` is called, and nothing that was
///   handed out before is applied after it. A snapshot that is being made or fetched is answered in
///   the end, whatever happens to its source or to the group.
package struct Effects: Hashable, Sendable {
    /// May leave now.
    package var messages: [RaftMessage] = []
    package var append: AppendWork?
    package var committed: [CommittedRange] = []
    /// Linearizable once the state machine has applied the read's index.
    package var readsReady: [ReadReady] = []
    package var readsRefused: [ReadRefused] = []
    package var fetches: [FetchRequest] = []
    /// Snapshots that others want of this replica's state machine: `snapshotMade(_:at:)` answers.
    /// What was made is kept for an election timeout at least, and as long as it is being fetched.
    package var snapshotRequests: [SnapshotRequest] = []
    /// A snapshot to fetch from `id.source` and to install: `snapshotEnded(_:_:)` answers. There is
    /// never a second one before that. `RestoredState.installedSnapshot` must bring it back.
    package var snapshotFetch: SnapshotMetadata?
    /// Role, term or known leader have changed: how they are now.
    package var roleChange: RoleChange?
    /// Another configuration is in force (not necessarily committed): how it is now.
    package var configurationChange: ConfigurationEntry?
    /// How a transfer of leadership that was asked of this replica ended.
    package var transferEnded: TransferResult?
    /// What an operator must hear of: raised, and lowered again.
    package var alarms: [AlarmChange] = []
    /// This replica must be given up: see `Standing.quarantined`. Said once.
    package var quarantined: QuarantineReason?
    /// Messages and answers that no correct peer or disk would have sent; they changed nothing.
    package var faults: [ContractBreach] = []

    package init() {}

    package var isEmpty: Bool { self == Effects() }
}

/// Names one append. Tickets rise by one with each `AppendWork` of a `RaftGroup` value, and storage
/// acknowledges them in that order: an acknowledgement is thus never taken for that of later
/// entries at the same indices (ABA).
package struct AppendTicket: Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One atomic step of the log, in the order of its parts. All of them may be empty: then it only
/// orders its messages behind the work before it.
package struct AppendWork: Hashable, Sendable {
    package var ticket: AppendTicket
    /// The log begins anew behind this: behind the state machine's durable state, or behind
    /// a snapshot that is installed durably.
    package var start: LogStart?
    /// What this replica must remember of others.
    package var peers: [PeerRecord] = []
    /// Contents of entries that the log holds damaged, ascending; they stay where they are in it.
    package var repaired: [LogEntry] = []
    /// Written when term or vote have changed, and along with entries. Its commit index never
    /// exceeds what is durable already.
    package var hardState: HardState?
    /// The log's entries from here on are replaced by `entries`; nil when `entries` only extend it.
    package var replacedFrom: LogIndex?
    /// Contiguous.
    package var entries: [LogEntry]
    package var messagesAfterDurable: [RaftMessage]

    package init(
        ticket: AppendTicket, hardState: HardState?, replacedFrom: LogIndex?,
        entries: [LogEntry], messagesAfterDurable: [RaftMessage]
    ) {
        self.ticket = ticket
        self.hardState = hardState
        self.replacedFrom = replacedFrom
        self.entries = entries
        self.messagesAfterDurable = messagesAfterDurable
    }
}

/// Committed and durable entries for the state machine, each handed out once, in order.
package struct CommittedRange: Hashable, Sendable {
    package var first: LogIndex
    package var through: LogIndex
    /// The entries; nil when they are no longer in memory and must be read from the log, in chunks
    /// of the reader's choice. Those that turn out rotten there are told to `damaged(_:)` and read
    /// again once the work that repairs them (`AppendWork.repaired`) is durable.
    package var entries: [LogEntry]?

    package init(first: LogIndex, through: LogIndex, entries: [LogEntry]?) {
        self.first = first
        self.through = through
        self.entries = entries
    }
}

package struct ReadReady: Hashable, Sendable {
    package var token: UInt64
    package var index: LogIndex

    package init(token: UInt64, index: LogIndex) {
        self.token = token
        self.index = index
    }
}

package struct ReadRefused: Hashable, Sendable {
    package var token: UInt64
    package var reason: ReadRefusal

    package init(token: UInt64, reason: ReadRefusal) {
        self.token = token
        self.reason = reason
    }
}

/// Entries that a replica needs from its own log for another: a leader for a follower far behind, or
/// whoever is asked for what another has lost.
package struct FetchRequest: Hashable, Sendable {
    /// Unique within this `RaftGroup` value; goes back in the answer.
    package var id: UInt64
    package var replica: ReplicaID
    package var first: LogIndex
    package var through: LogIndex
    /// Payload bytes wanted at most; a first entry larger than this is wanted all the same.
    package var maxBytes: Int

    package init(id: UInt64, replica: ReplicaID, first: LogIndex, through: LogIndex, maxBytes: Int)
    {
        self.id = id
        self.replica = replica
        self.first = first
        self.through = through
        self.maxBytes = maxBytes
    }
}

package struct FetchedEntries: Hashable, Sendable {
    package var request: FetchRequest
    /// Contiguous from `request.first`, at least one; nil when the log could not be read: a follower
    /// is tried again at its next sign of life. What is rotten is told to `damaged(_:)` besides.
    package var entries: [LogEntry]?

    package init(request: FetchRequest, entries: [LogEntry]?) {
        self.request = request
        self.entries = entries
    }
}

package enum Role: Hashable, Sendable {
    case follower
    /// Asks whether it would win before it disturbs anyone (thesis §9.6).
    case preCandidate
    case candidate
    case leader
}

package struct RoleChange: Hashable, Sendable {
    package var role: Role
    package var term: Term
    package var leader: ReplicaID?

    package init(role: Role, term: Term, leader: ReplicaID?) {
        self.role = role
        self.term = term
        self.leader = leader
    }
}

/// What a peer or the log did that Raft forbids. The shell reports it; the group has ignored it.
package enum ContractBreach: Hashable, Sendable {
    case wrongGroup(from: ReplicaID, group: GroupID)
    case wrongRecipient(from: ReplicaID, to: ReplicaID)
    /// Entries not contiguous, or with terms or stamps that fall, or terms above the message's.
    case malformedAppend(from: ReplicaID, at: LogIndex)
    /// Two leaders in one term.
    case secondLeader(from: ReplicaID, known: ReplicaID, term: Term)
    /// A leader would replace a committed entry, or one that the term's own leader wrote.
    case conflictWithSettledEntry(from: ReplicaID, at: LogIndex)
    /// A commit index, or an acknowledgement, beyond the end of the log.
    case beyondLog(from: ReplicaID, index: LogIndex, lastIndex: LogIndex)
    /// A read round that this leader has not begun.
    case unknownRound(from: ReplicaID, round: UInt64)
    /// A configuration entry that cannot be read, or does not follow from the one before it.
    case unreadableConfiguration(from: ReplicaID, at: LogIndex)
    /// A message that only a leader sends, from a witness. (A learner may have become a voter by an
    /// entry that this replica has not seen.)
    case notALeader(from: ReplicaID)
    /// Contents of damaged entries that contradict each other or the entries around them.
    case malformedRepair(from: ReplicaID, at: LogIndex)
    /// A snapshot whose place contradicts what is committed here.
    case malformedSnapshot(from: ReplicaID, index: LogIndex)
    /// The log returned entries other than those that it was asked for.
    case wrongEntriesFetched(first: LogIndex, at: LogIndex)
}

package enum TransferResult: Hashable, Sendable {
    /// The target leads a later term.
    case done(leader: ReplicaID, term: Term)
    /// Within `RaftSettings.electionTimeoutTicks` it did not come to lead; this replica serves again
    /// if it still leads.
    case timedOut
    /// This replica lost its leadership to another than the target, or to nobody yet.
    case leadershipLost
}

package enum TransferOutcome: Hashable, Sendable {
    /// Proposals are refused until `Effects.transferEnded`.
    case begun(to: ReplicaID)
    case refused(TransferRefusal)
}

package enum TransferRefusal: Hashable, Sendable {
    case notLeader(leader: ReplicaID?)
    /// A learner, a witness, an outgoing voter, this replica itself, or nobody that the group knows.
    case ineligible(ReplicaID)
    /// Nobody else could lead.
    case noTarget
    case transferInProgress(to: ReplicaID)
}

package enum Alarm: Hashable, Sendable {
    /// Entries are durable at a quorum, and commit waits because too few zones have them.
    case zoneRuleUnmet(zones: Int, needed: Int)
    case zoneRuleOverridden
    /// A member has forgotten what it had acknowledged.
    case memberQuarantined(ReplicaID)
    /// Entries whose contents are lost here, and that no peer has supplied so far.
    case entriesDamaged(first: LogIndex, through: LogIndex)
    /// The state is lost or behind the log's beginning, and no peer has offered one so far: nothing is
    /// applied here.
    case stateMissing
}

package enum AlarmChange: Hashable, Sendable {
    case raised(Alarm)
    case lowered(Alarm)
}

package enum QuarantineReason: Hashable, Sendable {
    /// A peer remembers more than this replica.
    case behindRecord(of: ReplicaID, PeerRecord)
    /// A peer remembers another start with this one's incarnation.
    case startedTwice(of: ReplicaID)
    /// It was quarantined at an earlier start.
    case quarantinedBefore
    /// The log has lost something, and nothing says what.
    case untrustedLog
}
