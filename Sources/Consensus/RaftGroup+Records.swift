import Primitives

// What this replica remembers of the others, and what it answers to their registrations.
extension RaftGroup {
    /// Leaders tell what members have acknowledged this often after it has last changed, so that a
    /// lost message costs a heartbeat interval.
    static let recordRepeats = 3

    mutating func receivedRegistration(_ registration: Registration, from peer: ReplicaID) {
        guard isMember(peer) else {
            if !registration.isQuarantined {
                answer(registration, verdictOnStranger(), to: peer)
            }
            return
        }
        guard !registration.isQuarantined else {
            if !peerMemory.isQuarantined(peer) {
                var record = PeerRecord(unknown: peer)
                record.incarnation = PeerRecord.quarantined
                peerMemory.note(record)
                work.peers += peerMemory.takeUnwritten()
                if let i = leadership?.position(of: peer) { leadership!.progress[i].becomeProbe() }
            }
            return
        }
        let acknowledged = acknowledged(by: registration, of: peer)
        let behind = registration.absence.flatMap { names(peer, behind: $0) ? $0.index : nil }
        switch peerMemory.judge(registration, of: peer, acknowledged: acknowledged) {
        case .known:
            // Perhaps only others have told of this start, and the disk does not have it yet.
            peerMemory.place(peer)
            work.peers += peerMemory.takeUnwritten()
            answer(registration, .registered(behind: behind), to: peer)
        case .news:
            remember(registration, of: peer)
            answer(registration, .registered(behind: behind), to: peer)
        case .behind(let record):
            if registration.incarnation == record.incarnation {
                remember(registration, of: peer)
            }
            answer(registration, .quarantined(record), to: peer)
        case .startedTwice: answer(registration, .startedTwice, to: peer)
        }
    }

    private func verdictOnStranger() -> RegistrationVerdict {
        // A damaged entry may be a configuration: without it, nothing is certain but the beginning.
        let place = configurationsMayLack ? firstIndex.previous : commitIndex
        guard let term = log.term(at: place) else {
            preconditionFailure("entry \(place) of \(firstIndex)...\(lastIndex) has no term")
        }
        return .stranger(asOf: CommittedPlace(index: place, term: term))
    }

    /// Whether this log holds a committed entry, and behind it a configuration that names the replica.
    func names(_ named: ReplicaID, behind place: CommittedPlace) -> Bool {
        let holds = place.index < firstIndex.previous || log.term(at: place.index) == place.term
        return holds
            && configurations.contains {
                $0.index > place.index && $0.configuration.member(named) != nil
            }
    }

    private mutating func remember(_ registration: Registration, of peer: ReplicaID) {
        peerMemory.registered(registration, of: peer)
        work.peers += peerMemory.takeUnwritten()
        guard let i = leadership?.position(of: peer) else { return }
        // What was sent to the earlier start may never have arrived.
        leadership!.progress[i].becomeProbe()
        leadership!.progress[i].isAsleep = false
    }

    private mutating func answer(
        _ registration: Registration, _ verdict: RegistrationVerdict, to peer: ReplicaID
    ) {
        sendWhenDurable(
            .registrationAnswer(
                incarnation: registration.incarnation, start: registration.start, verdict),
            to: peer)
        if case .registered = verdict { askAgain(peer) }
    }

    /// Its vote was withheld as long as this candidate did not know of its start.
    private mutating func askAgain(_ voter: ReplicaID) {
        guard let candidacy, candidacy.vote(of: voter) == nil, otherVoters.contains(voter)
        else { return }
        let request = VoteRequest(
            lastIndex: log.lastIndex, lastTerm: log.lastTerm, isTransfer: candidacy.isTransfer)
        switch candidacy.stage {
        case .preVote: sendWhenDurable(.preVoteRequest(request), to: voter, term: term.next)
        case .vote: sendWhenDurable(.voteRequest(request), to: voter)
        }
    }

    /// A member whose start is not remembered for certain is asked for it.
    mutating func admitsPromise(of peer: ReplicaID) -> Bool {
        guard settings.registersStarts, isMember(peer), !peerMemory.isPlaced(peer) else {
            return true
        }
        sendNow(.registrationAnswer(incarnation: 0, start: 0, .forgotten), to: peer)
        return false
    }

    private func isMember(_ peer: ReplicaID) -> Bool {
        configurations.contains { $0.configuration.member(peer) != nil }
    }

    /// What a leader knows that the peer has acknowledged to it, as far as it binds one that
    /// returns in the term that it says.
    private func acknowledged(
        by registration: Registration, of peer: ReplicaID
    ) -> PeerRecord? {
        guard let led = leadership, let i = led.position(of: peer) else { return nil }
        let match = led.progress[i].matchIndex
        // In a later term, another leader may have replaced what is not committed.
        return floor(
            of: peer, holding: registration.term > term ? min(match, log.commitIndex) : match)
    }

    /// That the replica holds this entry, and has acknowledged it in this term.
    private func floor(of member: ReplicaID, holding index: LogIndex) -> PeerRecord? {
        guard index > .zero, let entryTerm = log.term(at: index) else { return nil }
        var floor = PeerRecord(unknown: member)
        if member == replica {
            floor.incarnation = ownStart.registration.incarnation
            floor.start = ownStart.registration.start
        }
        floor.term = term
        floor.lastIndex = index
        floor.lastTerm = entryTerm
        return floor
    }

    // MARK: Spreading

    /// With a leader's heartbeats: what each member has acknowledged and is committed, to everyone.
    mutating func spreadRecords() {
        guard settings.registersStarts else { return }
        for progress in leadership!.progress where !peerMemory.isQuarantined(progress.replica) {
            let held = min(progress.matchIndex, log.commitIndex)
            if let floor = floor(of: progress.replica, holding: held) { peerMemory.note(floor) }
        }
        var table = peerMemory.records.filter { configuration.member($0.replica) != nil }
        if let own = floor(of: replica, holding: min(log.durableIndex, log.commitIndex)) {
            table.append(own)
        }
        if table != leadership!.recordsTold {
            leadership!.recordsTold = table
            leadership!.recordRepeats = Self.recordRepeats
        }
        guard leadership!.recordRepeats > 0 else { return }
        leadership!.recordRepeats -= 1
        for progress in leadership!.progress {
            sendNow(.memberRecords(table), to: progress.replica)
        }
    }

    mutating func receivedRecords(_ records: [PeerRecord], from peer: ReplicaID) {
        guard settings.registersStarts else { return }
        for record in records {
            if record.replica == replica {
                if proves(record) { quarantine(.behindRecord(of: peer, record)) }
            } else if isMember(record.replica) {
                peerMemory.note(record)
            }
        }
    }

    /// A vote that counts here: its giver will never be in an earlier term.
    mutating func noteVote(of voter: ReplicaID) {
        guard settings.registersStarts, isMember(voter) else { return }
        var record = PeerRecord(unknown: voter)
        record.term = term
        peerMemory.note(record)
    }

    /// Records go along with what is written anyway, once in a heartbeat interval at most.
    mutating func writeRecordsAlong() {
        guard !work.writesNothing, !peerMemory.unwritten.isEmpty,
            ticks >= recordsWrittenAt + UInt64(settings.heartbeatTicks)
        else { return }
        recordsWrittenAt = ticks
        peerMemory.keep(isMember)
        work.peers += peerMemory.takeUnwritten()
    }

    // MARK: Alarms

    /// Called at the end of every event: a leader says which of its members are quarantined.
    mutating func announceQuarantined() {
        let found =
            leadership == nil ? [] : configuration.replicas.filter(peerMemory.isQuarantined)
        guard found != alarmedMembers else { return }
        for member in found where !alarmedMembers.contains(member) {
            effects.alarms.append(.raised(.memberQuarantined(member)))
        }
        for member in alarmedMembers where !found.contains(member) {
            effects.alarms.append(.lowered(.memberQuarantined(member)))
        }
        alarmedMembers = found
    }
}
