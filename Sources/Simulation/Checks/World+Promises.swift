import Consensus
import Primitives
import ReplicatedLog

// More looks at what the disks hold and the messages say, each after a sentence of the thesis or of
// a contract.
extension World {
    /// Whether the replica's disk has the entry, or had it before it was lost: what it acknowledged
    /// then may still be on its way.
    func hasHad(_ index: LogIndex, _ term: Term, _ seat: Seat) -> Bool {
        [seat.ledger, seat.ledgerBeforeLoss].contains { ledger in
            guard let ledger else { return false }
            return index <= ledger.base || ledger.term(at: index) == term
        }
    }

    /// Where the logs of these members end.
    func shownDisks(_ configuration: Configuration, _ group: Int) -> String {
        configuration.replicas.map { replica in
            guard let seat = seat(replica, group) else { return "\(replica) nowhere" }
            let disk = seat.ledger
            let before = seat.ledgerBeforeLoss.map { ", before a loss \($0.lastIndex)" } ?? ""
            return "\(replica) \(disk.base)...\(disk.lastIndex) of term \(disk.lastTerm)\(before)"
        }.joined(separator: ", ")
    }

    /// "Each server will vote for at most one candidate in a given term" (thesis §3.4), over all its
    /// lives. A candidate has voted for itself.
    func checkVote(_ message: RaftMessage, _ seat: Seat) {
        let candidate: ReplicaID
        switch message.kind {
        case .voteResponse(granted: true): candidate = message.to
        case .voteRequest: candidate = message.from
        default: return
        }
        let name = Checks.VoteName(voter: message.from, term: message.term)
        let known = checks.groups[seat.group].votes[name] ?? candidate
        if known != candidate {
            fail(
                "group \(message.group): replica \(message.from) votes for \(candidate) in term "
                    + "\(message.term), in which it has voted for \(known)")
        }
        checks.groups[seat.group].votes[name] = candidate
    }

    /// An entry that the process knows to be damaged is not acknowledged (Protocol-Aware Recovery,
    /// FAST '18, §3.3: a faulty entry is not counted as one). Where no snapshots are made, the log is
    /// kept from its beginning, and what the state machine has applied may be damaged for good: nobody
    /// waits for that.
    func checkIntact(_ message: RaftMessage, _ seat: Seat) {
        guard case .appendResponse(.accepted(let matchIndex)) = message.kind else { return }
        let tolerated =
            raftSettings(seat).makesSnapshots ? .zero : seat.machine.appliedIndex
        guard let range = seat.known.damaged.first(where: { $0.upperBound > tolerated }) else {
            return
        }
        let lost = max(range.lowerBound, tolerated.next)
        guard lost <= matchIndex else { return }
        fail(
            """
            group \(message.group): replica \(message.from) says \(message.kind) to \(message.to), \
            and its disk has lost \(lost)
            """)
    }

    /// The log's front goes only behind what the state machine has on disk.
    func checkTruncation(_ work: AppendWork, _ seat: Seat) {
        guard let start = work.start, !seat.isWitness else { return }
        let persisted: LogIndex
        do throws(MachineFailure) {
            persisted = try seat.machine.persistedIndex()
        } catch {
            // The state is lost: its own check.
            return
        }
        if persisted < start.index {
            fail(
                "group \(spec(seat).id): replica \(seat.replica) removes what its state machine "
                    + "needs, up to \(start.index), and has \(persisted) on disk")
        }
    }

    func noteConfiguration(_ entry: LogEntry, _ group: Int) {
        guard case .configuration(let bytes) = entry.payload,
            let configuration = try? Configuration(decoding: bytes)
        else { return }
        let name = Checks.EntryName(index: entry.index, term: entry.term)
        checks.groups[group].configurations[name] = configuration
    }

    /// "Raft never commits log entries from previous terms by counting replicas. Only log entries
    /// from the leader's current term are committed by counting replicas; once an entry from the
    /// current term has been committed in this way, then all prior entries are committed
    /// indirectly" (thesis §3.6.2).
    ///
    /// - Parameter index: the last that is committed at once, by this replica first.
    func checkCounted(_ index: LogIndex, _ term: Term, _ raft: RaftGroup) {
        guard raft.role == .leader, term != raft.term else { return }
        fail(
            "group \(raft.group): leader \(raft.replica) of term \(raft.term) commits by counting "
                + "\(index) of term \(term)")
    }

    /// An entry that is committed brings its zone rule into force.
    func noteZoneRule(_ index: LogIndex, _ term: Term, _ group: Int) {
        let name = Checks.EntryName(index: index, term: term)
        if let configuration = checks.groups[group].configurations[name] {
            checks.groups[group].zoneRules.append((index, configuration.zoneRule))
        }
    }

    /// The last entry that is committed at once is durable in as many zones as the rule asks for that
    /// is in force where it stands: one that lifts a rule takes with it what the rule held back.
    ///
    /// - Parameter candidates: configurations by whose voters it may have been committed.
    func checkZones(
        _ index: LogIndex, _ term: Term, _ group: Int, _ candidates: [Configuration]
    ) {
        guard let rule = checks.groups[group].zoneRules.last?.rule, rule.holdsCommit else { return }
        let zones = candidates.map { zoneCount(index, term, group, $0) }.max() ?? 0
        if zones < rule.zonesNeeded {
            fail(
                "group \(specs[group].id): \(index) is committed in too few zones, \(zones) of "
                    + "\(rule.zonesNeeded)")
        }
    }

    private func zoneCount(
        _ index: LogIndex, _ term: Term, _ group: Int, _ configuration: Configuration
    ) -> Int {
        var zones: [ZoneID] = []
        for member in configuration.members
        where configuration.voters.contains(member.replica) && !member.isWitness
            && member.zone != .unknown && !zones.contains(member.zone)
        {
            guard let seat = seat(member.replica, group) else { continue }
            if hasHad(index, term, seat) { zones.append(member.zone) }
        }
        return zones.count
    }

    /// What a start drops as torn was never synced, or nothing that is left says that it was. A last
    /// sync may have made several batches durable at once: when the first of them is lost, no later
    /// one speaks of it (log-segment.md, "What cannot be told").
    ///
    /// - Parameter left: the log as the start found it.
    func checkDropped(_ report: RecoveryReport, from left: MemoryLogDevice, _ node: Node) {
        guard report.salvaged.isEmpty, let tail = report.tornTail,
            let proof = left.proof(thatSynced: tail.offset / Sector.size, of: tail.segment)
        else { return }
        fail(
            "node \(node.id): what was synced at byte \(tail.offset) of segment \(tail.segment) is "
                + "dropped in silence, though sector \(proof) says that it was")
    }
}
