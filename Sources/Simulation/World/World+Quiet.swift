import Consensus
import MultiRaft
import Primitives

/// A node whose groups sleep is lost, and nobody asks them for anything: what wakes them is what the
/// others are told of the loss.
struct Drill {
    /// Until when groups are waited for to fall asleep.
    var until: UInt64
    var lost: Loss?

    struct Loss {
        let node: Node
        let since: UInt64
        /// Groups that it led and that have not found another leader.
        var groups: [Int]
    }
}

// What must come true without a request. A proposal wakes whatever sleeps, so that one asked too early
// hides a wake that was lost.
extension World {
    /// Microseconds of two election timeouts: nothing is asked for so long after a healing.
    private var twoTimeouts: UInt64 { UInt64(2 * settings.electionTimeoutTicks) * tick }
    /// Microseconds after `settledAt` within which each well group has a leader. Votes may be split,
    /// restarted voters may keep promises that they have forgotten, disks work off what waits: that
    /// takes several timeouts. A wake that was lost takes for ever.
    private var leaderlessMax: UInt64 { 10 * twoTimeouts }
    /// Microseconds after a node's loss within which the groups that it led have leaders. Two timeouts
    /// are enough where no votes are split (`MultiRaftTests.HibernationTests`); members of other
    /// priorities, or of groups that changed a moment ago, may meet, and who lost waits up to three.
    private var leaderlessAfterLossMax: UInt64 { 6 * twoTimeouts / 2 }

    /// - Returns: whether the time is over in which nobody asks for anything.
    func endQuiet() -> Bool {
        let leaderless = specs.indices.filter { leadingNode(of: $0) == nil }
        let stuck = leaderless.filter { isWell($0) }
        guard now >= healedAt + twoTimeouts else { return false }
        if !stuck.isEmpty {
            guard now >= settledAt + leaderlessMax else { return false }
            for group in stuck {
                fail(
                    "no progress: group \(specs[group].id) has found no leader \(now - healedAt) µs "
                        + "after the healing, and nobody asked; \(standing(of: group))")
            }
            return false
        }
        isQuiet = false
        isWorking = true
        worksUntil = now + 1_500_000
        return true
    }

    /// The leader of the highest term that any replica is in.
    private func leadingNode(of group: Int) -> Node? {
        var best: (term: Term, node: Node?)?
        for node in nodes where node.isUp {
            for seat in node.seats where seat.group == group && seat.isRunning {
                guard let last = seat.last else { continue }
                let leads = last.role == .leader
                if best.map({ ($0.term, $0.node != nil ? 1 : 0) < (last.term, leads ? 1 : 0) })
                    ?? true
                {
                    best = (last.term, leads ? node : nil)
                }
            }
        }
        return best?.node
    }

    /// Whether a majority of each set of voters runs undamaged and agrees on who they are, and one of
    /// those that may lead has all that any of them has: they can elect it.
    func isWell(_ group: Int) -> Bool {
        var well: [(replica: ReplicaID, isWitness: Bool, term: Term, index: LogIndex)] = []
        var configuration: Configuration?
        for node in nodes where node.isUp && node.pausedUntil <= now {
            for seat in node.seats where seat.group == group && seat.isRunning {
                guard let raft = node.core?.group(specs[group].id), raft.standing == .trusted,
                    seat.ledger.damaged.isEmpty, !budget.isLost(seat)
                else { continue }
                if let known = configuration, known != raft.configuration { return false }
                configuration = raft.configuration
                well.append(
                    (
                        seat.replica, seat.isWitness, raft.term(at: raft.lastIndex) ?? .zero,
                        raft.lastIndex
                    ))
            }
        }
        guard let configuration else { return false }
        let voters = configuration.voters
        well.removeAll { !voters.incoming.contains($0.replica) }
        func isQuorum(_ set: [ReplicaID]) -> Bool {
            set.isEmpty
                || set.count { voter in well.contains { $0.replica == voter } } > set.count / 2
        }
        guard isQuorum(voters.incoming), isQuorum(voters.outgoing) else { return false }
        return well.contains { one in
            !one.isWitness
                && well.allSatisfy { ($0.term, $0.index) <= (one.term, one.index) }
        }
    }

    // MARK: A node's loss

    /// - Returns: false where no group may sleep, or nodes do as they are told.
    func beginDrill() -> Bool {
        guard settings.hibernationTicks != nil, !options.isTraced, !isStaged else { return false }
        drill = Drill(until: now + 3_000_000)
        schedule(.drill, in: Self.progressInterval)
        return true
    }

    func goOnWithDrill() {
        guard var drill else { return }
        if drill.lost == nil {
            drill.lost = loseSleepersLeader()
            self.drill = drill
            if drill.lost == nil && now >= drill.until { return endDrill() }
            return schedule(.drill, in: drill.lost == nil ? Self.progressInterval : tick)
        }
        drill.lost!.groups.removeAll { leadingNode(of: $0) != nil }
        self.drill = drill
        let lost = drill.lost!
        if lost.groups.isEmpty {
            trace.note(now, "the lost node's groups have leaders after \(now - lost.since) µs")
            schedule(.start(node: lost.node.number, life: lost.node.life), in: 1_000)
            return endDrill()
        }
        guard now - lost.since <= leaderlessAfterLossMax else {
            for group in lost.groups {
                fail(
                    "no progress: group \(specs[group].id) slept, and has found no leader "
                        + "\(now - lost.since) µs after the loss of node \(lost.node.id), which led "
                        + "it; \(standing(of: group))")
            }
            return
        }
        schedule(.drill, in: tick)
    }

    private func endDrill() {
        drill = nil
        endCycle()
    }

    private func loseSleepersLeader() -> Drill.Loss? {
        var candidates: [(node: Node, groups: [Int])] = []
        for node in nodes where node.isUp {
            let groups = specs.indices.filter {
                sleeps($0, ledBy: node) && isWell($0, without: node)
            }
            if !groups.isEmpty { candidates.append((node, groups)) }
        }
        guard now >= settledAt, !candidates.isEmpty else { return nil }
        let (node, groups) = deedChance.pick(candidates)
        reach(.sleepersLeaderLost)
        trace.note(now, "node \(node.id) is lost, and groups \(groups) sleep")
        stop(node, keeping: .everything)
        return Drill.Loss(node: node, since: now, groups: groups)
    }

    private func sleeps(_ group: Int, ledBy node: Node) -> Bool {
        leadingNode(of: group) === node
            && nodes.allSatisfy { other in
                other.seats.allSatisfy {
                    $0.group != group || !$0.isRunning || $0.last?.isHibernating == true
                }
            }
    }

    private func isWell(_ group: Int, without node: Node) -> Bool {
        let paused = node.pausedUntil
        node.pausedUntil = .max
        defer { node.pausedUntil = paused }
        return isWell(group)
    }
}
