import Consensus
import Primitives

// The consensus thread of a node: it takes what waits, tells the groups, and hands out what they ask
// for.
extension World {
    func ticked(_ node: Node) {
        let interval = tickInterval(node)
        // A pause must not be made up for in one burst.
        var ticks = 0
        while now >= node.nextTick, ticks < 3 {
            tickAll(node)
            node.nextTick += interval
            ticks += 1
        }
        if now >= node.nextTick { node.nextTick = now + interval }
        schedule(
            .tick(node: node.number, life: node.life), in: node.nextTick - now)
        endTurn(node)
    }

    private func tickAll(_ node: Node) {
        let clock = monotonic(node)
        for seat in node.seats where seat.raft != nil {
            if seat.raft!.isHibernating { continue }
            step(node, seat) { $0.ticked(now: clock) }
        }
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

    private func handle(_ notice: Notice, at node: Node) {
        switch notice {
        case .messages(let messages):
            for message in messages {
                guard
                    let seat = node.seats.first(where: {
                        $0.replica == message.to && spec($0).id == message.group && $0.raft != nil
                    })
                else { continue }
                trace.mix(UInt64(message.term.rawValue) &* 31 &+ message.from.rawValue)
                step(node, seat) { $0.received(message) }
            }
        case .durable(let tickets):
            for (seat, ticket) in tickets {
                if let entry = node.seats[seat].raft, entry.role == .leader { _ = entry.term }
                step(node, node.seats[seat]) { $0.appended(ticket) }
            }
        case .applied(let seat, let through, let term):
            let seat = node.seats[seat]
            seat.appliedTerm = max(seat.appliedTerm, term)
            step(node, seat) { $0.applied(through: through) }
            serveReads(node)
            settleLost(node, seat)
        case .persisted(let seat, let through):
            step(node, node.seats[seat]) { $0.persisted(through: through) }
        case .fetched(let seat, let fetched):
            step(node, node.seats[seat]) { $0.entriesFetched(fetched) }
        case .damaged(let seat, let range):
            step(node, node.seats[seat]) { $0.damaged(range) }
        case .snapshotMade(let seat, let id, let index):
            step(node, node.seats[seat]) { $0.snapshotMade(id, at: index) }
        case .snapshotEnded(let seat, let id, let outcome):
            step(node, node.seats[seat]) { $0.snapshotEnded(id, outcome) }
        case .propose(let seat, let sequence): propose(node, node.seats[seat], sequence)
        case .read(let seat, let token):
            step(node, node.seats[seat]) { $0.readRequested(token, now: self.monotonic(node)) }
        case .configure(let seat, let request):
            var outcome: ConfigurationOutcome?
            step(node, node.seats[seat]) { raft in
                let (result, effects) = raft.configurationProposed(
                    request, wallClock: self.wallClock(node))
                outcome = result
                return effects
            }
            if let outcome { configurationAnswered(outcome, node, node.seats[seat], request) }
        case .transfer(let seat, let target):
            var outcome: TransferOutcome?
            step(node, node.seats[seat]) { raft in
                let (result, effects) = raft.transferRequested(to: target)
                outcome = result
                return effects
            }
            if case .begun? = outcome { injected(.transfer) }
        }
    }

    private func propose(_ node: Node, _ seat: Seat, _ sequence: UInt64) {
        guard let proposal = node.proposals[sequence] else { return }
        var outcome: ProposalOutcome?
        let clock = wallClock(node)
        step(node, seat) { raft in
            let (result, effects) = raft.proposed(
                [Proposal(command: proposal.command)], wallClock: clock)
            outcome = result
            return effects
        }
        switch outcome {
        case .accepted(let term, _, _): node.proposals[sequence]?.term = term
        case .refused, nil:
            node.proposals[sequence] = nil
            told(proposal.client, proposal.serial, .refused)
        }
    }

    /// Once an entry of a later term is applied, what was appended in an earlier one and has not
    /// been applied never will be: terms never fall along a log.
    private func settleLost(_ node: Node, _ seat: Seat) {
        let lost = node.proposals.filter { _, proposal in
            node.seats[proposal.seat] === seat && proposal.term.map { $0 < seat.appliedTerm } == true
        }
        for (sequence, proposal) in lost.sorted(by: { $0.key < $1.key }) {
            node.proposals[sequence] = nil
            told(proposal.client, proposal.serial, .refused)
        }
    }

    /// The one place where a replica is told something and its effects are taken.
    func step(_ node: Node, _ seat: Seat, _ event: (inout RaftGroup) -> Effects) {
        guard var raft = seat.raft else { return }
        let before = Before(raft)
        seat.raft = nil  // so that the value is changed in place, not copied
        let effects = event(&raft)
        seat.raft = raft
        look(node, seat, before, effects)
        perform(effects, node, seat)
    }

    private func perform(_ effects: Effects, _ node: Node, _ seat: Seat) {
        let place = node.seats.firstIndex { $0 === seat }!
        for message in effects.messages { checkLeaving(message, seat) }
        node.outbox.append(contentsOf: effects.messages)
        if let work = effects.append {
            node.logQueue.append((place, work))
            if options.sabotage == .earlyMessages {
                node.outbox.append(contentsOf: work.messagesAfterDurable)
            }
        }
        for range in effects.committed { node.applyQueue.append((place, range)) }
        for read in effects.readsReady { readReady(node, place, read) }
        for read in effects.readsRefused {
            reach(.readRefused)
            guard let waiting = node.reads.removeValue(forKey: read.token) else { continue }
            told(waiting.client, waiting.serial, .refused)
        }
        for request in effects.fetches {
            schedule(
                .fetch(node: node.number, life: node.life, seat: place, request),
                in: diskChance.within(profile.engineLatency))
        }
        for request in effects.snapshotRequests {
            schedule(
                .snapshotMade(node: node.number, life: node.life, seat: place, request),
                in: diskChance.within(1_000...30_000))
        }
        if let metadata = effects.snapshotFetch { beginTransfer(node, place, metadata) }
        if let reason = effects.quarantined { quarantined(node, seat, reason) }
        for change in effects.alarms { trace.note(now, "node \(node.id) alarm \(change)") }
    }

    func endTurn(_ node: Node) {
        guard node.isUp else { return }
        let outbox = node.outbox
        node.outbox = []
        send(outbox, from: node)
        if !node.logQueue.isEmpty && !node.isLogBusy {
            node.isLogBusy = true
            schedule(.logWrite(node: node.number, life: node.life), in: timeChance.within(1...30))
        }
        if !node.applyQueue.isEmpty && !node.isApplyBusy {
            node.isApplyBusy = true
            schedule(.apply(node: node.number, life: node.life), in: timeChance.within(1...50))
        }
    }

    // MARK: Reads

    private func readReady(_ node: Node, _ place: Int, _ read: ReadReady) {
        node.confirmed.append((place, read.index, read.token))
        serveReads(node)
    }

    /// Answers what is confirmed and applied.
    func serveReads(_ node: Node) {
        guard !node.confirmed.isEmpty else { return }
        var waiting: [(seat: Int, index: LogIndex, token: UInt64)] = []
        for read in node.confirmed {
            let seat = node.seats[read.seat]
            if seat.machine.appliedIndex < read.index {
                waiting.append(read)
            } else if let known = node.reads.removeValue(forKey: read.token) {
                answerRead(node, seat, known)
            }
        }
        node.confirmed = waiting
    }
}
