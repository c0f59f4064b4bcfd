import Primitives

/// What one group wants to be durable, in the order in which it takes effect: first the hard state,
/// then the removal of a suffix, then the entries.
package struct GroupAppend: Sendable {
    package var group: GroupID
    package var hardState: HardState?
    /// Entries from this index on are dropped: a leader of a later term has others in their place
    /// (thesis §3.5). At most one past the group's last index.
    package var replaceFrom: LogIndex?
    /// Contiguous, beginning one past what is left of the group's log; terms never fall.
    package var entries: ArraySlice<LogEntry>

    package init(
        group: GroupID, hardState: HardState? = nil, replaceFrom: LogIndex? = nil,
        entries: ArraySlice<LogEntry> = []
    ) {
        self.group = group
        self.hardState = hardState
        self.replaceFrom = replaceFrom
        self.entries = entries
    }
}
