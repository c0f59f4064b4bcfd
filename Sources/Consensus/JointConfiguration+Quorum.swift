import Primitives

/// How a vote stands.
package enum VoteOutcome: Hashable, Sendable {
    case won
    /// Cannot be won any more.
    case lost
    case pending
}

extension JointConfiguration {
    /// The highest value that a majority has reached; in a joint configuration, separate majorities
    /// of both sets (thesis §4.3).
    package func agreed<Value: Comparable>(_ reached: (ReplicaID) -> Value) -> Value {
        let new = Self.agreed(among: incoming, reached)
        #if PlantedBugs
            if PlantedBug.active == .oneMajorityWhileJoint { return new }
        #endif
        return outgoing.isEmpty ? new : min(new, Self.agreed(among: outgoing, reached))
    }

    /// - Parameter vote: nil for a voter that has not answered.
    package func outcome(_ vote: (ReplicaID) -> Bool?) -> VoteOutcome {
        let new = Self.outcome(among: incoming, vote)
        guard !outgoing.isEmpty else { return new }
        switch (new, Self.outcome(among: outgoing, vote)) {
        case (.won, .won): return .won
        case (.lost, _), (_, .lost): return .lost
        default: return .pending
        }
    }

    private static func agreed<Value: Comparable>(
        among voters: [ReplicaID], _ reached: (ReplicaID) -> Value
    ) -> Value {
        // Of n ascending values, those from position (n - 1) / 2 on are a majority.
        let ascending = voters.map(reached).sorted()
        return ascending[(voters.count - 1) / 2]
    }

    private static func outcome(
        among voters: [ReplicaID], _ vote: (ReplicaID) -> Bool?
    ) -> VoteOutcome {
        var granted = 0
        var refused = 0
        for voter in voters {
            switch vote(voter) {
            case true?: granted += 1
            case false?: refused += 1
            case nil: break
            }
        }
        let majority = voters.count / 2 + 1
        if granted >= majority { return .won }
        return refused > voters.count - majority ? .lost : .pending
    }
}
