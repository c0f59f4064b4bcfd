import Consensus
import MultiRaft
import Primitives

// Rare paths that no single glance shows: each is counted where it happens, from what a replica holds
// and what leaves it, not from what somebody wanted to happen.
extension World {
    // MARK: Leases

    /// Seats that lead by a lease, at one reading of their clock.
    func leasesHeld(_ node: Node) -> [(seat: Seat, term: Term, configuration: LogIndex)] {
        guard settings.leaderLease != nil else { return [] }
        let clock = MonotonicTime(nanoseconds: node.lastReading * 1_000)
        return node.seats.compactMap { seat in
            guard seat.isRunning, seat.last?.role == .leader,
                let raft = node.core?.group(spec(seat).id), raft.holdsLeaderLease(at: clock)
            else { return nil }
            return (seat, raft.term, raft.configurationIndex)
        }
    }

    /// A lease that an event has ended though neither time nor the configuration has: it was given
    /// up, as it must be before the target of a transfer may campaign.
    ///
    /// - Parameter before: held before the event, at the same reading of the clock.
    func noteForfeits(
        _ before: [(seat: Seat, term: Term, configuration: LogIndex)], _ node: Node,
        at reading: UInt64
    ) {
        let clock = MonotonicTime(nanoseconds: reading * 1_000)
        for held in before where held.seat.isRunning {
            guard let raft = node.core?.group(spec(held.seat).id), raft.role == .leader,
                raft.term == held.term, raft.configurationIndex == held.configuration,
                !raft.isHibernating, !raft.holdsLeaderLease(at: clock)
            else { continue }
            reach(.leaseForfeited)
        }
    }

    /// A read that is answered in the turn in which it was asked, of a group that has others to ask:
    /// their answer could not be there.
    func noteLeaseRead(_ token: UInt64, _ seat: Seat, _ node: Node) {
        guard node.readsAsked.contains(token), let raft = node.core?.group(spec(seat).id),
            raft.configuration.voters.incoming.count > 1
        else { return }
        reach(.readByLease)
    }

    // MARK: Zones and witnesses

    func notePaths(of alarms: [InGroup<AlarmChange>]) {
        for change in alarms {
            switch change.value {
            case .raised(.zoneRuleUnmet): reach(.zoneRuleUnmet)
            case .raised(.zoneRuleOverridden): reach(.zoneRuleOverridden)
            case .raised, .lowered: break
            }
        }
    }

    /// An entry is committed first now: what is on witnesses' disks was needed for its quorum.
    func noteWitnesses(
        _ index: LogIndex, _ term: Term, _ group: Int, _ configuration: Configuration
    ) {
        guard configuration.members.contains(where: \.isWitness) else { return }
        func isQuorum(_ voters: [ReplicaID]) -> Bool {
            let full = voters.count { voter in
                guard !configuration.isWitness(voter), let seat = seat(voter, group) else {
                    return false
                }
                return hasHad(index, term, seat)
            }
            return voters.isEmpty || full > voters.count / 2
        }
        let voters = configuration.voters
        if !isQuorum(voters.incoming) || !isQuorum(voters.outgoing) { reach(.witnessInQuorum) }
    }

    // MARK: Handovers

    /// A leader tells a preferred voter to campaign, and nobody has asked it to.
    func noteHandover(_ message: RaftMessage, _ seat: Seat) {
        guard message.kind == .timeoutNow, seat.transferAskedIn != message.term else { return }
        checks.groups[seat.group].handovers[message.term] = message.to
    }

    func noteElected(_ seat: Seat, _ raft: RaftGroup) {
        guard raft.term > .zero else { return }
        let before = Term(raft.term.rawValue - 1)
        if checks.groups[seat.group].handovers[before] == raft.replica { reach(.priorityHandover) }
    }
}
