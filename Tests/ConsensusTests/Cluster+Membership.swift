import Consensus
import Primitives

// Replicas that come and go.
extension Cluster {
    static func members(_ ids: [Int], zones: [UInt64] = [], witnesses: [Int] = []) -> [Member] {
        ids.enumerated().map { position, id in
            Member(
                ReplicaID(UInt64(id)),
                zone: position < zones.count ? ZoneID(zones[position]) : .unknown,
                isWitness: witnesses.contains(id))
        }
    }

    /// A replica that stands by with an empty log, and the group's settled configuration as its
    /// address book. It is no member before a change makes it one.
    @discardableResult
    func join(isWitness: Bool = false) -> Int {
        let id = nodes.count + 1
        nodes.append(
            Node(
                id: ReplicaID(UInt64(id)), bootstrap: checker.settled.configuration,
                isWitness: isWitness))
        start(id)
        return id
    }

    /// Gone for ever, with its disk.
    func destroy(_ id: Int) {
        if self[id].raft != nil { crash(id) }
        self[id].isGone = true
        self[id].disk = SimulatedDisk()
    }

    @discardableResult
    func change(
        _ changes: MemberChange..., leave: LeaveMode = .automatic, at id: Int
    ) -> ConfigurationOutcome {
        request(.change(changes, leave: leave), at: id)
    }

    @discardableResult
    func request(_ request: ConfigurationRequest, at id: Int) -> ConfigurationOutcome {
        var outcome = ConfigurationOutcome.refused(.notLeader(leader: nil))
        let clock = wallClock
        event(id) { raft in
            let (result, effects) = raft.configurationProposed(request, wallClock: clock)
            outcome = result
            return effects
        }
        return outcome
    }

    func voter(_ id: Int, zone: UInt64 = 0) -> MemberChange {
        .setVoter(Member(ReplicaID(UInt64(id)), zone: ZoneID(zone), isWitness: self[id].isWitness))
    }

    func learner(_ id: Int, zone: UInt64 = 0) -> MemberChange {
        .setLearner(
            Member(ReplicaID(UInt64(id)), zone: ZoneID(zone), isWitness: self[id].isWitness))
    }

    func removal(_ id: Int) -> MemberChange { .remove(ReplicaID(UInt64(id))) }

    /// Incoming voters, as one replica knows them.
    func voters(at id: Int) -> [UInt64] { raft(id).configuration.voters.incoming.map(\.rawValue) }
    func outgoing(at id: Int) -> [UInt64] { raft(id).configuration.voters.outgoing.map(\.rawValue) }
    func learners(at id: Int) -> [UInt64] { raft(id).configuration.learners.map(\.rawValue) }
}

extension ConfigurationOutcome {
    var refusal: ConfigurationRefusal? {
        if case .refused(let refusal) = self { refusal } else { nil }
    }
}
