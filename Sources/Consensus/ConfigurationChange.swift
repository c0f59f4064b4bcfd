import Primitives

/// What a leader is asked to do to the group's configuration. One change at a time: the next is
/// refused until the one before it is committed, and left if it was joint. A change of nothing but
/// the zone rule is taken at any time: no quorum depends on it, and what holds everything up may be
/// the very rule that it lifts.
package enum ConfigurationRequest: Hashable, Sendable {
    /// Applied in order to the configuration in force.
    case change([MemberChange], leave: LeaveMode)
    /// Leaves a joint configuration that does not leave by itself.
    case leaveJoint
}

package enum MemberChange: Hashable, Sendable {
    /// A new voter, or a member that becomes one or stays one, and takes the attributes given.
    case setVoter(Member)
    /// A new learner; of a voter: it is demoted, and keeps its place in the log.
    case setLearner(Member)
    case remove(ReplicaID)
    case setZoneRule(ZoneRule)
}

/// How a change passes through joint consensus (thesis §4.3; etcd `ConfChangeTransition`).
package enum LeaveMode: Hashable, Sendable {
    /// Joint only when more than one voter changes; the leader leaves it by itself.
    case automatic
    /// Always joint; the leader leaves it by itself.
    case implicit
    /// Always joint, until `leaveJoint` is asked for.
    case explicit
}

/// Why a change was not proposed.
package enum ConfigurationRefusal: Error, Hashable, Sendable {
    case notLeader(leader: ReplicaID?)
    /// A change is not committed, or the configuration is joint.
    case changeInProgress(index: LogIndex)
    /// The term's first entry is not committed (the single-server bug, Ongaro's mail of 2015).
    case termNotCommitted
    case notJoint
    /// No voter that could lead would be left.
    case noVoters
    /// Not a member.
    case unknownReplica(ReplicaID)
    /// The same replica twice in one request, a seat given to another node, or a witness made a full
    /// member or the reverse: that takes a new seat.
    case contradictory(ReplicaID)
    /// A majority of witnesses alone would commit what no full member holds.
    case tooManyWitnesses(count: Int, limit: Int)
    /// `Configuration.membersMax`.
    case tooManyMembers(count: Int, limit: Int)
    /// Nothing would change.
    case nothingToDo
    /// The voters stand in fewer zones than the rule asks for, and it is not overridden.
    case zoneRuleUnsatisfiable(zones: Int, needed: Int)
    case transferInProgress(to: ReplicaID)
    /// Too many changes of the zone rule wait to be committed.
    case uncommittedTailFull
}

package enum ConfigurationOutcome: Hashable, Sendable {
    /// In the leader's log at `index`, in force there, not yet committed.
    case accepted(term: Term, index: LogIndex)
    case refused(ConfigurationRefusal)
}
