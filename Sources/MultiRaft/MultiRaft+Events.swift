import Consensus
import Primitives

// Every way in but requests, which are in `MultiRaft+Proposals` and `MultiRaft+Reads`.
extension MultiRaft {
    /// One tick of the shell's clock has passed: the same interval for all groups and nodes.
    package mutating func ticked(now: MonotonicTime) {
        ticks += 1
        reachDeadlines()
        peersTicked()
        wakeDue()
        // Groups that fall asleep, or are woken, meanwhile change `active`.
        let ticking = active
        let lostNodes = self.lostNodes
        for id in ticking {
            guard let place = places[id], !isAsleep(at: place) else { continue }
            counters.groupTicks += 1
            isTicking = true
            step(at: place) { $0.ticked(now: now, lostNodes: lostNodes) }
            isTicking = false
        }
        if ticks % UInt64(settings.heartbeatTicks) == 0 {
            releaseHeartbeats()
            sendSignsOfLife()
        }
        expireRequests(now)
    }

    /// A batch, or a part of one, from another node.
    package mutating func received(_ batch: NodeMessages, from peer: NodeID) {
        let isOfThisLife = heard(from: peer, batch)
        for heartbeat in batch.heartbeats { received(heartbeat.message, from: peer) }
        for answer in batch.heartbeatAnswers { received(answer.message, from: peer) }
        for message in batch.messages { received(message, from: peer) }
        // The clients of an earlier life are gone, and what it forwarded may be here already.
        if isOfThisLife { for forward in batch.forwards { receivedForward(forward, from: peer) } }
        for refusal in batch.refusals { receivedRefusal(refusal) }
    }

    private mutating func received(_ message: RaftMessage, from peer: NodeID) {
        // A group that is not here yet, or no more: Raft bears the loss.
        // The same where it was meant for the seat that this node had before.
        guard let place = places[message.group], slots[place].raft.replica == message.to else {
            return
        }
        guard seatIsOf(message.from, peer, place: place) else {
            turn.effects.faults.append(.foreignSeat(message.group, message.from, speaker: peer))
            return
        }
        wakeIfLeaderIsLost(place)
        step(at: place, .received(message)) { $0.received(message) }
    }

    /// A batch, or a part of one, certainly did not leave: forwarded commands in it are with nobody,
    /// and wait for the next tick. All else may be lost.
    package mutating func undelivered(_ batch: NodeMessages, to peer: NodeID) {
        for forward in batch.forwards { forwardNotSent(forward) }
    }

    /// The log durably holds the works of these tickets, and of all lower ones.
    package mutating func durable(_ tickets: [InGroup<AppendTicket>]) {
        for ticket in tickets where places[ticket.group] != nil {
            step(ticket.group, .appended(ticket.value)) { $0.appended(ticket.value) }
        }
    }

    package mutating func fetched(_ group: GroupID, _ entries: FetchedEntries) {
        guard places[group] != nil else { return }
        step(group) { $0.entriesFetched(entries) }
    }

    /// The state machine durably is at this index.
    package mutating func persisted(_ group: GroupID, through index: LogIndex) {
        guard places[group] != nil else { return }
        step(group) { $0.persisted(through: index) }
    }

    /// The log cannot read these entries any more.
    package mutating func damaged(_ group: GroupID, _ indexes: ClosedRange<LogIndex>) {
        guard places[group] != nil else { return }
        step(group) { $0.damaged(indexes) }
    }

    /// The shell has made what `NodeEffects.snapshotRequests` asked for; nil: it could not.
    package mutating func snapshotMade(_ group: GroupID, _ id: SnapshotID, at index: LogIndex?) {
        guard places[group] != nil else { return }
        step(group) { $0.snapshotMade(id, at: index) }
    }

    /// A snapshot of `NodeEffects.snapshotFetches` is installed durably, or could not be had.
    package mutating func snapshotEnded(
        _ group: GroupID, _ id: SnapshotID, _ outcome: SnapshotInstallOutcome
    ) {
        guard let place = places[group] else { return }
        if outcome == .installed, let metadata = slots[place].snapshotFetch, metadata.id == id {
            skipped(to: metadata, place: place)
        }
        step(at: place) { $0.snapshotEnded(id, outcome) }
    }

    /// Asks a leader to hand over; `NodeEffects.transfersEnded` says how it ended.
    package mutating func transfer(_ group: GroupID, to target: ReplicaID?) -> TransferOutcome {
        guard let place = places[group] else { return .refused(.notLeader(leader: nil)) }
        wakeForRequest(place)
        var outcome: TransferOutcome?
        step(at: place) { raft in
            let (result, effects) = raft.transferRequested(to: target)
            outcome = result
            return effects
        }
        guard let outcome else { preconditionFailure("a transfer without an outcome") }
        return outcome
    }

    /// Asks a leader to change the configuration of its group.
    ///
    /// - Parameter wallClock: microseconds since 1970, as this node's clock reads now.
    package mutating func change(
        _ group: GroupID, _ request: ConfigurationRequest, wallClock: UInt64
    ) -> ConfigurationOutcome {
        guard let place = places[group] else { return .refused(.notLeader(leader: nil)) }
        wakeForRequest(place)
        let clock = max(wallClock, slots[place].newestStamp)
        var outcome: ConfigurationOutcome?
        step(at: place) { raft in
            let (result, effects) = raft.configurationProposed(request, wallClock: clock)
            outcome = result
            return effects
        }
        guard let outcome else { preconditionFailure("a change without an outcome") }
        return outcome
    }

    /// What the events since the last turn have led to.
    ///
    /// - Parameters:
    ///   - now: this node's monotonic clock.
    ///   - wallClock: microseconds since 1970, as this node's clock reads now.
    package mutating func endTurn(now: MonotonicTime, wallClock: UInt64) -> NodeEffects {
        flushRequests(now: now, wallClock: wallClock)
        var effects = turn.effects
        effects.outgoing = turn.outgoing.batches
        turn.append.send(turn.afterDurable.batches)
        if !turn.append.isEmpty { effects.append = turn.append }
        for id in effects.touched {
            if let place = places[id] { slots[place].isTouched = false }
        }
        turn = Turn()
        count(effects)
        return effects
    }

    private mutating func count(_ effects: NodeEffects) {
        for batch in effects.outgoing + (effects.append?.messagesAfterDurable ?? []) {
            let messages = batch.messages
            let count =
                messages.heartbeats.count + messages.heartbeatAnswers.count
                + messages.messages.count
            counters.batchesSent += 1
            counters.messagesSent += UInt64(count)
            if count == 0 && messages.forwards.isEmpty && messages.refusals.isEmpty {
                counters.signsOfLifeSent += 1
            }
        }
    }
}
