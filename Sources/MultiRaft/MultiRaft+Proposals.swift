import Consensus
import Primitives

/// The way of a client's command into the log, exactly once.
///
/// A proposal is sent in one term: appended here as leader of it, or forwarded to the leader, which
/// appends it only while it still leads that very term. Terms never fall along a log, so when an
/// entry of a later term has been applied here and the proposal has not, it is in no log that can
/// commit, and never will be: it is certain to be lost, and is sent again. A change of leader is
/// thus a pause for the client, not an error and not a second execution.
extension MultiRaft {
    /// A client's command. `NodeEffects.proposalsFailed` names it, or an `AppliedReport` does.
    package mutating func propose(_ proposal: NodeProposal) {
        guard let place = places[proposal.group], !slots[place].isWitness else {
            return fail(proposal.sequence, of: proposal.group, with: .notServing)
        }
        guard pendingProposals < settings.maxPendingProposals else {
            return fail(proposal.sequence, of: proposal.group, with: .overloaded)
        }
        let former = slots[place].proposals.pending.updateValue(
            GroupProposals.Pending(command: proposal.command), forKey: proposal.sequence)
        precondition(former == nil, "two proposals \(proposal.sequence)")
        pendingProposals += 1
        proposalDeadlines.append(
            RequestDeadlines.Request(
                id: proposal.sequence, group: proposal.group, deadline: proposal.deadline))
        slots[place].proposals.held.append(proposal.sequence)
        wait(place)
    }

    mutating func receivedForward(_ forward: ForwardedProposals, from origin: NodeID) {
        // A repetition says nothing: its first coming was answered, or appended.
        let isFirst = forward.id > 0 && peers[peerPosition(origin)].forwardsSeen.take(forward.id)
        #if PlantedBugs
            let isNew = isFirst || PlantedBug.active == .forwardTakenTwice
        #else
            let isNew = isFirst
        #endif
        guard isNew else { return }
        guard let place = places[forward.group],
            forward.sequences.count == forward.commands.count, !forward.commands.isEmpty
        else { return refuse(forward, to: origin, .notLeader) }
        slots[place].proposals.forwardedHere.append((forward: forward, origin: origin))
        wait(place)
    }

    /// Whoever waits for a leader, or for the end of the turn, is looked at then.
    mutating func wait(_ place: Int) {
        guard !slots[place].isWaiting else { return }
        slots[place].isWaiting = true
        waiting.append(slots[place].raft.group)
    }

    /// Once per turn: everything that came goes into one append, or one message to the leader.
    mutating func flushRequests(now: MonotonicTime, wallClock: UInt64) {
        let flushing = waiting
        waiting = []
        for id in flushing {
            guard let place = places[id] else { continue }
            slots[place].isWaiting = false
            if slots[place].hasWaiting { wakeForRequest(place) }
            flushProposals(place, wallClock: wallClock)
            flushReads(place, now: now)
            if slots[place].hasWaiting { wait(place) }
        }
    }

    private mutating func flushProposals(_ place: Int, wallClock: UInt64) {
        let forwardedHere = slots[place].proposals.forwardedHere
        slots[place].proposals.forwardedHere = []
        for (forward, origin) in forwardedHere {
            appendForwarded(forward, from: origin, place: place, wallClock: wallClock)
        }
        let held = slots[place].proposals.held.filter {
            slots[place].proposals.pending[$0] != nil
        }
        slots[place].proposals.held = held
        guard !held.isEmpty else { return }
        if slots[place].raft.role == .leader {
            slots[place].proposals.held = []
            append(held, place: place, wallClock: wallClock)
        } else if let leader = slots[place].leaderNode, mayForward(place) {
            slots[place].proposals.held = []
            forward(held, to: leader, place: place)
        }
    }

    private mutating func append(_ sequences: [UInt64], place: Int, wallClock: UInt64) {
        let commands = sequences.compactMap { slots[place].proposals.pending[$0]?.command }
        switch propose(commands, place: place, wallClock: wallClock) {
        case .accepted(let term, _, _): sent(sequences, in: term, place: place)
        case .refused(.notLeader), .refused(.transferInProgress):
            slots[place].proposals.held.append(contentsOf: sequences)
        case nil:
            for sequence in sequences { fail(sequence, at: place, with: .overloaded) }
        case .refused(.uncommittedTailFull), .refused(.entryTooLarge):
            // All or none were taken: let those in that still fit, and refuse the rest by name.
            if sequences.count > 1 {
                for sequence in sequences { append([sequence], place: place, wallClock: wallClock) }
            } else {
                fail(sequences[0], at: place, with: .overloaded)
            }
        }
    }

    /// nil: refused because the state machine is too far behind what is committed.
    private mutating func propose(
        _ commands: [Bytes], place: Int, wallClock: UInt64
    ) -> ProposalOutcome? {
        let committed = slots[place].raft.commitIndex.rawValue
        let applied = slots[place].appliedIndex.rawValue
        guard committed <= applied + settings.maxApplyBacklog else { return nil }
        let clock = max(wallClock, slots[place].newestStamp)
        var outcome: ProposalOutcome?
        step(at: place) { group in
            let (result, effects) = group.proposed(
                commands.map { Proposal(command: $0) }, wallClock: clock)
            outcome = result
            return effects
        }
        guard let outcome else { preconditionFailure("a proposal without an outcome") }
        return outcome
    }

    private mutating func sent(_ sequences: [UInt64], in term: Term, place: Int) {
        for sequence in sequences {
            slots[place].proposals.pending[sequence]?.sentTerm = term
        }
    }

    // MARK: Through the leader

    private func mayForward(_ place: Int) -> Bool {
        let pause = slots[place].proposals.forwardPause
        return slots[place].raft.term != pause.term || ticks >= pause.untilTick
    }

    private mutating func forward(_ sequences: [UInt64], to leader: NodeID, place: Int) {
        let term = slots[place].raft.term
        let empty = ForwardedProposals(
            id: 0, group: slots[place].raft.group, term: term, sequences: [], commands: [])
        var forward = empty
        var bytes = 0
        func leave(_ forward: ForwardedProposals) {
            var forward = forward
            forward.id = nextForward
            nextForward += 1
            turn.outgoing.append(forward, to: leader, incarnation)
        }
        for sequence in sequences {
            guard let command = slots[place].proposals.pending[sequence]?.command else { continue }
            if bytes > 0, bytes + command.count > settings.maxForwardBytes {
                leave(forward)
                forward = empty
                bytes = 0
            }
            forward.sequences.append(sequence)
            forward.commands.append(command)
            bytes += command.count
        }
        if !forward.sequences.isEmpty { leave(forward) }
        sent(sequences, in: term, place: place)
    }

    private mutating func appendForwarded(
        _ forward: ForwardedProposals, from origin: NodeID, place: Int, wallClock: UInt64
    ) {
        guard slots[place].raft.role == .leader, slots[place].raft.term == forward.term else {
            return refuse(forward, to: origin, .notLeader)
        }
        switch propose(forward.commands, place: place, wallClock: wallClock) {
        case .accepted: break
        case .refused(.notLeader), .refused(.transferInProgress):
            refuse(forward, to: origin, .notLeader)
        case nil, .refused(.uncommittedTailFull), .refused(.entryTooLarge):
            refuse(forward, to: origin, .overloaded)
        }
    }

    private mutating func refuse(
        _ forward: ForwardedProposals, to origin: NodeID, _ reason: ForwardRefused.Reason
    ) {
        let refusal = ForwardRefused(
            group: forward.group, term: forward.term, sequences: forward.sequences, reason: reason)
        turn.outgoing.append(refusal, to: origin, incarnation)
    }

    mutating func receivedRefusal(_ refused: ForwardRefused) {
        guard let place = places[refused.group] else { return }
        for sequence in refused.sequences {
            // An answer about an earlier term than the one it was last sent in says nothing.
            guard slots[place].proposals.pending[sequence]?.sentTerm == refused.term else {
                continue
            }
            switch refused.reason {
            case .notLeader:
                slots[place].proposals.forwardPause = (refused.term, ticks + 1)
                hold([sequence], place: place)
            case .overloaded: fail(sequence, at: place, with: .overloaded)
            }
        }
    }

    mutating func forwardNotSent(_ forward: ForwardedProposals) {
        guard let place = places[forward.group] else { return }
        slots[place].proposals.forwardPause = (forward.term, ticks + 1)
        hold(
            forward.sequences.filter {
                slots[place].proposals.pending[$0]?.sentTerm == forward.term
            }, place: place)
    }

    /// In no log for certain: to be sent, again.
    private mutating func hold(_ sequences: [UInt64], place: Int) {
        guard !sequences.isEmpty else { return }
        for sequence in sequences { slots[place].proposals.pending[sequence]?.sentTerm = nil }
        slots[place].proposals.held.append(contentsOf: sequences)
        wait(place)
    }

    // MARK: Outcomes

    /// The state machine has advanced; clients whose commands were applied have been answered.
    package mutating func applied(_ report: AppliedReport) {
        guard let place = places[report.group] else { return }
        for sequence in report.sequences
        where slots[place].proposals.pending.removeValue(forKey: sequence) != nil {
            pendingProposals -= 1
        }
        advanceApplied(to: report.through, term: report.term, place: place)
        slots[place].newestStamp = max(slots[place].newestStamp, report.newestStamp)
        step(at: place) { $0.applied(through: report.through) }
        readsApplied(place)
    }

    private mutating func advanceApplied(to index: LogIndex, term: Term, place: Int) {
        slots[place].appliedIndex = max(slots[place].appliedIndex, index)
        guard term > slots[place].appliedTerm else { return }
        slots[place].appliedTerm = term
        let lost = slots[place].proposals.pending.filter { _, proposal in
            #if PlantedBugs
                if PlantedBug.active == .lostProposalSentAgainTooEarly {
                    return proposal.sentTerm.map { $0 <= term } == true
                }
            #endif
            return proposal.sentTerm.map { $0 < term } == true
        }
        hold(lost.keys.sorted(), place: place)
    }

    /// A snapshot takes the place of entries that this node has not seen: what was sent up to its
    /// term may be among them, and nobody here can tell.
    mutating func skipped(to metadata: SnapshotMetadata, place: Int) {
        let unknown = slots[place].proposals.pending.filter { _, proposal in
            proposal.sentTerm.map { $0 <= metadata.term } == true
        }
        for sequence in unknown.keys.sorted() { fail(sequence, at: place, with: .outcomeUnknown) }
        advanceApplied(to: metadata.index, term: metadata.term, place: place)
        readsApplied(place)
    }

    /// Tells the clients whose time is up whether their command can still be applied.
    mutating func expireRequests(_ now: MonotonicTime) {
        while let request = proposalDeadlines.first {
            if let place = places[request.group],
                let proposal = slots[place].proposals.pending[request.id]
            {
                guard request.deadline <= now else { break }
                fail(
                    request.id, at: place,
                    with: proposal.sentTerm == nil ? .noLeader : .outcomeUnknown)
            }
            proposalDeadlines.removeFirst()
        }
        expireReads(now)
    }

    /// The node stops: whoever still waits is told. What was never sent certainly did not happen.
    package mutating func stopped() -> NodeEffects {
        for id in groups {
            let place = places[id]!
            for sequence in slots[place].proposals.pending.keys.sorted() {
                let isSent = slots[place].proposals.pending[sequence]?.sentTerm != nil
                fail(sequence, at: place, with: isSent ? .outcomeUnknown : .stopping)
            }
            failReads(place, with: .stopping)
        }
        defer { turn = Turn() }
        return turn.effects
    }

    /// The group leaves this node.
    mutating func failAll(of place: Int) {
        for sequence in slots[place].proposals.pending.keys.sorted() {
            let isSent = slots[place].proposals.pending[sequence]?.sentTerm != nil
            fail(sequence, at: place, with: isSent ? .outcomeUnknown : .notServing)
        }
        for (forward, origin) in slots[place].proposals.forwardedHere {
            refuse(forward, to: origin, .notLeader)
        }
        failReads(place, with: .notServing)
    }

    private mutating func fail(_ sequence: UInt64, at place: Int, with failure: RequestFailure) {
        if slots[place].proposals.pending.removeValue(forKey: sequence) != nil {
            pendingProposals -= 1
        }
        fail(sequence, of: slots[place].raft.group, with: failure)
    }

    private mutating func fail(_ sequence: UInt64, of group: GroupID, with failure: RequestFailure)
    {
        turn.effects.proposalsFailed.append(
            FailedRequest(id: sequence, group: group, failure: failure))
    }
}
