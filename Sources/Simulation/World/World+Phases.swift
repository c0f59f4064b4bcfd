import Consensus
import MultiRaft
import Primitives
import ReplicatedLog
import StorageEngine

/// What must come true after the healing.
struct Progress {
    /// Entries that must be applied everywhere, by group.
    var target: [LogIndex?] = []
    var waits: [String] = []
}

// A run hurts the cluster for a while, heals it, and demands progress; several times over.
extension World {
    /// Microseconds of virtual time within which a healed cluster must work again.
    static var progressBound: UInt64 { 30_000_000 }
    static var progressInterval: UInt64 { 100_000 }

    func beginHurting() {
        isHurting = true
        isWorking = true
        profile = hurtProfile
        trace.note(now, "hurting: \(hurtProfile.enabled)")
        if profile.enables(.drift) {
            for node in nodes {
                injected(.drift)
                drift(node, byPPM: Int64(deedChance.below(10_001)) - 5_000)
            }
        }
        if profile.enables(.skew) {
            for node in nodes {
                injected(.skew)
                node.skew = Int64(deedChance.below(4_000_001)) - 2_000_000
            }
        }
        schedule(.heal, in: deedChance.within(1_500_000...8_000_000))
        schedule(.deed, in: deedInterval())
        schedule(.operatorActs, in: deedInterval())
    }

    func deedInterval() -> UInt64 { deedChance.within(1_000...2 * profile.deedInterval) }

    func heal() {
        isHurting = false
        profile = .quiet
        healedAt = now
        settledAt = max(now, network.lastOfAll, nodes.map(\.pausedUntil).max() ?? now)
        trace.note(now, "healing")
        network.mendAll()
        for node in nodes {
            drift(node, byPPM: 0)
            node.skew = 0
            node.syncDelay = 0
            node.isFull = false
            node.device.setFull(false)
            node.device.clearFaults()
            (node.seats.compactMap { $0.machine as? RecordMachine }).forEach {
                $0.engine.freeSpace()
            }
            if !node.isUp {
                schedule(.start(node: node.number, life: node.life), in: 1_000)
            }
        }
        progress = Progress(target: specs.map { _ in nil })
        isQuiet = true
        isWorking = false
        schedule(.progress, in: Self.progressInterval)
    }

    /// Each group leads, commits, applies everywhere, answers reads, and its replicas are equal.
    func checkProgress() {
        if isQuiet {
            guard endQuiet() else { return schedule(.progress, in: Self.progressInterval) }
        }
        if now > worksUntil { isWorking = false }
        progress.waits = []
        repairAsOperator()
        for group in specs.indices { demand(group) }
        if progress.waits.isEmpty && clients.allSatisfy({ $0.current == nil }) {
            trace.note(now, "healed after \(now - healedAt) µs")
            if !beginDrill() { endCycle() }
            return
        }
        guard now - healedAt <= Self.progressBound else {
            fail(
                "no progress \(now - healedAt) µs after the healing: "
                    + progress.waits.joined(separator: "; "))
            return
        }
        schedule(.progress, in: Self.progressInterval)
    }

    func endCycle() {
        cyclesLeft -= 1
        if cyclesLeft > 0 { beginHurting() }
    }

    private func wait(_ what: String) { progress.waits.append(what) }

    private func demand(_ group: Int) {
        let id = specs[group].id
        var leaders: [(Node, Seat)] = []
        for node in nodes where node.isUp {
            for seat in node.seats
            where seat.group == group && seat.isRunning && seat.last?.role == .leader {
                leaders.append((node, seat))
            }
        }
        guard leaders.count == 1, let (leadingNode, leading) = leaders.first,
            let raft = leadingNode.core?.group(id), raft.hasCommittedInTerm
        else {
            wakeUp(group)
            return wait(
                "group \(id) has \(leaders.count) leaders; " + standing(of: group))
        }
        if isWorking { return wait("clients work") }
        guard let target = progress.target[group] else {
            guard !raft.configuration.voters.isJoint, raft.configurationIndex <= raft.commitIndex
            else {
                leaveJoint(leadingNode, leading)
                return wait("group \(id) changes its members")
            }
            progress.target[group] = raft.lastIndex.next
            propose(group, leadingNode, leading)
            return wait("group \(id) commits")
        }
        if raft.commitIndex < target {
            if raft.lastIndex < target { progress.target[group] = nil }
            return wait("group \(id) is committed to \(raft.commitIndex) of \(target)")
        }
        if checks.groups[group].acknowledged > raft.commitIndex {
            return fail(
                "group \(id): \(checks.groups[group].acknowledged) was acknowledged, "
                    + "and \(raft.commitIndex) is committed")
        }
        for replica in raft.configuration.replicas {
            guard let seat = seat(replica, group), seat.isRunning else {
                wait("group \(id) replica \(replica) does not run")
                continue
            }
            if seat.isWitness { continue }
            if seat.machine.appliedIndex < raft.commitIndex {
                wait(
                    "group \(id) replica \(replica) has applied \(seat.machine.appliedIndex) of "
                        + "\(raft.commitIndex), its log ends at \(seat.ledger.lastIndex); "
                        + standing(of: group))
            } else if seat.machine.appliedIndex == leading.machine.appliedIndex,
                seat.machine.digest != leading.machine.digest
            {
                fail("group \(id): replicas \(replica) and \(leading.replica) differ")
            }
        }
    }

    /// How each replica of a group stands, for the message of a failure.
    func standing(of group: Int) -> String {
        var words: [String] = []
        for node in nodes {
            for seat in node.seats where seat.group == group && !seat.isGivenUp {
                guard let raft = node.core?.group(specs[group].id), seat.isRunning else {
                    words.append("replica \(seat.replica) does not run")
                    continue
                }
                words.append(
                    "replica \(seat.replica) of node \(node.id) is \(raft.role), \(raft.standing) in "
                        + "term \(raft.term), committed \(raft.commitIndex) durable "
                        + "\(raft.durableIndex) of \(raft.lastIndex), damaged "
                        + "\(seat.ledger.damaged.count), "
                        + "\(raft.isHibernating ? "asleep, " : "")voters "
                        + "\(raft.configuration.voters.incoming) zones "
                        + "\(raft.configuration.zoneRule.zonesMin)")
            }
        }
        return words.joined(separator: "; ")
    }

    /// Somebody asks for something: a group may sleep, and one that has no leader is told nowhere.
    private func wakeUp(_ group: Int) {
        for node in nodes where node.isUp {
            for seat in node.seats where seat.group == group && seat.isRunning {
                propose(group, node, seat)
            }
        }
    }

    private func propose(_ group: Int, _ node: Node, _ seat: Seat) {
        let sequence = node.nextSequence
        node.nextSequence += 1
        let deadline = MonotonicTime(nanoseconds: monotonic(node).nanoseconds + 1_000_000_000)
        post(
            .propose(
                NodeProposal(
                    sequence: sequence, group: specs[group].id, command: [0xFF], deadline: deadline)
            ),
            to: node)
    }
}
