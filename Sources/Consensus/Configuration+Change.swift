import Primitives

// From one configuration to the next: thesis chapter 4, with etcd's ways through a joint one.
extension Configuration {
    /// The configuration that a leader appends for this request.
    ///
    /// - Parameter previous: in force; not joint, unless `changes` speak of the zone rule only.
    /// - Throws: what is wrong with the request itself.
    init(
        applying changes: [MemberChange], leave: LeaveMode, to previous: Configuration
    ) throws(ConfigurationRefusal) {
        var edit = Edit(previous)
        for change in changes { try edit.apply(change) }
        if changes.allSatisfy(\.isOfZoneRule) {
            self = previous.replacing(zoneRule: edit.zoneRule)
        } else {
            precondition(!previous.voters.isJoint, "a change of joint \(previous.voters)")
            self = edit.result(leave)
        }
        guard self != previous else { throw .nothingToDo }
        try checkTenable()
    }

    /// What a joint configuration becomes when it is left: its incoming voters, and those outgoing
    /// ones as learners that are to stay.
    package var left: Configuration {
        Configuration(
            voters: JointConfiguration(incoming: voters.incoming),
            learners: learners + learnersNext, zoneRule: zoneRule, members: members)
    }

    func replacing(zoneRule: ZoneRule) -> Configuration {
        Configuration(
            voters: voters, learners: learners, learnersNext: learnersNext,
            leavesAutomatically: leavesAutomatically, zoneRule: zoneRule, members: members)
    }

    /// Whether the group can work under this configuration, once it is left if it is joint.
    private func checkTenable() throws(ConfigurationRefusal) {
        guard members.count <= Self.membersMax else {
            throw .tooManyMembers(count: members.count, limit: Self.membersMax)
        }
        let incoming = voters.incoming
        let witnesses = incoming.count { isWitness($0) }
        guard witnesses < incoming.count else { throw .noVoters }
        guard witnesses <= Self.witnessesMax(ofVoters: incoming.count) else {
            throw .tooManyWitnesses(
                count: witnesses, limit: Self.witnessesMax(ofVoters: incoming.count))
        }
        let zones = zoneCount(of: incoming)
        guard !zoneRule.holdsCommit || zones >= zoneRule.zonesNeeded else {
            throw .zoneRuleUnsatisfiable(zones: zones, needed: zoneRule.zonesNeeded)
        }
    }

    /// One request's changes, as they add up.
    private struct Edit {
        let previous: Configuration
        var voters: [ReplicaID]
        var learners: [ReplicaID]
        var zoneRule: ZoneRule
        var members: [Member]
        private var touched: [ReplicaID] = []

        init(_ previous: Configuration) {
            self.previous = previous
            voters = previous.voters.incoming
            learners = previous.learners
            zoneRule = previous.zoneRule
            members = previous.members
        }

        mutating func apply(_ change: MemberChange) throws(ConfigurationRefusal) {
            switch change {
            case .setVoter(let member):
                try seat(member)
                learners.removeAll { $0 == member.replica }
                if !voters.contains(member.replica) { voters.append(member.replica) }
            case .setLearner(let member):
                try seat(member)
                voters.removeAll { $0 == member.replica }
                if !learners.contains(member.replica) { learners.append(member.replica) }
            case .remove(let replica):
                guard previous.member(replica) != nil else { throw .unknownReplica(replica) }
                try touch(replica)
                voters.removeAll { $0 == replica }
                learners.removeAll { $0 == replica }
            case .setZoneRule(let rule):
                zoneRule = rule
            }
        }

        private mutating func seat(_ member: Member) throws(ConfigurationRefusal) {
            try touch(member.replica)
            if let known = previous.member(member.replica) {
                guard known.isSameSeat(as: member) else { throw .contradictory(member.replica) }
                members.removeAll { $0.replica == member.replica }
            }
            members.append(member)
        }

        private mutating func touch(_ replica: ReplicaID) throws(ConfigurationRefusal) {
            guard !touched.contains(replica) else { throw .contradictory(replica) }
            touched.append(replica)
        }

        /// Without a voter left, what becomes of it is refused anyway.
        func result(_ leave: LeaveMode) -> Configuration {
            let old = previous.voters.incoming
            let isJoint =
                leave != .automatic
                || JointConfiguration.difference(Configuration.ascending(voters), old) > 1
            // A demoted voter still votes in the old configuration, and listens in the new one.
            let demoted = learners.filter(old.contains)
            return Configuration(
                voters: JointConfiguration(incoming: voters, outgoing: isJoint ? old : []),
                learners: isJoint ? learners.filter { !old.contains($0) } : learners,
                learnersNext: isJoint ? demoted : [],
                leavesAutomatically: leave != .explicit, zoneRule: zoneRule, members: members)
        }
    }
}

extension MemberChange {
    var isOfZoneRule: Bool {
        if case .setZoneRule = self { true } else { false }
    }
}
