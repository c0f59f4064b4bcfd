import Consensus
import MultiRaft
import Primitives

// The checkers' look at one event of one replica. The names are those of the thesis, figure 3.2.
extension World {
    func look(_ node: Node, _ seat: Seat) {
        guard let raft = node.core?.group(spec(seat).id) else { return }
        let glance = Glance(raft)
        let before = seat.last ?? glance
        let isFirst = seat.last == nil
        seat.last = glance
        seat.configuration = glance.configuration.configuration
        if seat.configuration.member(seat.replica) != nil { seat.isWanted = false }
        if raft.standing == .trusted && budget.isLost(seat) {
            fail(
                "group \(raft.group): replica \(seat.replica) is trusted, and its disk has forgotten"
            )
        }
        if raft.commitIndex > before.commitIndex || isFirst {
            checkCommit(from: before, seat, raft)
        }
        if raft.role == .leader && (before.role != .leader || before.term < raft.term) {
            checkElected(seat, raft)
        }
        notePaths(before, glance)
        if checks.isSampled(every: 131) { checkInvariants(seat, raft) }
        guard before != glance else { return }
        trace.mix(glance.term.rawValue &+ glance.commitIndex.rawValue << 24)
        trace.mix(glance.lastIndex.rawValue)
        if before.role != glance.role || before.term != glance.term {
            trace.note(
                now, "node \(node.id) group \(raft.group) is \(glance.role) in term \(glance.term)")
        }
    }

    /// What a turn hands out.
    func checkTurn(_ node: Node, _ effects: NodeEffects) {
        for complaint in checks.complaints { fail(complaint) }
        for fault in effects.faults {
            switch fault {
            // Whom nobody has told of: the message is lost, as any may be.
            case .noAddress: continue
            // What a lost replica has forgotten, its peers still rely on.
            case .breach(let group, _) where isLost(group, at: node): continue
            case .breach, .foreignSeat:
                fail("node \(node.id) met a breach: \(fault)")
            }
        }
        for batch in effects.outgoing { checkLeaving(batch.messages, node) }
        for ended in effects.transfersEnded {
            switch ended.value {
            case .done: reach(.transferDone)
            case .timedOut: reach(.transferTimedOut)
            case .leadershipLost: reach(.transferLost)
            }
        }
        for work in effects.append?.works ?? [] where work.value.replacedFrom != nil {
            reach(.entriesReplaced)
            if node.isLogBusy { reach(.entriesReplacedInFlight) }
        }
        if checks.isSampled(every: 211), let core = node.core {
            for broken in core.checkInvariants(since: node.earlier) {
                fail("node \(node.id): \(broken)")
            }
            node.earlier = core
        }
    }

    private func isLost(_ group: GroupID, at node: Node) -> Bool {
        node.place(of: group, specs).map { budget.isLost(node.seats[$0]) } ?? false
    }

    func noteMessages(_ messages: NodeMessages) {
        if !messages.forwards.isEmpty { reach(.proposalForwarded) }
        for message in messages.messages {
            switch message.kind {
            case .staleTerm: reach(.staleTermTold)
            case .appendResponse(.rejected): reach(.appendRejected)
            case .readIndexRequest: reach(.readForwarded)
            default: break
            }
        }
    }

    private func checkInvariants(_ seat: Seat, _ raft: RaftGroup) {
        for broken in raft.checkInvariants(since: seat.earlier) {
            fail("replica \(raft.replica) of group \(raft.group): \(broken)")
        }
        seat.earlier = raft
    }

    /// "Election Safety: at most one leader can be elected in a given term."
    /// "Leader Completeness: if a log entry is committed in a given term, then that entry will be
    /// present in the logs of the leaders for all higher-numbered terms."
    private func checkElected(_ seat: Seat, _ raft: RaftGroup) {
        reach(.election)
        let known = checks.groups[seat.group].leaders[raft.term] ?? raft.replica
        if known != raft.replica {
            fail("group \(raft.group): term \(raft.term) has leaders \(known) and \(raft.replica)")
        }
        checks.groups[seat.group].leaders[raft.term] = raft.replica
        noteElected(seat, raft)
        for (offset, term) in checks.groups[seat.group].committed.enumerated() {
            let index = LogIndex(UInt64(offset + 1))
            // A leader of an earlier term may come late, and owes nothing to later ones.
            if index < raft.firstIndex { continue }
            if checks.groups[seat.group].committedIn[offset] >= raft.term { continue }
            if raft.term(at: index) != term {
                fail(
                    """
                    group \(raft.group): leader \(raft.replica) of term \(raft.term) has \
                    \(raft.term(at: index)?.description ?? "nothing") at \(index), committed in \
                    term \(term)
                    """)
                return
            }
        }
    }

    /// What is committed stays so, is the same everywhere, and is durable at a quorum.
    private func checkCommit(from before: Glance, _ seat: Seat, _ raft: RaftGroup) {
        var index = before.commitIndex.next
        while index <= raft.commitIndex {
            defer { index = index.next }
            // What a snapshot brought was committed elsewhere first.
            guard let term = raft.term(at: index) else { continue }
            let place = Int(index.rawValue) - 1
            let committed = checks.groups[seat.group].committed
            if place < committed.count {
                if committed[place] != term {
                    fail(
                        """
                        group \(raft.group): replica \(raft.replica) commits \(index) of term \
                        \(term), others of \(committed[place])
                        """)
                }
                continue
            }
            if place > committed.count {
                fail("group \(raft.group): \(index) is committed, and \(committed.count + 1) not")
                return
            }
            checks.groups[seat.group].committed.append(term)
            checks.groups[seat.group].committedIn.append(raft.term)
            let candidates = [before.configuration.configuration, raft.configuration]
            if !candidates.contains(where: { isDurable(index, term, seat.group, $0) }) {
                fail(
                    """
                    group \(raft.group): replica \(raft.replica) commits \(index) of term \(term), \
                    which no quorum of \(raft.configuration.voters) has durably: \
                    \(shownDisks(raft.configuration, seat.group))
                    """)
            }
            noteWitnesses(index, term, seat.group, raft.configuration)
            noteZoneRule(index, term, seat.group)
            if index == raft.commitIndex {
                checkZones(index, term, seat.group, candidates)
                checkCounted(index, term, raft)
            }
        }
    }

    private func isDurable(
        _ index: LogIndex, _ term: Term, _ group: Int, _ configuration: Configuration
    ) -> Bool {
        func quorum(_ voters: [ReplicaID]) -> Bool {
            if voters.isEmpty { return true }
            let count = voters.count { voter in
                guard let seat = seat(voter, group) else { return false }
                // Disks that are harmed only at rest have nothing under way that was acknowledged.
                return isStaged
                    ? (seat.ledgerBeforeLoss ?? seat.ledger).holds(index, term)
                    : hasHad(index, term, seat)
            }
            return count > voters.count / 2
        }
        return quorum(configuration.voters.incoming) && quorum(configuration.voters.outgoing)
    }

    func seat(_ replica: ReplicaID, _ group: Int) -> Seat? {
        guard let place = place(of: replica, in: specs[group].id) else { return nil }
        return nodes[place].seats.first { $0.group == group && $0.replica == replica }
    }

    /// "Log Matching: if two logs contain an entry with the same index and term, then the logs are
    /// identical in all entries up through the given index." By induction: an entry of one index and
    /// term is always the same, and so is the term of the entry before it.
    func checkWriting(_ work: AppendWork, _ seat: Seat) {
        guard let first = work.entries.first else { return }
        var previous = work.start.map { $0.index == first.index.previous ? $0.term : nil } ?? nil
        if previous == nil { previous = seat.ledger.term(at: first.index.previous) }
        for entry in work.entries {
            noteConfiguration(entry, seat.group)
            defer { previous = entry.term }
            guard let before = previous else { continue }
            let name = Checks.EntryName(index: entry.index, term: entry.term)
            let fingerprint = entry.fingerprint
            guard let known = checks.groups[seat.group].written[name] else {
                if !seat.isWitness {
                    checks.groups[seat.group].written[name] = (fingerprint, before)
                }
                continue
            }
            // A witness has no contents.
            if known.fingerprint != fingerprint && !seat.isWitness
                || known.previous != before
            {
                fail(
                    """
                    group \(spec(seat).id): replica \(seat.replica) writes another entry \
                    \(entry.index) of term \(entry.term) than is known
                    """)
            }
        }
    }

    /// A proposal takes effect once, wherever it went.
    func checkOnce(_ answer: MachineAnswer, _ seat: Seat) {
        let known = checks.groups[seat.group].proposals[answer.proposal] ?? answer.index
        if known != answer.index {
            fail(
                "group \(spec(seat).id): proposal \(answer.proposal) is applied at \(known) and at "
                    + "\(answer.index)")
        }
        checks.groups[seat.group].proposals[answer.proposal] = answer.index
    }

    /// "State Machine Safety: if a server has applied a log entry at a given index to its state
    /// machine, no other server will ever apply a different log entry for the same index."
    func checkApplying(_ entries: [LogEntry], _ seat: Seat) {
        var next = seat.machine.appliedIndex.next
        for entry in entries {
            if entry.index != next {
                fail("group \(spec(seat).id): \(entry.index) is to be applied where \(next) is due")
                return
            }
            next = next.next
            let place = Int(entry.index.rawValue) - 1
            let facts = checks.groups[seat.group]
            if place >= facts.committed.count || facts.committed[place] != entry.term {
                fail(
                    """
                    group \(spec(seat).id): replica \(seat.replica) applies \(entry.index) of term \
                    \(entry.term), which is not committed
                    """)
            }
            while checks.groups[seat.group].applied.count <= place {
                checks.groups[seat.group].applied.append(0)
            }
            let known = checks.groups[seat.group].applied[place]
            let fingerprint = entry.fingerprint
            if known != 0 && known != fingerprint {
                fail(
                    "group \(spec(seat).id): replica \(seat.replica) applies another entry "
                        + "\(entry.index) than others")
            }
            checks.groups[seat.group].applied[place] = fingerprint
        }
    }

    /// Effect digests are equal at equal indices.
    func checkDigest(_ seat: Seat) {
        let index = seat.machine.appliedIndex
        let digest = seat.machine.digest
        let known = checks.groups[seat.group].digests[index] ?? digest
        if known != digest {
            fail(
                "group \(spec(seat).id): replica \(seat.replica) has another digest after \(index) "
                    + "than others")
        }
        checks.groups[seat.group].digests[index] = digest
    }

    /// What a message promises is durable on the sender's disk when it leaves.
    func checkLeaving(_ messages: NodeMessages, _ node: Node) {
        for message in messages.messages {
            guard let place = node.place(of: message.group, specs) else { continue }
            checkLeaving(message, node.seats[place])
            noteHandover(message, node.seats[place])
        }
    }

    private func checkLeaving(_ message: RaftMessage, _ seat: Seat) {
        checkVote(message, seat)
        checkIntact(message, seat)
        let disk = seat.ledger
        let state = disk.hardState
        switch message.kind {
        case .voteResponse(granted: true):
            promise(
                state.term > message.term || state.term == message.term && state.vote == message.to,
                message, disk)
        case .voteRequest:
            promise(
                state.term > message.term
                    || state.term == message.term && state.vote == message.from, message, disk)
        case .appendResponse(.accepted(let matchIndex)):
            promise(
                state.term > message.term
                    || state.term == message.term && disk.lastIndex >= matchIndex, message, disk)
        default: break
        }
    }

    private func promise(_ holds: Bool, _ message: RaftMessage, _ disk: Ledger) {
        if holds { return }
        fail(
            """
            group \(message.group): replica \(message.from) says \(message.kind) in term \
            \(message.term) to \(message.to), and its disk has \(disk.hardState) and entries \
            through \(disk.lastIndex)
            """)
    }

    private func notePaths(_ before: Glance, _ after: Glance) {
        if before.role == .leader && after.role != .leader { reach(.leaderSteppedDown) }
        if before.role == .candidate && after.role == .follower { reach(.candidateLost) }
        if before.isHibernating != after.isHibernating {
            reach(after.isHibernating ? .hibernated : .woken)
        }
        if after.configuration.index < before.configuration.index {
            reach(.configurationRolledBack)
        }
        let (was, isNow) = (before.configuration.configuration, after.configuration.configuration)
        if isNow.voters.isJoint && !was.voters.isJoint { reach(.jointEntered) }
        if !isNow.voters.isJoint && was.voters.isJoint { reach(.jointLeft) }
    }
}
