import Consensus
import Primitives
import ReplicatedLog
import StorageEngine

// Damage to disks that says nothing: it is tried on a copy first, and done only where it is permitted
// (`DamageBudget`).
extension World {
    /// Rot, a write that went elsewhere, one that never took place, and sectors that cannot be read,
    /// beneath a log of which everything is synced.
    func damageLog(_ deed: FaultClass) -> Bool {
        let candidates = nodes.filter { node in
            node.seats.contains { !$0.isGivenUp } && !node.isFull
                && (!node.isUp || !node.isLogBusy && node.logQueue.isEmpty)
        }
        guard !candidates.isEmpty else { return false }
        let node = deedChance.pick(candidates)
        var chance = Chance(seed: deedChance.word(), stream: 11)
        guard let strike = LogStrike(deed, on: node.device, chance: &chance),
            let seats = judge(strike, node)
        else { return false }
        // What a running process knows, it goes on knowing: that a replica is lost, shows at a start.
        if node.isUp && seats.contains(where: \.isLost) {
            stop(node, keeping: .everything)
            restartLater(node)
        }
        node.isDiskDamaged = true
        strike.hit(node.device)
        trace.note(
            now,
            "node \(node.id): \(deed) in segment \(strike.segment) at sectors "
                + "\(strike.blows.map(\.sector)) damages "
                + "\(seats.map { "\($0.seat.replica): \($0.damaged)\($0.isLost ? ", lost" : "")" })"
        )
        for (seat, damaged, isLost) in seats {
            seat.ledger.damaged = damaged
            if isLost {
                seat.ledgerBeforeLoss = seat.ledger
                budget.lose(seat)
            }
            seat.isHarmed = true
        }
        return true
    }

    private typealias Harm = (seat: Seat, damaged: [ClosedRange<LogIndex>], isLost: Bool)

    /// What comes of a strike, for each seat of the node; nil when that is more than is permitted.
    ///
    /// A process that has its log open goes on as if nothing had happened, and what it writes next
    /// states all before it as synced. What is lost at the log's end looks torn to a start that comes
    /// first, and is proven to be lost to one that comes later: both must be permitted, and no replica
    /// may be lost only if its process goes on, since nobody could tell whether it will.
    private func judge(_ strike: LogStrike, _ node: Node) -> [Harm]? {
        let trial = node.device.copy()
        strike.hit(trial)
        guard let now = judge(trial, node) else { return nil }
        guard node.isUp, let log = node.log else { return now }
        let later = node.device.copy()
        do throws(LogError) {
            try log.seal(on: later)
        } catch {
            return nil
        }
        strike.hit(later)
        guard let then = judge(later, node),
            zip(now, then).allSatisfy({ $0.isLost || !$1.isLost })
        else { return nil }
        return zip(now, then).map { ($0.seat, $1.damaged, $0.isLost) }
    }

    /// What a start would find.
    private func judge(_ trial: MemoryLogDevice, _ node: Node) -> [Harm]? {
        let left = trial.copy()
        let found: [GroupID: RecoveredGroup]
        do throws(LogError) {
            let opened = try openLog(trial, node)
            found = opened.groups
            checkDropped(opened.report, from: left, node)
        } catch {
            return nil
        }
        var seats: [Harm] = []
        // What the disk holds for a seat that has not begun was another's: a start drops it.
        for seat in node.seats where !seat.isGivenUp && seat.hasBegun {
            guard let group = found[spec(seat).id] else { return nil }
            let before = seat.ledger
            if budget.isLost(seat) {
                // What is lost, stays so: more damage must not make it look like new.
                guard group.isUntrusted else { return nil }
            }
            if group.isUntrusted {
                seats.append((seat, group.damaged, true))
            } else if group.hardState.term < before.hardState.term
                || group.lastIndex < before.lastIndex
                || group.hardState.vote != before.hardState.vote && !group.voteIsUnknown
                || group.peers.count < before.peers.count && !group.peersAreIncomplete
            {
                // What was lost looks like writes that were never synced: only the peers could
                // tell, and they need not know it all.
                return nil
            } else {
                seats.append((seat, group.damaged, false))
            }
        }
        let lost = seats.filter(\.isLost).map(\.seat)
        guard lost.isEmpty || mayLose(lost) else { return nil }
        for (seat, damaged, isLost) in seats where !isLost {
            // Found already, and perhaps being mended.
            let news = damaged.filter { range in
                !seat.ledger.damaged.contains {
                    $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound
                }
            }
            guard mayLose(news, of: seat), lost.isEmpty || news.isEmpty else { return nil }
        }
        return seats
    }

    /// Damage beneath a state machine, of the classes that reading it finds. Those that lose keys in
    /// silence need a comparison of digests between replicas, which is no part of the pure ring yet.
    func damageEngine() -> Bool {
        let seats = nodes.flatMap(\.seats).filter { seat in
            !seat.isGivenUp && !seat.mustRebuild && !budget.isLost(seat) && mayLoseState(of: seat)
        }
        guard !seats.isEmpty else { return false }
        let seat = deedChance.pick(seats)
        guard let records = seat.machine as? RecordMachine else {
            // The map is small: it is gone as a whole, and a start finds that out.
            guard !seat.isRunning else { return false }
            seat.mustRebuild = true
            seat.stateIsAmiss = true
            return true
        }
        var generator = SeededGenerator(seed: deedChance.word())
        let damage = deedChance.pick([
            MemoryDamage.refusesToOpen, .value, .block, .unreadableBlock, .everything,
        ])
        guard records.engine.inject(damage, using: &generator) else { return false }
        seat.stateIsAmiss = true
        return true
    }

    /// A volume comes back as it was at an earlier stop.
    func rollBack() -> Bool {
        let candidates = nodes.filter { node in
            !node.images.isEmpty && !node.seats.isEmpty && !node.isFull
        }
        guard !candidates.isEmpty else { return false }
        let node = deedChance.pick(candidates)
        let image = deedChance.pick(node.images)
        let seats = node.seats.filter { !$0.isGivenUp }
        guard image.seats.count == seats.count, !seats.isEmpty,
            zip(image.seats, seats).allSatisfy({ $0.replica == $1.replica }),
            seats.allSatisfy({ !$0.mustRebuild && isRemembered($0, beyond: image.incarnation) }),
            mayLose(seats)
        else { return false }
        stop(node, keeping: .everything)
        trace.note(now, "node \(node.id) rolls back to incarnation \(image.incarnation)")
        node.device = image.device.copy()
        node.isDiskDamaged = true
        node.incarnation = image.incarnation
        node.images = []
        for (old, seat) in zip(image.seats, seats) {
            seat.ledgerBeforeLoss = seat.ledger
            seat.ledger = old.ledger
            seat.installed = old.installed
            seat.hasBegun = old.hasBegun
            seat.unsynced = []
            (seat.machine as? RegisterMachine)?.image = old.registers ?? RegisterState()
            if let engine = old.engine { (seat.machine as? RecordMachine)?.image = engine }
            budget.lose(seat)
            seat.isHarmed = true
        }
        restartLater(node)
        return true
    }

    /// What a later deed may bring back.
    func takeImage(_ node: Node) {
        guard profile.enables(.rollback), deedChance.below(3) == 0 else { return }
        let seats = node.seats.filter { !$0.isGivenUp }
        guard !seats.contains(where: { $0.mustRebuild || budget.isLost($0) || $0.isHarmed }) else {
            return
        }
        node.images.append(
            DiskImage(
                device: node.device.copy(), incarnation: node.incarnation,
                seats: seats.map { seat in
                    DiskImage.SeatImage(
                        replica: seat.replica,
                        registers: (seat.machine as? RegisterMachine)?.image,
                        engine: (seat.machine as? RecordMachine)?.image, ledger: seat.ledger,
                        installed: seat.installed, hasBegun: seat.hasBegun)
                }))
        if node.images.count > 3 { node.images.removeFirst() }
    }

    /// A volume comes back empty. The operator knows, and gives the node new seats.
    func wipe() -> Bool {
        let candidates = nodes.filter { node in
            node.seats.contains { !$0.isGivenUp } && !node.isFull
                && mayLose(node.seats.filter { !$0.isGivenUp })
        }
        guard !candidates.isEmpty else { return false }
        let node = deedChance.pick(candidates)
        stop(node, keeping: .everything)
        trace.note(now, "node \(node.id) is wiped")
        node.hasLog = false
        node.device = MemoryLogDevice()
        node.isDiskDamaged = false
        node.images = []
        for seat in node.seats where !seat.isGivenUp {
            budget.lose(seat)
            seat.isGivenUp = true
        }
        restartLater(node)
        return true
    }
}
