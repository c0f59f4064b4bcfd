import Primitives

// Every way in. Each method is one event, and ends with `finishEvent`.
extension RaftGroup {
    /// The first event, once: hands out what is committed and not yet applied, and asks for what is
    /// missing.
    package mutating func started() -> Effects {
        beginRegistration()
        if standing != .quarantined {
            askForEntries()
            snapshotsTicked()
        }
        return finishEvent()
    }

    /// One tick of the shell's clock has passed.
    ///
    /// - Parameter now: this node's monotonic clock; without it no leader lease is held.
    ///
    /// - Parameter lostNodes: from which nothing at all has been heard for an election timeout;
    ///   a leader's group may sleep although members there lack entries.
    package mutating func ticked(
        now: MonotonicTime? = nil, lostNodes: [NodeID] = []
    ) -> Effects {
        noteClock(now)
        leadership?.lostNodes = lostNodes
        guard !isAsleep else { return finishEvent() }
        ticks += 1
        registrationTicked()
        if leadership != nil { leaderTicked() } else { followerTicked() }
        if standing != .quarantined {
            snapshotsTicked()
            repairTicked()
        }
        return finishEvent()
    }

    package mutating func received(_ message: RaftMessage) -> Effects {
        wake(by: message)
        handle(message)
        return finishEvent()
    }

    /// Appends the proposals to a leader's log, all or none, as one append and one message to each
    /// follower. Entries are stamped above every stamp in the log.
    ///
    /// - Parameter wallClock: microseconds since 1970, as this node's clock reads now.
    package mutating func proposed(
        _ proposals: [Proposal], wallClock: UInt64
    ) -> (ProposalOutcome, Effects) {
        wake()
        let outcome = propose(proposals, wallClock: wallClock)
        return (outcome, finishEvent())
    }

    /// A linearizable read wants its index. The token ends once, in `readsReady` or `readsRefused`,
    /// of this call or a later one.
    ///
    /// - Parameter now: this node's monotonic clock; without it no leader lease is used.
    package mutating func readRequested(_ token: UInt64, now: MonotonicTime? = nil) -> Effects {
        readsRequested([token], now: now)
    }

    /// As `readRequested`, for several at once.
    package mutating func readsRequested(
        _ tokens: [UInt64], now: MonotonicTime? = nil
    ) -> Effects {
        noteClock(now)
        wake()
        if leadership != nil {
            if !answeredByLease(tokens, now) { leaderRead(tokens.map(ReadOrigin.token)) }
        } else {
            forwardReads(tokens)
        }
        return finishEvent()
    }

    /// The work of this ticket, and of all before it, is durable. A ticket acknowledged already is
    /// acknowledged again without effect.
    package mutating func appended(_ ticket: AppendTicket) -> Effects {
        precondition(
            ticket < nextTicket, "ticket \(ticket.rawValue) of \(nextTicket.rawValue - 1) issued")
        log.acknowledged(ticket)
        if case .vote(let ownVote)? = candidacy?.stage, ticket >= ownVote {
            recordVote(of: replica, granted: true)
        }
        advanceCommit()
        snapshotsAppended(ticket)
        return finishEvent()
    }

    /// The state machine has applied everything up to here, which has been handed out.
    package mutating func applied(through index: LogIndex) -> Effects {
        log.applied(through: index)
        return finishEvent()
    }

    /// The log's answer to one of `Effects.fetches`.
    package mutating func entriesFetched(_ fetched: FetchedEntries) -> Effects {
        if !sendFound(fetched) { sendFetched(fetched) }
        return finishEvent()
    }

    mutating func finishEvent() -> Effects {
        concludeTransfer()
        settleMembership()
        announceQuarantined()
        sendCommitNotices()
        handOut()
        issueWork()
        log.evict(settings)
        announceConfiguration()
        announceZoneAlarms()
        let now = RoleChange(role: role, term: term, leader: leader)
        if now != announced {
            announced = now
            effects.roleChange = now
        }
        sharedSlice = nil
        defer { effects = Effects() }
        return effects
    }

    private mutating func handOut() {
        // Of a witness's entries nobody can tell what they said.
        guard !isWitness else {
            log.skipHandouts()
            truncateLog()
            return
        }
        while let range = log.nextHandout(settings) { effects.committed.append(range) }
    }

    /// Turns what the event wrote into an `AppendWork`. Messages that waited for nothing leave now.
    private mutating func issueWork() {
        writeRecordsAlong()
        if work.writesNothing && log.appendsInFlight.isEmpty {
            effects.messages += work.messages
        } else if !work.writesNothing || !work.messages.isEmpty {
            let writesHardState = work.writesHardState || !work.entries.isEmpty
            // A commit index above what is durable could survive a crash that its entries do not.
            let hardState = HardState(
                term: term, vote: vote, commitIndex: min(log.commitIndex, log.durableIndex))
            var append = AppendWork(
                ticket: nextTicket, hardState: writesHardState ? hardState : nil,
                replacedFrom: work.replacedFrom, entries: work.entries,
                messagesAfterDurable: work.messages)
            append.peers = work.peers
            append.start = work.start
            append.repaired = work.repaired
            effects.append = append
            log.issued(nextTicket)
            nextTicket = AppendTicket(nextTicket.rawValue + 1)
        }
        work = PendingWork()
    }

    func message(_ kind: RaftMessage.Kind, to peer: ReplicaID, term: Term? = nil) -> RaftMessage {
        RaftMessage(group: group, from: replica, to: peer, term: term ?? self.term, kind: kind)
    }

    mutating func sendNow(_ kind: RaftMessage.Kind, to peer: ReplicaID, term: Term? = nil) {
        effects.messages.append(message(kind, to: peer, term: term))
    }

    /// Behind everything that this replica has written so far, in this event too. A promise to
    /// a peer that does not know of this start cannot be given yet; the peer asks again.
    mutating func sendWhenDurable(_ kind: RaftMessage.Kind, to peer: ReplicaID, term: Term? = nil) {
        guard !kind.isPromise || isHeard(by: peer) else {
            introduce(to: peer)
            return
        }
        work.messages.append(message(kind, to: peer, term: term))
    }
}
