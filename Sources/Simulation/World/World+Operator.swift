import Consensus
import MultiRaft
import Primitives

/// What the operator knows and is about.
struct OperatorState {
    /// Where replicas sit that are no founders'.
    var places: [ReplicaID: Int] = [:]
    /// Sessions at a group that sleeps without a leader are not opened twice at once.
    var nextReplica: UInt64 = 100
}

// The operators: they change who belongs to a group, hand leadership over, give lost replicas new
// seats, and take seats away that no group knows any more.
extension World {
    func operatorActs() {
        guard isHurting else { return }
        schedule(.operatorActs, in: deedInterval())
        if profile.enables(.transfer), deedChance.below(3) == 0 { askForTransfer() }
        if profile.enables(.membership), deedChance.below(2) == 0 {
            changeMembers(deedChance.below(specs.count))
        }
        if deedChance.below(3) == 0 { repairAsOperator() }
    }

    private func askForTransfer() {
        for node in nodes where node.isUp {
            for (place, seat) in node.seats.enumerated()
            where seat.isRunning && seat.last?.role == .leader {
                guard deedChance.below(specs.count) == 0 else { continue }
                let voters = seat.configuration.voters.incoming
                let target = deedChance.below(3) == 0 ? nil : deedChance.pick(voters)
                post(.transfer(seat: place, target), to: node)
            }
        }
    }

    /// Of the highest term, where several think that they lead.
    func leader(of group: Int) -> (node: Node, place: Int, seat: Seat)? {
        var found: (node: Node, place: Int, seat: Seat)?
        for node in nodes where node.isUp {
            for (place, seat) in node.seats.enumerated()
            where seat.group == group && seat.isRunning && seat.last?.role == .leader {
                if found.map({ $0.seat.last!.term < seat.last!.term }) ?? true {
                    found = (node, place, seat)
                }
            }
        }
        return found
    }

    private func member(_ seat: Seat, at node: Node) -> Member {
        Member(
            seat.replica, node: node.id, zone: node.zone,
            priority: UInt8(deedChance.below(3)), isWitness: seat.isWitness)
    }

    // MARK: Changes for their own sake

    private func changeMembers(_ group: Int) {
        guard let (node, place, seat) = leader(of: group) else { return }
        let configuration = seat.configuration
        guard !configuration.voters.isJoint else {
            post(.configure(seat: place, .leaveJoint), to: node)
            return
        }
        let voters = configuration.voters.incoming
        var changes: [MemberChange] = []
        switch deedChance.below(9) {
        case 0, 1, 2:
            guard configuration.members.count < 6, let new = newMember(group, configuration) else {
                return
            }
            changes.append(deedChance.below(3) == 0 ? .setVoter(new) : .setLearner(new))
        case 3, 4:
            guard let learner = pick(configuration.learners),
                let member = configuration.member(learner)
            else { return }
            changes.append(.setVoter(member))
        case 5:
            guard voters.count > 3, let voter = pick(voters),
                let member = configuration.member(voter), !member.isWitness
            else { return }
            changes.append(.setLearner(member))
        case 6:
            guard voters.count > 3, let voter = pick(voters) else { return }
            changes.append(.remove(voter))
            if deedChance.below(2) == 0, let other = pick(configuration.learners) {
                changes.append(.remove(other))
            }
        case 7:
            guard let new = newMember(group, configuration), let voter = pick(voters) else {
                return
            }
            changes = [.setVoter(new), .remove(voter)]
        default:
            let rule = ZoneRule(
                zonesMin: UInt8(deedChance.below(4)), isOverridden: deedChance.below(4) == 0)
            changes.append(.setZoneRule(rule))
        }
        let leave = deedChance.pick([LeaveMode.automatic, .implicit, .explicit])
        post(.configure(seat: place, .change(changes, leave: leave)), to: node)
    }

    private func pick(_ replicas: [ReplicaID]) -> ReplicaID? {
        replicas.isEmpty ? nil : deedChance.pick(replicas)
    }

    /// A seat on a node that has none in the group; it starts at once.
    private func newMember(_ group: Int, _ configuration: Configuration) -> Member? {
        let free = nodes.filter { node in
            node.isUp && node.core != nil
                && !node.seats.contains { $0.group == group && !$0.isGivenUp }
        }
        guard !free.isEmpty else { return nil }
        let node = deedChance.pick(free)
        let isWitness = deedChance.below(5) == 0 && specs[group].machine == .registers
        guard let seat = addSeat(node, group, configuration, isWitness: isWitness) else {
            return nil
        }
        return member(seat, at: node)
    }

    /// - Returns: nil when the node must start anew first: its log still knows an earlier seat.
    private func addSeat(
        _ node: Node, _ group: Int, _ configuration: Configuration, isWitness: Bool
    ) -> Seat? {
        let hadSeat = node.seats.contains { $0.group == group }
        operatorState.nextReplica += 1
        let replica = ReplicaID(operatorState.nextReplica)
        operatorState.places[replica] = node.number
        let seat = newSeat(group, replica: replica, configuration)
        seat.isWitness = isWitness
        seat.givenAt = now
        node.seats.append(seat)
        trace.note(now, "node \(node.id) gets seat \(replica) in group \(specs[group].id)")
        guard !hadSeat else {
            stop(node, keeping: .everything)
            restartLater(node)
            return nil
        }
        guard begin(seat, at: node), let raft = restore(node, seat, nil) else { return nil }
        tell(node) { $0.add(raft) }
        endTurn(node)
        return seat
    }

    func change(_ node: Node, _ seat: Seat, _ request: ConfigurationRequest) {
        if case .change(let changes, _) = request {
            guard isPermitted(changes, seat), areSeated(changes, seat.group) else { return }
        }
        var outcome: ConfigurationOutcome?
        let id = spec(seat).id
        let clock = wallClock(node)
        let before = seat.configuration
        tell(node) { outcome = $0.change(id, request, wallClock: clock) }
        trace.note(now, "node \(node.id) group \(id) is asked for \(request): \(outcome!)")
        guard case .accepted? = outcome, case .change(let changes, _) = request else { return }
        injected(.membership)
        for change in changes { notePath(of: change, before, by: seat) }
    }

    /// - Parameter before: in force when the leader took the change.
    private func notePath(of change: MemberChange, _ before: Configuration, by leader: Seat) {
        let voters = before.voters.incoming
        switch change {
        case .setLearner(let member):
            if voters.contains(member.replica) {
                reach(.voterDemoted)
            } else if before.member(member.replica) == nil {
                reach(.learnerAdded)
            }
        case .setVoter(let member):
            if before.learners.contains(member.replica) { reach(.learnerPromoted) }
        case .remove(let replica):
            if voters.contains(replica) {
                reach(replica == leader.replica ? .leaderRemoved : .voterRemoved)
            }
        case .setZoneRule: break
        }
    }

    /// Whoever is to become a member has its seat.
    private func areSeated(_ changes: [MemberChange], _ group: Int) -> Bool {
        changes.allSatisfy { change in
            switch change {
            case .setVoter(let member), .setLearner(let member):
                seat(member.replica, group).map { !$0.isGivenUp } ?? false
            case .remove, .setZoneRule: true
            }
        }
    }

    /// No change may make a majority of what is lost.
    private func isPermitted(_ changes: [MemberChange], _ seat: Seat) -> Bool {
        var voters = seat.configuration.voters.incoming
        for change in changes {
            switch change {
            case .setVoter(let member):
                if !voters.contains(member.replica) { voters.append(member.replica) }
            case .setLearner(let member): voters.removeAll { $0 == member.replica }
            case .remove(let replica): voters.removeAll { $0 == replica }
            case .setZoneRule: break
            }
        }
        let lost = voters.count { budget.lost.contains(.init(group: seat.group, replica: $0)) }
        return !voters.isEmpty && lost <= (voters.count - 1) / 2
    }

    // MARK: Repair

    /// Gives lost replicas new seats, and takes seats away that are no longer anybody's.
    func repairAsOperator() {
        settleLosses()
        for group in specs.indices {
            overrideZoneRule(group)
            guard let (node, place, seat) = leader(of: group),
                let raft = node.core?.group(specs[group].id), raft.hasCommittedInTerm,
                raft.configurationIndex <= raft.commitIndex
            else { continue }
            let configuration = seat.configuration
            if configuration.voters.isJoint {
                if !configuration.leavesAutomatically {
                    post(.configure(seat: place, .leaveJoint), to: node)
                }
                continue
            }
            if removeForeignSeats(group, configuration) { continue }
            replaceLost(group, configuration, node, place)
        }
    }

    /// With a replica lost, its zone may be, and without it nothing is committed that would give it a
    /// successor: the override is for that.
    private func overrideZoneRule(_ group: Int) {
        guard budget.lost.contains(where: { $0.group == group }),
            let (node, place, seat) = leader(of: group),
            seat.last!.commitIndex < seat.last!.lastIndex
        else { return }
        var rule = seat.configuration.zoneRule
        guard rule.zonesMin > 1, !rule.isOverridden else { return }
        rule.isOverridden = true
        post(.configure(seat: place, .change([.setZoneRule(rule)], leave: .automatic)), to: node)
    }

    /// - Returns: whether there was one.
    private func removeForeignSeats(_ group: Int, _ configuration: Configuration) -> Bool {
        let known = configurations(of: group, but: { $0.configuration.member($0.replica) == nil })
        for node in nodes {
            for seat in node.seats
            where seat.group == group && !seat.isGivenUp && !seat.isWanted
                && now > seat.givenAt + 2_000_000
                && known.allSatisfy({ $0.member(seat.replica) == nil })
            {
                giveUp(seat, at: node)
                return true
            }
        }
        return false
    }

    private func giveUp(_ seat: Seat, at node: Node) {
        trace.note(now, "node \(node.id) gives up seat \(seat.replica)")
        // What is on its way to the log or to the state machine goes with the process.
        stop(node, keeping: .everything)
        seat.isGivenUp = true
        restartLater(node)
    }

    private func replaceLost(
        _ group: Int, _ configuration: Configuration, _ leading: Node, _ place: Int
    ) {
        for loss in budget.lost where loss.group == group {
            guard let old = configuration.member(loss.replica),
                let number = self.place(of: loss.replica, in: specs[group].id)
            else { continue }
            let node = nodes[number]
            if let seat = node.seats.first(where: {
                $0.group == group && !$0.isGivenUp && $0.replica != loss.replica
            }) {
                guard seat.isRunning else { return }
                var new = old
                new.replica = seat.replica
                new.isWitness = seat.isWitness
                let isVoter = configuration.voters.contains(loss.replica)
                reach(.seatReplaced)
                post(
                    .configure(
                        seat: place,
                        .change(
                            [isVoter ? .setVoter(new) : .setLearner(new), .remove(loss.replica)],
                            leave: .automatic)), to: leading)
                return
            }
            guard node.isUp, node !== leading else { return }
            for seat in node.seats where seat.group == group && seat.replica == loss.replica {
                seat.isGivenUp = true
            }
            let seat = addSeat(node, group, configuration, isWitness: old.isWitness)
            node.seats.last?.isWanted = true
            seat?.isWanted = true
            return
        }
    }

    func leaveJoint(_ node: Node, _ seat: Seat) {
        guard let place = node.seats.firstIndex(where: { $0 === seat }),
            !seat.configuration.leavesAutomatically
        else { return }
        post(.configure(seat: place, .leaveJoint), to: node)
    }

    func quarantined(_ node: Node, _ seat: Seat, _ reason: QuarantineReason) {
        reach(.quarantined)
        trace.note(now, "node \(node.id) replica \(seat.replica) is quarantined: \(reason)")
        if case .removed(let place, _) = reason {
            reach(.removedSeatFound)
            seat.isFoundRemoved = true
            if !checks.groups[seat.group].isRemoved(seat.replica, asOf: place) {
                fail(
                    "group \(spec(seat).id): replica \(seat.replica) is quarantined as removed at "
                        + "\(place), and is not")
            }
            return
        }
        if !budget.isLost(seat) && !(seat.isFoundRemoved && reason == .quarantinedBefore) {
            fail(
                "group \(spec(seat).id): replica \(seat.replica) is quarantined, and its disk has "
                    + "forgotten nothing: \(reason)")
        }
    }
}
