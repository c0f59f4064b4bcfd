import Primitives

/// What the log remembers of a group when it is opened.
///
/// Invariants:
/// 1. `firstIndex == truncatedThrough.next`; the log is empty when `lastIndex == truncatedThrough`.
/// 2. `termRuns` ascend strictly in index and in term and begin at `firstIndex`; they are empty
///    exactly when the log is.
package struct RecoveredGroup: Hashable, Sendable {
    package var group: GroupID
    package var hardState: HardState
    /// The last entry removed from the front of the log, zero when none was.
    package var truncatedThrough: LogIndex
    package var truncatedTerm: Term
    package var lastIndex: LogIndex
    package var termRuns: [TermRun]
    /// The stamp of the last entry, or of the last one truncated when the log is empty.
    package var lastTimestamp: HybridTimestamp

    package var firstIndex: LogIndex { truncatedThrough.next }
    package var lastTerm: Term { termRuns.last?.term ?? truncatedTerm }

    package init(
        group: GroupID, hardState: HardState = HardState(), truncatedThrough: LogIndex = .zero,
        truncatedTerm: Term = .zero, lastIndex: LogIndex = .zero, termRuns: [TermRun] = [],
        lastTimestamp: HybridTimestamp = .zero
    ) {
        self.group = group
        self.hardState = hardState
        self.truncatedThrough = truncatedThrough
        self.truncatedTerm = truncatedTerm
        self.lastIndex = lastIndex
        self.termRuns = termRuns
        self.lastTimestamp = lastTimestamp
    }
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

    package init() {}
}
