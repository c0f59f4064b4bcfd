import Primitives

// What may follow what. A leader proposes nothing else, so a follower takes nothing else.
extension Configuration {
    /// Witnesses among voters at most: any majority then holds a full member, and with it what the
    /// committed entries say.
    package static func witnessesMax(ofVoters count: Int) -> Int { count / 2 }

    /// Whether the leader's log may bring this one right behind `previous`, by a step that keeps the
    /// majorities of both from missing each other (thesis §4.1, §4.3).
    func follows(_ previous: Configuration) -> Bool {
        guard hasLeaders, keepsSeats(of: previous) else { return false }
        if self == previous.replacing(zoneRule: zoneRule) { return true }
        switch (previous.voters.isJoint, voters.isJoint) {
        case (false, false):
            return JointConfiguration.difference(voters.incoming, previous.voters.incoming) <= 1
        case (false, true): return voters.outgoing == previous.voters.incoming
        case (true, false): return self == previous.left
        case (true, true): return false
        }
    }

    /// Whether every majority of the incoming voters holds one that can lead.
    var hasLeaders: Bool {
        let incoming = voters.incoming
        return incoming.count { isWitness($0) }
            <= min(incoming.count - 1, Self.witnessesMax(ofVoters: incoming.count))
    }

    private func keepsSeats(of previous: Configuration) -> Bool {
        previous.members.allSatisfy { known in
            member(known.replica)?.isSameSeat(as: known) ?? true
        }
    }

    package func isWitness(_ replica: ReplicaID) -> Bool { member(replica)?.isWitness ?? false }

    /// Whether this replica can be asked to lead: a voter that stays one, and no witness.
    package func canLead(_ replica: ReplicaID) -> Bool {
        voters.incoming.contains(replica) && !isWitness(replica)
    }
}

extension Member {
    func isSameSeat(as other: Member) -> Bool {
        node == other.node && isWitness == other.isWitness
    }
}

extension JointConfiguration {
    /// How many are in only one of two ascending sets.
    static func difference(_ a: [ReplicaID], _ b: [ReplicaID]) -> Int {
        a.count { !b.contains($0) } + b.count { !a.contains($0) }
    }
}
