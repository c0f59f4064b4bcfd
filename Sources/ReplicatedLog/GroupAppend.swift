import Primitives

/// What one group wants to be durable, in the order in which it takes effect: that of the fields.
/// A group may stand in a batch several times: each takes effect behind the one before.
package struct GroupAppend: Sendable {
    package var group: GroupID
    /// All that the log knows of the group is forgotten, hard state and distrust too. Alone, it
    /// removes the group from the log: the node has given its replica up. With a hard state behind it
    /// (`beginning(of:)`) a new replica begins.
    package var isReset: Bool
    /// Where the log begins from now on. Does nothing when it begins there, or later, already.
    package var start: LogStart?
    package var hardState: HardState?
    /// Entries from this index on are dropped: a leader of a later term has others in their place
    /// (thesis §3.5). At most one past the group's last index.
    package var replaceFrom: LogIndex?
    /// Contiguous, beginning one past what is left of the group's log; terms never fall.
    package var entries: ArraySlice<LogEntry>
    /// Contents, from other replicas, of entries that are in the log but damaged
    /// (`RecoveredGroup.damaged`). Each has the index and the term that the log knows.
    package var repaired: [LogEntry]
    /// The newest record of each replica counts.
    package var peers: [PeerRecord]
    /// Clears `RecoveredGroup.distrust` and `peersAreIncomplete`: peers have brought the group up
    /// to date.
    package var isTrustedAgain: Bool

    package init(
        group: GroupID, isReset: Bool = false, start: LogStart? = nil,
        hardState: HardState? = nil, replaceFrom: LogIndex? = nil,
        entries: ArraySlice<LogEntry> = [], repaired: [LogEntry] = [], peers: [PeerRecord] = [],
        isTrustedAgain: Bool = false
    ) {
        self.group = group
        self.isReset = isReset
        self.start = start
        self.hardState = hardState
        self.replaceFrom = replaceFrom
        self.entries = entries
        self.repaired = repaired
        self.peers = peers
        self.isTrustedAgain = isTrustedAgain
    }
}

extension GroupAppend {
    /// A replica begins: nothing of the group was here before that concerns it, and from now on the
    /// log lists the group, however much of it is lost later. Durable before the replica is told
    /// anything, so that a group which the log lacks is known to be forgotten
    /// (`ReplicatedLog.declareComplete`).
    package static func beginning(of group: GroupID) -> GroupAppend {
        GroupAppend(group: group, isReset: true, hardState: HardState())
    }
}
