import Consensus
import MultiRaft
import Primitives

// The consensus thread of a node: it takes what waits, tells the core, and hands out what that asks
// for.
extension World {
    func ticked(_ node: Node) {
        let interval = tickInterval(node)
        // A pause must not be made up for in one burst.
        var ticks = 0
        node.sleepers = sleepers(node)
        while now >= node.nextTick, ticks < 3 {
            let clock = monotonic(node)
            tell(node) { $0.ticked(now: clock) }
            node.nextTick += interval
            ticks += 1
        }
        if now >= node.nextTick { node.nextTick = now + interval }
        schedule(.tick(node: node.number, life: node.life), in: node.nextTick - now)
        endTurn(node)
    }

    func turn(_ node: Node) {
        let notices = node.notices
        node.notices = []
        node.isTurnDue = false
        for notice in notices {
            handle(notice, at: node)
            if !node.isUp { return }
        }
        endTurn(node)
    }

    /// The one place where a node's core is told something; the checkers look at each replica behind
    /// it.
    func tell(_ node: Node, _ event: (inout MultiRaft) -> Void) {
        guard node.core != nil else { return }
        let leases = leasesHeld(node)
        let reading = node.lastReading
        event(&node.core!)
        noteForfeits(leases, node, at: reading)
        if options.isTraced { traceSteps(node) }
        for seat in node.seats where seat.isRunning { look(node, seat) }
    }

    private func handle(_ notice: Notice, at node: Node) {
        switch notice {
        case .messages(let messages, let from):
            if options.isTraced { return hearTraced(messages, from: from, at: node) }
            tell(node) { $0.received(messages, from: from) }
        case .durable(let tickets): tell(node) { $0.durable(tickets) }
        case .applied(let report): tell(node) { $0.applied(report) }
        case .persisted(let seat, let through):
            let id = spec(node.seats[seat]).id
            tell(node) { $0.persisted(id, through: through) }
        case .fetched(let seat, let fetched):
            let id = spec(node.seats[seat]).id
            tell(node) { $0.fetched(id, fetched) }
        case .damaged(let seat, let range):
            let id = spec(node.seats[seat]).id
            tell(node) { $0.damaged(id, range) }
        case .snapshotMade(let seat, let snapshot, let index):
            let id = spec(node.seats[seat]).id
            tell(node) { $0.snapshotMade(id, snapshot, at: index) }
        case .snapshotEnded(let seat, let snapshot, let outcome):
            let id = spec(node.seats[seat]).id
            tell(node) { $0.snapshotEnded(id, snapshot, outcome) }
        case .propose(let proposal): tell(node) { $0.propose(proposal) }
        case .read(let seat, let token, let deadline):
            let id = spec(node.seats[seat]).id
            tell(node) { $0.read(token, of: id, deadline: deadline) }
            node.readsAsked.insert(token)
        case .configure(let seat, let request):
            change(node, node.seats[seat], request)
        case .transfer(let seat, let target):
            let id = spec(node.seats[seat]).id
            var outcome: TransferOutcome?
            tell(node) { outcome = $0.transfer(id, to: target) }
            if case .begun? = outcome {
                injected(.transfer)
                node.seats[seat].transferAskedIn = node.core?.group(id)?.term
            }
        case .promised(let seat): setDeadline(node, node.seats[seat])
        }
    }

    func endTurn(_ node: Node) {
        guard node.isUp, node.core != nil else { return }
        var done: NodeEffects?
        let clock = monotonic(node)
        let wall = wallClock(node)
        tell(node) { done = $0.endTurn(now: clock, wallClock: wall) }
        guard let effects = done else { return }
        checkTurn(node, effects)
        checkDeadlines(effects, node, sleepers: node.sleepers)
        node.sleepers = []
        send(effects.outgoing, from: node)
        if let append = effects.append {
            node.logQueue.append(append)
            if options.sabotage == .earlyMessages { send(append.messagesAfterDurable, from: node) }
        }
        for range in effects.apply {
            if let place = node.place(of: range.group, specs) {
                node.applyQueue.append((place, range.value))
            }
        }
        performReads(effects, node)
        node.readsAsked = []
        performSnapshots(effects, node)
        for failed in effects.proposalsFailed {
            guard let proposal = node.proposals.removeValue(forKey: failed.id) else { continue }
            let isUnknown = failed.failure == .outcomeUnknown
            told(proposal.client, proposal.serial, isUnknown ? .unknown : .refused)
        }
        for quarantine in effects.quarantined {
            guard let place = node.place(of: quarantine.group, specs) else { continue }
            quarantined(node, node.seats[place], quarantine.value)
        }
        notePaths(of: effects.alarms)
        for change in effects.alarms { node.note(change) }
        for change in effects.configurationChanges {
            trace.note(
                now,
                "node \(node.id) group \(change.group) configuration \(change.value.index): "
                    + "\(change.value.configuration.voters.incoming) from "
                    + "\(change.value.configuration.voters.outgoing) learners "
                    + "\(change.value.configuration.learners)")
        }
        if !node.logQueue.isEmpty && !node.isLogBusy {
            node.isLogBusy = true
            schedule(.logWrite(node: node.number, life: node.life), in: timeChance.within(1...30))
        }
        if !node.applyQueue.isEmpty && !node.isApplyBusy {
            node.isApplyBusy = true
            schedule(.apply(node: node.number, life: node.life), in: timeChance.within(1...50))
        }
    }

    private func performReads(_ effects: NodeEffects, _ node: Node) {
        for ready in effects.readsReady {
            guard let place = node.place(of: ready.group, specs) else { continue }
            for token in ready.value {
                guard let read = node.reads.removeValue(forKey: token) else { continue }
                noteLeaseRead(token, node.seats[place], node)
                answerRead(node, node.seats[place], read)
                if !node.isUp { return }
            }
        }
        for failed in effects.readsFailed {
            reach(.readRefused)
            guard let read = node.reads.removeValue(forKey: failed.id) else { continue }
            told(read.client, read.serial, .refused)
        }
    }

    private func performSnapshots(_ effects: NodeEffects, _ node: Node) {
        for fetch in effects.fetches {
            guard let place = node.place(of: fetch.group, specs) else { continue }
            schedule(
                .fetch(node: node.number, life: node.life, seat: place, fetch.value),
                in: diskChance.within(profile.engineLatency))
        }
        for request in effects.snapshotRequests {
            guard let place = node.place(of: request.group, specs) else { continue }
            schedule(
                .snapshotMade(node: node.number, life: node.life, seat: place, request.value),
                in: diskChance.within(1_000...30_000))
        }
        for fetch in effects.snapshotFetches {
            guard let place = node.place(of: fetch.group, specs) else { continue }
            beginTransfer(node, place, fetch.value)
        }
    }
}
