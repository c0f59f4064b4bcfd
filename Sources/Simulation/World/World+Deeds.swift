import Primitives
import ReplicatedLog
import StorageEngine

// What is done to the cluster from time to time, chosen by the weights of the run's profile.
extension World {
    private static let deeds: [FaultClass] = [
        .partition, .oneWay, .partialPartition, .kill, .power, .blackout, .pause, .slowDisk,
        .fullDisk, .logError, .engineError, .clockJump, .bitRot, .misdirectedWrite, .lostWrite,
        .unreadable, .engineDamage, .rollback, .wipe,
    ]

    func doDeed() {
        guard isHurting else { return }
        schedule(.deed, in: deedInterval())
        let weights = Self.deeds.map { profile.weight($0) }
        let sum = weights.reduce(0, +)
        guard sum > 0 else { return }
        var draw = deedChance.below(sum)
        var choice = 0
        while draw >= weights[choice] {
            draw -= weights[choice]
            choice += 1
        }
        let deed = Self.deeds[choice]
        guard perform(deed) else { return }
        injected(deed)
        trace.mix(8, choice)
        trace.note(now, "deed: \(deed)")
    }

    /// - Returns: false when there was nothing to do it to.
    private func perform(_ deed: FaultClass) -> Bool {
        switch deed {
        case .partition: return partition()
        case .oneWay: return cutOneWay()
        case .partialPartition: return cutPairs()
        case .kill: return stopOne(.everything)
        case .power: return stopOne(.chance)
        case .blackout:
            for node in nodes where node.isUp {
                stop(node, keeping: .chance)
                restartLater(node)
            }
            return true
        case .pause:
            guard let node = pickRunning() else { return false }
            node.pausedUntil = max(
                node.pausedUntil, now + deedChance.skewed(20_000...4_000_000))
            return true
        case .slowDisk:
            guard let node = pickRunning() else { return false }
            slowDown(node, by: 2_000...400_000)
            return true
        case .fullDisk: return fillDisk()
        case .logError:
            guard let node = pickRunning() else { return false }
            node.device.fail(.init(deedChance.pick([.write, .sync]), after: deedChance.below(4)))
            return true
        case .engineError: return failEngine()
        case .clockJump:
            guard let node = pickRunning() else { return false }
            node.skew += Int64(deedChance.below(20_000_001)) - 10_000_000
            return true
        case .bitRot, .misdirectedWrite, .lostWrite, .unreadable: return damageLog(deed)
        case .engineDamage: return damageEngine()
        case .rollback: return rollBack()
        case .wipe: return wipe()
        case .loss, .delay, .duplication, .reordering, .skew, .drift, .membership, .transfer,
            .snapshotBreak:
            preconditionFailure("\(deed) is no deed")
        }
    }

    func pickRunning() -> Node? {
        let running = nodes.filter { $0.isUp && !$0.seats.isEmpty }
        return running.isEmpty ? nil : deedChance.pick(running)
    }

    private func stopOne(_ keeping: Keeping) -> Bool {
        guard let node = pickRunning(), mayStop(node) else { return false }
        stop(node, keeping: keeping)
        restartLater(node)
        return true
    }

    // MARK: The network

    private func cut(_ links: [(from: Int, to: Int)]) -> Bool {
        guard !links.isEmpty, network.standing.count < 4 else { return false }
        let number = network.cut(links)
        schedule(.mend(.network(number)), in: deedChance.skewed(50_000...5_000_000))
        return true
    }

    private func partition() -> Bool {
        var sides = nodes.map { _ in deedChance.below(2) }
        // Often a leader is alone: nobody tells it that it leads no more.
        if deedChance.below(3) == 0, let alone = leader(of: deedChance.below(specs.count)) {
            sides = nodes.map { $0 === alone.node ? 0 : 1 }
            // What it writes meanwhile may be replaced before it is synced.
            if profile.enables(.slowDisk) && deedChance.below(2) == 0 {
                slowDown(alone.node, by: 200_000...1_500_000)
                injected(.slowDisk)
            }
        }
        var links: [(from: Int, to: Int)] = []
        for a in nodes.indices {
            for b in nodes.indices where sides[a] != sides[b] { links.append((a, b)) }
        }
        return cut(links)
    }

    private func cutOneWay() -> Bool {
        let node = deedChance.below(nodes.count)
        let others = nodes.indices.filter { $0 != node && deedChance.below(3) > 0 }
        let isOutgoing = deedChance.below(2) == 0
        return cut(others.map { isOutgoing ? (node, $0) : ($0, node) })
    }

    private func cutPairs() -> Bool {
        var links: [(from: Int, to: Int)] = []
        for a in nodes.indices {
            for b in nodes.indices where a < b && deedChance.below(3) == 0 {
                links.append((a, b))
                links.append((b, a))
            }
        }
        return cut(links)
    }

    func mend(_ mending: Mending) {
        switch mending {
        case .network(let number): network.mend(number)
        case .diskRoom(let number): freeSpace(nodes[number])
        case .diskSpeed(let number): nodes[number].syncDelay = 0
        }
    }

    // MARK: Disks that are slow, full or fail, and say so

    private func fillDisk() -> Bool {
        guard let node = pickRunning() else { return false }
        node.isFull = true
        node.device.setFull(true)
        for seat in node.seats { (seat.machine as? RecordMachine)?.engine.fillDisk() }
        schedule(.mend(.diskRoom(node: node.number)), in: deedChance.skewed(100_000...4_000_000))
        return true
    }

    func freeSpace(_ node: Node) {
        node.isFull = false
        node.device.setFull(false)
        for seat in node.seats { (seat.machine as? RecordMachine)?.engine.freeSpace() }
    }

    private func slowDown(_ node: Node, by delay: ClosedRange<UInt64>) {
        node.syncDelay = deedChance.skewed(delay)
        schedule(.mend(.diskSpeed(node: node.number)), in: deedChance.skewed(100_000...4_000_000))
    }

    private func failEngine() -> Bool {
        guard let node = pickRunning(),
            let machine = node.seats.lazy.compactMap({ $0.machine as? RecordMachine }).first
        else { return false }
        let error: StorageError =
            deedChance.below(2) == 0 ? .noSpace("injected") : .inputOutput("injected")
        machine.engine.inject(
            error, at: deedChance.pick([.commit, .flush]), after: deedChance.below(5))
        return true
    }
}
