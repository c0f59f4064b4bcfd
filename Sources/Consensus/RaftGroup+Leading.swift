import Primitives

// A leader's term: its first entry, its ticks, its proposals, its commit index.
extension RaftGroup {
    mutating func becomeLeader() {
        candidacy = nil
        leader = replica
        var led = Leadership(openingIndex: log.lastIndex.next, tailFloor: log.handoutLimit)
        var index = max(led.tailFloor.next, log.cache.firstIndex)
        while index <= log.lastIndex {
            led.tailBytes += log.cache[index].accountedBytes
            index = index.next
        }
        leadership = led
        openProgress()
        // "a leader ... commits a blank no-op entry into the log at the start of its term"
        // (thesis §6.4). No clock is at hand: its stamp is the next one possible.
        append(.empty, semantics: .first, wallClock: 0)
        sendAppendsToAll()
        adoptForwardedReads()
    }

    mutating func leaderTicked() {
        idleTicked()
        guard !isAsleep else { return }
        leadership!.heartbeatElapsed += 1
        leadership!.quorumElapsed += 1
        if leadership!.quorumElapsed >= settings.electionTimeoutTicks {
            guard quorumIsActive else {
                // "a leader ... steps down if an election timeout elapses without a successful
                // round of heartbeats to a majority of its cluster" (thesis §6.2)
                becomeFollower(term: term, leader: nil)
                return
            }
            leadership!.quorumElapsed = 0
            noteStability()
            preferOthers()
            for i in leadership!.progress.indices { leadership!.progress[i].isActive = false }
        }
        leavingTicked()
        zoneWaitTicked()
        driveTransfer()
        if leadership!.heartbeatElapsed >= settings.heartbeatTicks {
            openLeaseRound()
            sendHeartbeats()
            spreadRecords()
        }
    }

    private var quorumIsActive: Bool {
        configuration.voters.outcome { voter in
            guard voter != replica else { return true }
            return leadership!.progress.contains { $0.replica == voter && $0.isActive }
        } == .won
    }

    mutating func propose(_ proposals: [Proposal], wallClock: UInt64) -> ProposalOutcome {
        precondition(!proposals.isEmpty, "no proposals")
        guard let tailBytes = leadership?.tailBytes else {
            return .refused(.notLeader(leader: leader))
        }
        if let transfer { return .refused(.transferInProgress(to: transfer.target)) }
        var bytes = 0
        for proposal in proposals {
            guard proposal.command.count <= settings.maxEntryBytes else {
                return .refused(
                    .entryTooLarge(bytes: proposal.command.count, limit: settings.maxEntryBytes))
            }
            bytes += proposal.command.count + LogEntry.frameBytes
        }
        guard tailBytes == 0 || tailBytes + bytes <= settings.maxUncommittedBytes else {
            return .refused(
                .uncommittedTailFull(bytes: tailBytes, limit: settings.maxUncommittedBytes))
        }
        let first = log.lastIndex.next
        for proposal in proposals {
            append(
                .command(proposal.command), semantics: proposal.semantics, wallClock: wallClock)
        }
        sendAppendsToAll()
        return .accepted(term: term, first: first, through: log.lastIndex)
    }

    mutating func append(
        _ payload: LogEntry.Payload, semantics: SemanticsLevel, wallClock: UInt64
    ) {
        let entry = LogEntry(
            term: term, index: log.lastIndex.next,
            timestamp: log.lastTimestamp.next(wallClock: wallClock), semantics: semantics,
            payload: payload)
        log.append(entry)
        work.entries.append(entry)
        leadership!.tailBytes += entry.accountedBytes
    }

    /// Commits what a quorum holds durably. The leader counts itself like any other, by what its
    /// own disk has acknowledged (thesis §10.2.1).
    mutating func advanceCommit() {
        guard leadership != nil else { return }
        let agreed = zoneAgreed(upTo: quorumIndex)
        // "only log entries from the leader's current term are committed by counting replicas"
        // (thesis §3.6.2)
        #if PlantedBugs
            let isOfThisTerm =
                log.term(at: agreed) == term || PlantedBug.active == .commitIgnoresTheTermCheck
        #else
            let isOfThisTerm = log.term(at: agreed) == term
        #endif
        if agreed > log.commitIndex && isOfThisTerm {
            log.commit(through: agreed)
            releaseHeldReads()
        }
        shrinkTail()
    }

    /// Durable at a quorum of the configuration in force; separate majorities while it is joint.
    var quorumIndex: LogIndex {
        #if PlantedBugs
            if PlantedBug.active == .learnersCount {
                return JointConfiguration(
                    incoming: configuration.voters.incoming + configuration.learners,
                    outgoing: configuration.voters.outgoing
                ).agreed(durableIndex(of:))
            }
        #endif
        return configuration.voters.agreed(durableIndex(of:))
    }

    /// As far as this leader knows, its own disk included.
    func durableIndex(of voter: ReplicaID) -> LogIndex {
        #if PlantedBugs
            if PlantedBug.active == .leaderCountsItselfBeforeTheSync, voter == replica {
                return log.lastIndex
            }
        #endif
        guard voter != replica else { return log.countedIndex }
        guard let led = leadership, let i = led.position(of: voter) else { return .zero }
        return led.progress[i].matchIndex
    }

    mutating func shrinkTail() {
        while leadership!.tailFloor < log.handoutLimit {
            leadership!.tailFloor = leadership!.tailFloor.next
            // Entries restored from disk were never counted.
            if leadership!.tailFloor >= log.cache.firstIndex {
                leadership!.tailBytes -= log.cache[leadership!.tailFloor].accountedBytes
            }
        }
    }
}
