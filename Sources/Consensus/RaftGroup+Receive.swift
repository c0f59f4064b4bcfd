import Primitives

// Messages: terms are compared here, at the top; what remains below is of this replica's term,
// except for pre-votes, which speak of a term that nobody has entered.
extension RaftGroup {
    mutating func handle(_ message: RaftMessage) {
        guard message.group == group else {
            effects.faults.append(.wrongGroup(from: message.from, group: message.group))
            return
        }
        guard message.to == replica, message.from != replica else {
            effects.faults.append(.wrongRecipient(from: message.from, to: message.to))
            return
        }
        if standing == .quarantined { return }
        if receivedOutsideTerms(message) { return }
        if refusesElection(message) { return }
        if message.term < term {
            answerStale(message)
            return
        }
        if message.term > term {
            switch message.kind {
            case .preVoteRequest, .preVoteResponse(granted: true):
                // The term of a campaign that may never be held.
                break
            default:
                becomeFollower(term: message.term, leader: nil)
            }
        }
        dispatch(message)
    }

    private mutating func dispatch(_ message: RaftMessage) {
        let peer = message.from
        // It is repeated, or asked for again, when its giver has registered.
        if message.kind.isPromise && !admitsPromise(of: peer) { return }
        switch message.kind {
        case .preVoteRequest(let request):
            receivedPreVoteRequest(request, from: peer, campaignTerm: message.term)
        case .preVoteResponse(let granted):
            receivedPreVoteResponse(from: peer, granted: granted, campaignTerm: message.term)
        case .voteRequest(let request):
            receivedVoteRequest(request, from: peer)
        case .voteResponse(let granted):
            if case .vote? = candidacy?.stage {
                if granted { noteVote(of: peer) }
                recordVote(of: peer, granted: granted)
            }
        case .appendRequest(let request):
            if heardLeader(peer) { receivedAppend(request, from: peer) }
        case .appendResponse(let response):
            receivedAppendResponse(response, from: peer)
        case .heartbeat(let heartbeat):
            if heardLeader(peer) {
                followCommit(heartbeat.commitIndex, from: peer)
                let sleeps =
                    heartbeat.hibernates && sleepsWith(commitIndex: heartbeat.commitIndex)
                // Of a replica that may have forgotten a later term, the word proves only life.
                let round = standing == .trusted ? heartbeat.round : 0
                sendNow(.heartbeatResponse(round: round, hibernates: sleeps), to: peer)
            }
        case .heartbeatResponse(let round, let hibernates):
            receivedHeartbeatResponse(round: round, hibernates: hibernates, from: peer)
        case .commitNotice(let commitIndex):
            if heardLeader(peer) { followCommit(commitIndex, from: peer) }
        case .readIndexRequest(let context):
            // Asked of a replica that leads no more, or not yet: the asker tries again.
            if leadership != nil { leaderRead([.follower(context)]) }
        case .readIndexResponse(let context, let result):
            receivedReadIndex(result, for: context)
        case .staleTerm:
            // Its term has done the work, above, if it was news.
            break
        case .timeoutNow: receivedTimeoutNow(from: peer)
        case .registration, .registrationAnswer, .memberRecords, .snapshotNeeded, .snapshotWanted,
            .snapshotOffer,
            .entriesWanted, .entriesFound:
            preconditionFailure("\(message.kind) is handled before terms are compared")
        }
    }

    /// Messages that no term orders: what they bring is true in any.
    ///
    /// - Returns: whether the message was one.
    private mutating func receivedOutsideTerms(_ message: RaftMessage) -> Bool {
        let peer = message.from
        switch message.kind {
        case .registration(let registration): receivedRegistration(registration, from: peer)
        case .registrationAnswer(let incarnation, let start, let verdict):
            receivedVerdict(verdict, on: incarnation, start: start, from: peer)
        case .memberRecords(let records): receivedRecords(records, from: peer)
        case .snapshotNeeded(let minIndex, let sources):
            receivedSnapshotNeeded(
                atLeast: minIndex, sources: sources, from: peer, term: message.term)
        case .snapshotWanted(let minIndex): receivedSnapshotWanted(atLeast: minIndex, from: peer)
        case .snapshotOffer(let metadata):
            receivedSnapshotOffer(metadata, from: peer, term: message.term)
        case .entriesWanted(let wanted): receivedEntriesWanted(wanted, from: peer)
        case .entriesFound(let entries): receivedEntriesFound(entries, from: peer)
        default: return false
        }
        return true
    }

    /// "If a server receives a RequestVote request within the minimum election timeout of hearing
    /// from a current leader, it does not update its term or grant its vote" (thesis §4.2.3), unless
    /// the leader itself has handed over (§3.10).
    private mutating func refusesElection(_ message: RaftMessage) -> Bool {
        switch message.kind {
        case .voteRequest(let request):
            guard !request.isTransfer else { return false }
            return keepsPromise && message.term >= term || hearsLeader && message.term > term
        case .preVoteRequest:
            // Asked for a term that it does not lead yet, the leader leads no more: it restarted.
            if leader == message.from && message.term > term { leader = nil }
            return keepsPromise && message.term >= term || hearsLeader && message.term > term
        default: return false
        }
    }

    /// A sender that lives in an earlier term.
    private mutating func answerStale(_ message: RaftMessage) {
        switch message.kind {
        case .preVoteRequest:
            sendWhenDurable(.preVoteResponse(granted: false), to: message.from)
        case .voteRequest:
            sendWhenDurable(.voteResponse(granted: false), to: message.from)
        case .appendRequest, .heartbeat, .commitNotice:
            // A replica whose term ran ahead while it was cut off hears only leaders that it may
            // not follow; told of its term, they step down, and an election readmits it.
            sendWhenDurable(.staleTerm, to: message.from)
        case .preVoteResponse, .voteResponse, .appendResponse, .heartbeatResponse,
            .readIndexRequest, .readIndexResponse, .staleTerm, .timeoutNow, .registration,
            .registrationAnswer, .memberRecords, .snapshotNeeded, .snapshotWanted, .snapshotOffer,
            .entriesWanted, .entriesFound:
            // Late: what they answer is over. A read that is still wanted is asked for again.
            break
        }
    }

    /// A sign of life from the leader of this replica's term.
    ///
    /// - Returns: false, with a fault, when the term has another leader: Election Safety is broken
    ///   somewhere, and following would spread the damage.
    private mutating func heardLeader(_ peer: ReplicaID) -> Bool {
        if let leader, leader != peer {
            effects.faults.append(.secondLeader(from: peer, known: leader, term: term))
            return false
        }
        guard !configuration.isWitness(peer) else {
            effects.faults.append(.notALeader(from: peer))
            return false
        }
        if leader == nil || candidacy != nil { becomeFollower(term: term, leader: peer) }
        electionElapsed = 0
        promiseLeader()
        return true
    }
}
