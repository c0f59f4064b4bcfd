import Primitives

// Elections: thesis §3.4, §3.6.1, PreVote §9.6, votes refused under a live leader §4.2.3.
extension RaftGroup {
    /// A leader has been heard within the minimum election timeout, or is this replica: whoever
    /// campaigns now would only disturb.
    var hearsLeader: Bool {
        leadership != nil
            || (leader != nil && electionElapsed < settings.electionTimeoutTicks)
    }

    mutating func followerTicked() {
        electionElapsed += 1
        if electionElapsed >= electionWait {
            if mayCampaign && standing == .trusted && !keepsPromise && !isHinderedByDamage {
                preCampaign()
            } else {
                // It waits; it only stops naming a leader that is gone.
                leader = nil
                restartElectionWait()
            }
        }
        forwardedReadsTicked()
    }

    /// Draws the wait for the next campaign: "election timeouts are chosen randomly from a fixed
    /// interval" (thesis §3.4).
    mutating func restartElectionWait() {
        electionElapsed = 0
        let timeout = settings.electionTimeoutTicks
        electionWait = timeout + drawWait(within: timeout, slots: 2 * timeout)
    }

    mutating func becomeFollower(term newTerm: Term, leader newLeader: ReplicaID?) {
        precondition(newTerm >= term, "term \(newTerm) after \(term)")
        if newTerm > term {
            term = newTerm
            vote = nil
            work.writesHardState = true
        }
        // A mere follower's wait goes on: only a leader's word or a vote that it grants restarts
        // it, lest a candidate that cannot win keeps those from campaigning who can.
        let restarts = candidacy != nil || leadership != nil
        candidacy = nil
        leader = newLeader
        if let led = leadership {
            leadership = nil
            refuseReads(of: led)
        }
        if restarts { restartElectionWait() }
        sendForwardedReads()
    }

    // MARK: Campaigning

    private mutating func preCampaign() {
        restartElectionWait()
        leader = nil
        candidacy = Candidacy(.preVote)
        let request = VoteRequest(lastIndex: log.lastIndex, lastTerm: log.lastTerm)
        for voter in otherVoters {
            sendNow(.preVoteRequest(request), to: voter, term: term.next)
        }
        recordVote(of: replica, granted: true)
    }

    mutating func campaign(isTransfer: Bool = false) {
        restartElectionWait()
        term = term.next
        vote = replica
        work.writesHardState = true
        leader = nil
        candidacy = Candidacy(.vote(ownVote: nextTicket))
        candidacy!.isTransfer = isTransfer
        let request = VoteRequest(
            lastIndex: log.lastIndex, lastTerm: log.lastTerm, isTransfer: isTransfer)
        #if PlantedBugs
            if PlantedBug.active == .asksForVotesBeforeItsOwn {
                for voter in otherVoters { sendNow(.voteRequest(request), to: voter) }
                return
            }
        #endif
        // A candidate that forgot its term in a crash could vote for another in it.
        for voter in otherVoters { sendWhenDurable(.voteRequest(request), to: voter) }
    }

    var otherVoters: [ReplicaID] {
        Configuration.ascending(configuration.voters.incoming + configuration.voters.outgoing)
            .filter { $0 != replica }
    }

    mutating func recordVote(of voter: ReplicaID, granted: Bool) {
        guard candidacy != nil else { return }
        candidacy!.record(voter, granted: granted)
        let candidacy = candidacy!
        switch (configuration.voters.outcome { candidacy.vote(of: $0) }, candidacy.stage) {
        case (.pending, _): break
        case (.lost, _): becomeFollower(term: term, leader: nil)
        case (.won, .preVote): campaign()
        case (.won, .vote): becomeLeader()
        }
    }

    mutating func receivedPreVoteResponse(
        from voter: ReplicaID, granted: Bool, campaignTerm: Term
    ) {
        // A refusal carries the voter's own term, a grant that of the campaign asked about.
        guard candidacy?.stage == .preVote, campaignTerm == (granted ? term.next : term) else {
            return
        }
        recordVote(of: voter, granted: granted)
    }

    // MARK: Voting

    mutating func receivedPreVoteRequest(
        _ request: VoteRequest, from candidate: ReplicaID, campaignTerm: Term
    ) {
        guard isHeard(by: candidate) else {
            introduce(to: candidate)
            return
        }
        let mayVote = campaignTerm > term || mayVote(for: candidate)
        if mayVote && log.isUpToDate(request) {
            sendWhenDurable(.preVoteResponse(granted: true), to: candidate, term: campaignTerm)
        } else {
            sendWhenDurable(.preVoteResponse(granted: false), to: candidate)
        }
    }

    mutating func receivedVoteRequest(_ request: VoteRequest, from candidate: ReplicaID) {
        guard isHeard(by: candidate) else {
            introduce(to: candidate)
            return
        }
        let granted = mayVote(for: candidate) && log.isUpToDate(request)
        if granted {
            if vote != candidate {
                vote = candidate
                work.writesHardState = true
                #if PlantedBugs
                    if PlantedBug.active == .voteNotPersisted { work.writesHardState = false }
                #endif
            }
            electionElapsed = 0
        }
        sendWhenDurable(.voteResponse(granted: granted), to: candidate)
    }

    /// "Each server will vote for at most one candidate in a given term" (thesis §3.4). Whoever
    /// knows the term's leader without having voted need not either.
    private func mayVote(for candidate: ReplicaID) -> Bool {
        #if PlantedBugs
            if PlantedBug.active == .votesTwiceInATerm { return leader == nil }
        #endif
        return vote == candidate || (vote == nil && leader == nil)
    }
}
