import Primitives

/// What the log remembers of a group when it is opened.
///
/// Invariants:
/// 1. `firstIndex == truncatedThrough.next`; the log is empty when `lastIndex == truncatedThrough`.
/// 2. `termRuns` ascend strictly in index and in term and begin at `firstIndex`; they are empty
///    exactly when the log is.
/// 3. `damaged` ranges ascend, do not touch, and lie in `firstIndex...lastIndex`.
package struct RecoveredGroup: Hashable, Sendable {
    package var group: GroupID
    package var hardState: HardState
    /// The last entry removed from the front of the log, zero when none was.
    package var truncatedThrough: LogIndex
    package var truncatedTerm: Term
    /// The configuration in force at `truncatedThrough` and the index of its entry, as the start
    /// said (`LogStart`); empty and zero when the log begins at its beginning.
    package var startConfiguration: Bytes
    package var startConfigurationIndex: LogIndex
    package var lastIndex: LogIndex
    package var termRuns: [TermRun]
    /// The stamp of the last entry that can be read, or of the last one truncated when there is
    /// none.
    package var lastTimestamp: HybridTimestamp
    /// The entries in the log with a configuration as payload, ascending. A damaged one is missing.
    package var configurationEntries: [LogEntry]
    /// Ascending by replica.
    package var peers: [PeerRecord]
    /// Entries whose content is lost and whose index and term are certain. They count for
    /// `lastIndex` and `termRuns`; to read one is `LogError.corruption`, to append one as
    /// `GroupAppend.repaired` mends it.
    package var damaged: [ClosedRange<LogIndex>]
    /// The record of the vote in term `hardState.term` is lost: the vote of that term counts as
    /// given, to nobody knows whom. Ends with a hard state of a higher term.
    package var voteIsUnknown: Bool
    /// Records of peers may be missing from `peers`.
    package var peersAreIncomplete: Bool
    /// Why something of this group that was durable may be forgotten without a name: a vote, a
    /// term, entries behind `lastIndex`. What is returned was true once: a prefix. Such a replica
    /// neither votes nor counts until `GroupAppend.isTrustedAgain`.
    package var distrust: LogDistrust?

    package var isUntrusted: Bool { distrust != nil }
    package var firstIndex: LogIndex { truncatedThrough.next }
    package var lastTerm: Term { termRuns.last?.term ?? truncatedTerm }

    package init(
        group: GroupID, hardState: HardState = HardState(), truncatedThrough: LogIndex = .zero,
        truncatedTerm: Term = .zero, startConfiguration: Bytes = [],
        startConfigurationIndex: LogIndex = .zero, lastIndex: LogIndex = .zero,
        termRuns: [TermRun] = [], lastTimestamp: HybridTimestamp = .zero,
        configurationEntries: [LogEntry] = [], peers: [PeerRecord] = [],
        damaged: [ClosedRange<LogIndex>] = [], voteIsUnknown: Bool = false,
        peersAreIncomplete: Bool = false, distrust: LogDistrust? = nil
    ) {
        self.group = group
        self.hardState = hardState
        self.truncatedThrough = truncatedThrough
        self.truncatedTerm = truncatedTerm
        self.startConfiguration = startConfiguration
        self.startConfigurationIndex = startConfigurationIndex
        self.lastIndex = lastIndex
        self.termRuns = termRuns
        self.lastTimestamp = lastTimestamp
        self.configurationEntries = configurationEntries
        self.peers = peers
        self.damaged = damaged
        self.voteIsUnknown = voteIsUnknown
        self.peersAreIncomplete = peersAreIncomplete
        self.distrust = distrust
    }
}

/// Why a group's part of the log cannot be trusted (`RecoveredGroup.distrust`). The numbers are the
/// format's.
package enum LogDistrust: UInt8, Hashable, Sendable {
    /// Durable records are lost together with their identifiers, and nothing later restates what
    /// the group had.
    case recordsLost = 1
    /// A segment is missing.
    case segmentLost = 2
    /// The start that a snapshot gave the log is lost: index and term are known, its stamp and
    /// configuration are not.
    case startLost = 3
    /// What is intact contradicts itself.
    case contradiction = 4
}

/// What opening the log found and did.
package struct RecoveryReport: Hashable, Sendable {
    package struct TornTail: Hashable, Sendable {
        package var segment: SegmentNumber
        /// Byte offset of the first batch that was dropped.
        package var offset: Int
        /// Bytes that held something and were set back to zero.
        package var droppedBytes: Int
    }

    package var segments = 0
    package var batches = 0
    package var records = 0
    /// How many times this log has been opened, this time included.
    package var epoch: UInt64 = 0
    /// Writes that no sync had followed when the node stopped. Nothing acknowledged was in them.
    package var tornTail: TornTail?
    /// A segment whose creation a crash interrupted; it held nothing and was removed.
    package var discardedSegment: SegmentNumber?
    /// What was found damaged and salvaged this time (`LogSettings.salvagesDamage`), in the order
    /// of the log. What an earlier opening salvaged is in the groups alone.
    package var salvaged: [LogCorruption] = []
    /// Groups may have been forgotten altogether: one that is not listed is not trusted either,
    /// and what is appended for it is distrusted from its first record on, unless that is a reset.
    /// Ends with `ReplicatedLog.declareComplete`.
    package var mayLackGroups = false

    package init() {}
}
