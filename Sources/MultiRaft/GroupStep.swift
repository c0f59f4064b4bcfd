import Consensus

/// One event of one group with what came of it, for whoever holds the group against a model.
/// Recorded only where `MultiRaft.recordsSteps` is set: each step keeps two copies of the group.
package struct GroupStep: Sendable {
    package enum Cause: Hashable, Sendable {
        case received(RaftMessage)
        case appended(AppendTicket)
        /// Ticks, requests, and whatever else no model tells apart.
        case other
    }

    package var before: RaftGroup
    package var cause: Cause
    package var after: RaftGroup
    package var effects: Effects

    package init(before: RaftGroup, cause: Cause, after: RaftGroup, effects: Effects) {
        self.before = before
        self.cause = cause
        self.after = after
        self.effects = effects
    }
}

extension MultiRaft {
    /// The steps recorded since the last call, in their order.
    package mutating func takeSteps() -> [GroupStep] {
        defer { steps = [] }
        return steps
    }
}
