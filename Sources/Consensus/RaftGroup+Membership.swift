import Primitives

// Membership changes: thesis chapter 4.
extension RaftGroup {
    /// Asks a leader to change the group's configuration.
    ///
    /// - Parameter wallClock: microseconds since 1970, as this node's clock reads now.
    package mutating func configurationProposed(
        _ request: ConfigurationRequest, wallClock: UInt64
    ) -> (ConfigurationOutcome, Effects) {
        (.refused(.notLeader(leader: leader)), finishEvent())
    }
}
