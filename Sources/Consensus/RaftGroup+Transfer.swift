import Primitives

/// Leadership that this replica hands over, until how that ended is known.
struct Transfer: Sendable {
    let target: ReplicaID
    /// In which it was begun.
    let term: Term
    /// In ticks since the start: "if leadership transfer does not complete after about an election
    /// timeout, the prior leader aborts the transfer" (thesis §3.10).
    let deadline: UInt64
    /// Whether somebody asked for it, and wants to hear of its end.
    let isRequested: Bool
    /// The tick at which the target was last told to campaign.
    var toldAt: UInt64?
}

// Leadership transfer, thesis §3.10: "the prior leader stops accepting new client requests", "fully
// updates the target server's log", and "sends a TimeoutNow request to the target server".
extension RaftGroup {
    /// Asks a leader to hand over.
    ///
    /// - Parameter target: a voter; nil for whoever suits best.
    package mutating func transferRequested(
        to target: ReplicaID?
    ) -> (TransferOutcome, Effects) {
        wake()
        let outcome = requestTransfer(to: target)
        return (outcome, finishEvent())
    }

    private mutating func requestTransfer(to wanted: ReplicaID?) -> TransferOutcome {
        guard leadership != nil else { return .refused(.notLeader(leader: leader)) }
        if let transfer { return .refused(.transferInProgress(to: transfer.target)) }
        if let wanted, !isEligible(wanted) { return .refused(.ineligible(wanted)) }
        guard let target = wanted ?? bestTarget() else { return .refused(.noTarget) }
        beginTransfer(to: target, isRequested: true)
        return .begun(to: target)
    }

    mutating func beginTransfer(to target: ReplicaID, isRequested: Bool) {
        transfer = Transfer(
            target: target, term: term, deadline: ticks + UInt64(settings.electionTimeoutTicks),
            isRequested: isRequested)
        driveTransfer()
    }

    /// Who could lead in this replica's place. Outgoing voters could for a while only; witnesses,
    /// learners and the quarantined never.
    func isEligible(_ voter: ReplicaID) -> Bool {
        voter != replica && configuration.voters.incoming.contains(voter)
            && !(configuration.member(voter)?.isWitness ?? true)
            && !peerMemory.isQuarantined(voter) && leadership?.position(of: voter) != nil
    }

    /// Of those that show life: one that has all that is committed rather than one that has not,
    /// then the highest priority, then the longest log, then the lowest identifier.
    private func bestTarget() -> ReplicaID? {
        func rank(_ progress: Progress) -> (Int, UInt8, LogIndex) {
            (
                progress.matchIndex >= log.commitIndex ? 1 : 0,
                configuration.member(progress.replica)?.priority ?? 0, progress.matchIndex
            )
        }
        var best: Progress?
        for progress in leadership!.progress
        where isEligible(progress.replica) && isLive(progress) {
            if best.map({ rank($0) < rank(progress) }) ?? true { best = progress }
        }
        return best?.replica
    }

    /// Tells the target to campaign once it has everything, and again each heartbeat interval: a
    /// target that has heard it campaigns in a later term and takes no notice.
    mutating func driveTransfer() {
        guard leadership != nil, let transfer, transfer.term == term,
            ticks < transfer.deadline, let i = leadership!.position(of: transfer.target),
            leadership!.progress[i].matchIndex == log.lastIndex,
            transfer.toldAt.map({ ticks >= $0 + UInt64(settings.heartbeatTicks) }) ?? true
        else { return }
        self.transfer!.toldAt = ticks
        #if PlantedBugs
            if PlantedBug.active != .leaseSurvivesTransfer { leadership!.lease.forfeit() }
        #else
            leadership!.lease.forfeit()
        #endif
        sendNow(.timeoutNow, to: transfer.target)
    }

    /// Called at the end of every event.
    mutating func concludeTransfer() {
        guard let transfer else { return }
        let result: TransferResult
        if term > transfer.term, let leader {
            if leader == transfer.target {
                result = .done(leader: leader, term: term)
            } else {
                result = leader == replica ? .timedOut : .leadershipLost
            }
        } else if ticks >= transfer.deadline || standing == .quarantined {
            result = leadership != nil ? .timedOut : .leadershipLost
        } else {
            return
        }
        self.transfer = nil
        if transfer.isRequested { effects.transferEnded = result }
    }

    /// "the target server ... starts a new election (incrementing its term and becoming a
    /// candidate)" (thesis §3.10), without PreVote: the voters do hear a leader.
    mutating func receivedTimeoutNow(from peer: ReplicaID) {
        if let leader, leader != peer {
            effects.faults.append(.secondLeader(from: peer, known: leader, term: term))
            return
        }
        // Whoever has not heard the leader in this term will be told again.
        guard leader == peer, mayCampaign, standing == .trusted, !isHinderedByDamage else {
            return
        }
        campaign(isTransfer: true)
    }
}
