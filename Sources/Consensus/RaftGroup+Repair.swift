import Primitives

// Entries whose contents the disk has lost come back from any replica that holds them
// (Protocol-Aware Recovery, FAST '18): index and term say which entry it is.
extension RaftGroup {
    /// The log found that it cannot read these entries any more.
    package mutating func damaged(_ indexes: ClosedRange<LogIndex>) -> Effects {
        finishEvent()
    }

    mutating func receivedEntriesWanted(_ wanted: [WantedEntries], from peer: ReplicaID) {}
    mutating func receivedEntriesFound(_ entries: [LogEntry], from peer: ReplicaID) {}
}
