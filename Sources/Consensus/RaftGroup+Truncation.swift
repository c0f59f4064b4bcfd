import Primitives

// The log's front goes once nobody needs it.
extension RaftGroup {
    /// The state machine durably is at this index: a restart would go on from there.
    package mutating func persisted(through index: LogIndex) -> Effects {
        finishEvent()
    }
}
