import Primitives

/// Who belongs to a group, and how: replicated in `.configuration` entries. A configuration is in
/// force from the moment at which its entry is in the log, committed or not (thesis §4.1).
///
/// Invariants:
/// 1. `members` are ascending by replica, each once, and are exactly those of the sets below.
/// 2. No learner is a voter; whoever is in `learnersNext` is an outgoing voter and not an incoming.
/// 3. `learnersNext` is empty and `leavesAutomatically` true while the voters are not joint.
package struct Configuration: Hashable, Sendable {
    package let voters: JointConfiguration
    /// Receive the log and do not count (thesis §4.2.1). Ascending.
    package let learners: [ReplicaID]
    /// Outgoing voters that become learners when the joint configuration is left: their place in the
    /// log is kept. Ascending.
    package let learnersNext: [ReplicaID]
    /// Whether the leader leaves the joint configuration by itself once it is committed.
    package let leavesAutomatically: Bool
    package let zoneRule: ZoneRule
    package let members: [Member]

    /// - Parameter members: of everyone in the sets, in any order; whoever is not named there is
    ///   `Member(replica)`.
    package init(
        voters: JointConfiguration, learners: [ReplicaID] = [], learnersNext: [ReplicaID] = [],
        leavesAutomatically: Bool = true, zoneRule: ZoneRule = .none, members: [Member] = []
    ) {
        self.voters = voters
        self.learners = Self.ascending(learners)
        self.learnersNext = Self.ascending(learnersNext)
        self.leavesAutomatically = leavesAutomatically || !voters.isJoint
        self.zoneRule = zoneRule
        precondition(
            !self.learners.contains(where: voters.contains), "a learner of \(learners) is a voter")
        precondition(
            self.learnersNext.allSatisfy {
                voters.outgoing.contains($0) && !voters.incoming.contains($0)
            }, "\(learnersNext) are not all leaving \(voters)")
        self.members = Self.ascending(voters.incoming + voters.outgoing + learners).map { id in
            members.first { $0.replica == id } ?? Member(id)
        }
    }

    package init(voters: [ReplicaID], learners: [ReplicaID] = []) {
        self.init(voters: JointConfiguration(incoming: voters), learners: learners)
    }

    /// Everyone who receives the log: ascending, each once.
    package var replicas: [ReplicaID] { members.map(\.replica) }

    package func member(_ replica: ReplicaID) -> Member? {
        members.first { $0.replica == replica }
    }

    static func ascending(_ replicas: [ReplicaID]) -> [ReplicaID] {
        var result: [ReplicaID] = []
        for replica in replicas.sorted() where result.last != replica { result.append(replica) }
        return result
    }
}

/// One seat of a group.
package struct Member: Hashable, Sendable {
    package var replica: ReplicaID
    /// The process that sits there.
    package var node: NodeID
    package var zone: ZoneID
    /// Among replicas that could lead, a higher one is preferred; never at the price of safety or
    /// of availability.
    package var priority: UInt8
    /// Stores index, term and stamp of entries, not what commands say; votes, never campaigns, never
    /// counts towards the zone rule. A seat is a witness's from its beginning to its end.
    package var isWitness: Bool

    package init(
        _ replica: ReplicaID, node: NodeID? = nil, zone: ZoneID = .unknown, priority: UInt8 = 0,
        isWitness: Bool = false
    ) {
        self.replica = replica
        self.node = node ?? NodeID(replica.rawValue)
        self.zone = zone
        self.priority = priority
        self.isWitness = isWitness
    }
}

/// In how many zones an entry must be durable, besides at a quorum, before it is committed.
package struct ZoneRule: Hashable, Sendable {
    /// 0 and 1 ask for nothing. Replicas of an unknown zone and witnesses do not count.
    package var zonesMin: UInt8
    /// Set by an operator, replicated like the rule, alarmed as long as it is set: commit does not
    /// wait for the rule.
    package var isOverridden: Bool

    package init(zonesMin: UInt8, isOverridden: Bool = false) {
        self.zonesMin = zonesMin
        self.isOverridden = isOverridden
    }

    package static let none = ZoneRule(zonesMin: 0)
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

/// A configuration and the entry that brought it; index zero is the bootstrap's.
package struct ConfigurationEntry: Hashable, Sendable {
    package var index: LogIndex
    package var configuration: Configuration

    package init(index: LogIndex, configuration: Configuration) {
        self.index = index
        self.configuration = configuration
    }
}
