import Consensus
import Primitives
import WireProtocol

/// The way of a client's command into the log, exactly once.
///
/// A proposal is sent in one term: appended here as leader of it, or forwarded to the leader, which
/// appends it only while it still leads that very term. Terms never fall along a log, so when an
/// entry of a later term has been applied here and the proposal has not, it is in no log that can
/// commit, and never will be: it is certain to be lost, and is sent again. A change of leader is
/// thus a pause for the client, not an error and not a second execution.
extension ConsensusLoop {
    func received(_ proposal: PendingProposal) {
        pending[proposal.sequence] = proposal
        deadlines.append(proposal.sequence)
        held[proposal.group, default: []].append(proposal.sequence)
    }

    /// Once per turn: everything that came goes into one append, or one frame to the leader.
    func flushProposals() {
        for id in order {
            for (proposals, origin) in forwardedHere.removeValue(forKey: id) ?? [] {
                appendForwarded(proposals, from: origin)
            }
            // Only what is asked for: a copy of the whole group would make the next change to it
            // copy its cache of entries.
            guard let sequences = held[id], !sequences.isEmpty,
                let group = groups[id].map({ (role: $0.role, leader: $0.leader, term: $0.term) })
            else { continue }
            let waiting = sequences.filter { pending[$0] != nil }
            guard !waiting.isEmpty else {
                held[id] = nil
                continue
            }
            if group.role == .leader {
                held[id] = nil
                append(waiting, to: id, term: group.term)
            } else if let leader = group.leader {
                forward(waiting, of: id, to: NodeID(leader.rawValue), term: group.term)
            } else {
                held[id] = waiting
            }
        }
    }

    private func append(_ sequences: [UInt64], to id: GroupID, term: Term) {
        let commands = sequences.compactMap { pending[$0]?.command }
        switch propose(commands, to: id) {
        case .accepted(let term, _, _):
            for sequence in sequences { pending[sequence]?.sentTerm = term }
        case .refused(.notLeader):
            held[id, default: []].append(contentsOf: sequences)
        case nil:
            for sequence in sequences { fail(sequence, with: .overloaded) }
        case .refused(.uncommittedTailFull), .refused(.entryTooLarge):
            // All or none were taken: let those in that still fit, and refuse the rest by name.
            if sequences.count > 1 {
                for sequence in sequences { append([sequence], to: id, term: term) }
            } else {
                fail(sequences[0], with: .overloaded)
            }
        }
    }

    /// nil: refused because the state machine is too far behind what is committed.
    private func propose(_ commands: [Bytes], to id: GroupID) -> ProposalOutcome? {
        let committed = groups[id]?.commitIndex ?? .zero
        let applied = appliedIndex[id] ?? .zero
        guard committed.rawValue <= applied.rawValue + NodeLimits.applyBacklogEntries else {
            return nil
        }
        let clock = max(wallClockMicroseconds(), environment.newestStamp(id))
        var outcome: ProposalOutcome?
        step(id) { group in
            let (result, effects) = group.proposed(
                commands.map { Proposal(command: $0) }, wallClock: clock)
            outcome = result
            return effects
        }
        guard let outcome else { preconditionFailure("a proposal without an outcome") }
        return outcome
    }

    private func forward(_ sequences: [UInt64], of id: GroupID, to leader: NodeID, term: Term) {
        var rest: [UInt64] = []
        var frame = ForwardedProposals(group: id, term: term, sequences: [], commands: [])
        var bytes = 0
        func send() {
            guard !frame.sequences.isEmpty else { return }
            if environment.transport.send(.forward(frame), to: leader) {
                for sequence in frame.sequences { pending[sequence]?.sentTerm = term }
            } else {
                rest.append(contentsOf: frame.sequences)
            }
            frame.sequences = []
            frame.commands = []
            bytes = 0
        }
        for (position, sequence) in sequences.enumerated() {
            guard let command = pending[sequence]?.command else { continue }
            if bytes + command.count > Self.forwardBytesMax { send() }
            // The link is down or full: the others wait for the next turn, not encoded in vain.
            if !rest.isEmpty {
                rest.append(contentsOf: sequences[position...])
                break
            }
            frame.sequences.append(sequence)
            frame.commands.append(command)
            bytes += command.count
        }
        send()
        held[id] = rest.isEmpty ? nil : rest
    }

    /// Commands in one frame to the leader; a single larger one travels alone.
    private static var forwardBytesMax: Int { 4 << 20 }

    private func appendForwarded(_ proposals: ForwardedProposals, from origin: NodeID) {
        guard groups[proposals.group]?.role == .leader,
            groups[proposals.group]?.term == proposals.term
        else {
            refuse(proposals, to: origin, .notLeader)
            return
        }
        switch propose(proposals.commands, to: proposals.group) {
        case .accepted: break
        case .refused(.notLeader): refuse(proposals, to: origin, .notLeader)
        case nil, .refused: refuse(proposals, to: origin, .overloaded)
        }
    }

    private func refuse(
        _ proposals: ForwardedProposals, to origin: NodeID, _ reason: ForwardRefused.Reason
    ) {
        environment.transport.send(
            .forwardRefused(
                ForwardRefused(
                    group: proposals.group, term: proposals.term, sequences: proposals.sequences,
                    reason: reason)),
            to: origin)
    }

    func forwardRefused(_ refused: ForwardRefused) {
        for sequence in refused.sequences {
            // An answer about an earlier term than the one it was last sent in says nothing.
            guard pending[sequence]?.sentTerm == refused.term else { continue }
            pending[sequence]?.sentTerm = nil
            switch refused.reason {
            case .notLeader: held[refused.group, default: []].append(sequence)
            case .overloaded: fail(sequence, with: .overloaded)
            }
        }
    }

    func applied(_ report: AppliedReport) {
        let id = report.group
        appliedIndex[id] = report.through
        for sequence in report.sequences { pending[sequence] = nil }
        if report.term > appliedTerm[id] ?? .zero {
            appliedTerm[id] = report.term
            let lost = pending.values.filter { proposal in
                proposal.group == id && proposal.sentTerm.map { $0 < report.term } == true
            }.map(\.sequence).sorted()
            for sequence in lost { pending[sequence]?.sentTerm = nil }
            held[id, default: []].append(contentsOf: lost)
        }
        step(id) { $0.applied(through: report.through) }
        readsApplied(through: report.through, group: id)
    }

    /// Tells the clients whose time is up whether their command can still be applied.
    func expireRequests(_ now: UInt64) {
        while deadlinesHead < deadlines.count {
            let sequence = deadlines[deadlinesHead]
            if let proposal = pending[sequence] {
                guard proposal.deadline <= now else { break }
                fail(sequence, with: proposal.sentTerm == nil ? .noLeader : .outcomeUnknown)
            }
            deadlinesHead += 1
        }
        if deadlinesHead > 4096 {
            deadlines.removeFirst(deadlinesHead)
            deadlinesHead = 0
        }
        expireReads(now)
    }

    private func fail(_ sequence: UInt64, with error: NodeError) {
        pending[sequence] = nil
        environment.metrics.proposalsFailed.add(1)
        environment.completions.take(sequence)?(.failure(error))
    }
}
