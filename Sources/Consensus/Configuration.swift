import Primitives

/// Who belongs to a group, and how: replicated in `.configuration` entries.
package struct Configuration: Hashable, Sendable {
    package var voters: JointConfiguration
    /// Receive the log and do not count (thesis §4.2.1). Ascending, none of them a voter.
    package let learners: [ReplicaID]

    package init(voters: JointConfiguration, learners: [ReplicaID] = []) {
        self.voters = voters
        self.learners = Self.ascending(learners)
        precondition(
            !self.learners.contains(where: voters.contains), "a learner of \(learners) is a voter")
    }

    package init(voters: [ReplicaID], learners: [ReplicaID] = []) {
        self.init(voters: JointConfiguration(incoming: voters), learners: learners)
    }

    /// Everyone who receives the log: ascending, each once.
    package var members: [ReplicaID] {
        Self.ascending(voters.incoming + voters.outgoing + learners)
    }

    static func ascending(_ replicas: [ReplicaID]) -> [ReplicaID] {
        var result: [ReplicaID] = []
        for replica in replicas.sorted() where result.last != replica { result.append(replica) }
        return result
    }
}

/// The voters: one set, or two while the group moves from `outgoing` to `incoming`. In between,
/// "agreement requires separate majorities from both" (thesis §4.3).
package struct JointConfiguration: Hashable, Sendable {
    /// Ascending, each once.
    package let incoming: [ReplicaID]
    /// Empty when the group is not moving.
    package let outgoing: [ReplicaID]

    package init(incoming: [ReplicaID], outgoing: [ReplicaID] = []) {
        self.incoming = Configuration.ascending(incoming)
        self.outgoing = Configuration.ascending(outgoing)
    }

    package var isJoint: Bool { !outgoing.isEmpty }

    package func contains(_ replica: ReplicaID) -> Bool {
        incoming.contains(replica) || outgoing.contains(replica)
    }
}
