import Consensus
import Primitives

/// What damage is permitted, in one place.
///
/// The promise (DESIGN; Protocol-Aware Recovery, FAST '18): safe always; available whenever one
/// intact copy of each committed entry is reachable by a quorum. A run that demands progress must not
/// hurt more than that. Three kinds of harm are told apart.
///
/// *Loss of a replica*: a volume that comes back empty or as it was at an earlier stop, a log that may
/// have forgotten something, a quarantine. The replica neither votes nor counts until an operator has
/// put a new seat in its place. In each set of voters of every configuration that is in force
/// anywhere, the lost ones stay a minority, and a set with a witness has none: the other full member
/// may be the last that has the contents. A lost replica counts until no such configuration has it:
/// the change that removed it is then committed by a majority of the others, which therefore hold
/// all that was committed before. And it counts until its seat is taken away: a disk that was rolled
/// back to before the change may take it for a member again, and is rightly quarantined.
///
/// *Loss of entries*, with index and term known. It may strike several replicas, as long as each
/// entry that it strikes has an intact copy on a full member that is not lost: in its log, or in its
/// state.
///
/// *Loss of a state machine's state*. As long as a majority of others that are not lost have theirs, and
/// one of them has what the log of this one no longer holds: in its state, or in a log from the beginning.
/// A state counts as lost from the damage on, which may be found much later, until a snapshot has taken
/// its place, or a log from the beginning; one that has just joined waits for it like one that lost it.
///
/// A volume is rolled back only where this must be found out: every other voter durably remembers
/// a start that the image has not seen, and by more than its number when the next start of the image
/// has that.
struct DamageBudget {
    struct Loss: Equatable {
        var group: Int
        var replica: ReplicaID
    }

    private(set) var lost: [Loss] = []

    func isLost(_ seat: Seat) -> Bool {
        lost.contains(Loss(group: seat.group, replica: seat.replica))
    }

    mutating func lose(_ seat: Seat) {
        if !isLost(seat) { lost.append(Loss(group: seat.group, replica: seat.replica)) }
    }

    mutating func forget(_ isOver: (Loss) -> Bool) { lost.removeAll(where: isOver) }
}

extension Seat {
    /// What others lose may not be here.
    fileprivate var lacksState: Bool { mustRebuild || stateIsAmiss }
}

extension World {
    /// All configurations of a group that are in force at some replica, as it was last seen.
    ///
    /// - Parameter isLeftOut: replicas that are not asked.
    func configurations(
        of group: Int, but isLeftOut: (Seat) -> Bool = { _ in false }
    ) -> [Configuration] {
        var known: [Configuration] = []
        for node in nodes {
            for seat in node.seats where seat.group == group && !seat.isGivenUp && !isLeftOut(seat)
            {
                if !known.contains(seat.configuration) { known.append(seat.configuration) }
            }
        }
        return known
    }

    /// Whether all these replicas may be lost now.
    func mayLose(_ seats: [Seat]) -> Bool {
        seats.allSatisfy { seat in
            // What others have lost may be here alone.
            let others = nodes.flatMap(\.seats).filter {
                $0.group == seat.group && $0 !== seat && !$0.isGivenUp && !budget.isLost($0)
            }
            guard !seat.isWitness,
                others.allSatisfy({
                    $0.ledger.damaged.isEmpty && !$0.lacksState && $0.covers($0.ledger.base)
                })
            else { return false }
            return configurations(of: seat.group).allSatisfy { configuration in
                [configuration.voters.incoming, configuration.voters.outgoing].allSatisfy {
                    staysMinority($0, configuration, seats, seat.group)
                }
            }
        }
    }

    private func staysMinority(
        _ voters: [ReplicaID], _ configuration: Configuration, _ seats: [Seat], _ group: Int
    ) -> Bool {
        let count = voters.count { voter in
            budget.lost.contains(.init(group: group, replica: voter))
                || seats.contains { $0.group == group && $0.replica == voter }
        }
        if count == 0 { return true }
        if voters.contains(where: { configuration.member($0)?.isWitness == true }) { return false }
        return count <= (voters.count - 1) / 2
    }

    /// Whether the contents of these entries may be lost on this replica.
    func mayLose(_ ranges: [ClosedRange<LogIndex>], of seat: Seat) -> Bool {
        for range in ranges {
            var index = range.lowerBound
            while index <= range.upperBound {
                guard let term = seat.ledger.term(at: index) else { return false }
                let others = fullMembers(seat.group).filter { $0 !== seat }
                let isHeld = others.contains { other in
                    other.ledger.holds(index, term) && !other.lacksState
                }
                if !isHeld { return false }
                index = index.next
            }
        }
        return true
    }

    /// Whether this replica's state machine may lose its state.
    func mayLoseState(of seat: Seat) -> Bool {
        if seat.isWitness { return false }
        let others = fullMembers(seat.group).filter { $0 !== seat && !$0.lacksState }
        let members = configurations(of: seat.group).map(\.voters.incoming.count).max() ?? 1
        return others.count > members / 2 && others.contains { $0.covers(seat.ledger.base) }
    }

    /// Not lost, with a place in a configuration.
    private func fullMembers(_ group: Int) -> [Seat] {
        let known = configurations(of: group)
        return nodes.flatMap(\.seats).filter { seat in
            seat.group == group && !seat.isGivenUp && !seat.isWitness && !budget.isLost(seat)
                && known.allSatisfy { $0.member(seat.replica) != nil }
        }
    }

    /// Whether a volume as it was at this incarnation is certainly found out.
    func isRemembered(_ seat: Seat, beyond incarnation: UInt64) -> Bool {
        for configuration in configurations(of: seat.group) {
            for voter in configuration.voters.incoming + configuration.voters.outgoing
            where voter != seat.replica {
                guard let other = self.seat(voter, seat.group), !budget.isLost(other),
                    let record = other.ledger.peers.first(where: { $0.replica == seat.replica }),
                    record.incarnation > incarnation + (record.start == 0 ? 1 : 0)
                else { return false }
            }
        }
        return true
    }

    /// Losses that no configuration speaks of any more, and no disk.
    func settleLosses() {
        for group in specs.indices {
            let known = configurations(of: group)
            budget.forget { loss in
                loss.group == group && known.allSatisfy { $0.member(loss.replica) == nil }
                    && seat(loss.replica, group).map(\.isGivenUp) ?? true
            }
        }
    }
}

extension Seat {
    /// Whether it durably has all entries up to `base`, in its log or in its state.
    fileprivate func covers(_ base: LogIndex) -> Bool {
        // A witness has no state that could lag.
        if isWitness { return true }
        if mustRebuild { return false }
        if ledger.base == .zero { return ledger.lastIndex >= base }
        do throws(MachineFailure) {
            return try machine.persistedIndex() >= max(base, ledger.base)
        } catch {
            return false
        }
    }
}
