import Primitives

// Priorities of members: a preferred replica leads when it can. They decide who asks for votes
// first and to whom a leader hands over; no vote is ever refused because of one.
extension RaftGroup {
    /// Checks of the quorum, one per election timeout, that a preferred voter must have passed in
    /// a row, alive and with all that was committed one check before.
    static let stableChecksBeforeHandover = 3
    /// Election timeouts between two attempts of one replica to hand over to a preferred voter.
    static let timeoutsBetweenHandovers = 10

    /// A wait within `ticks` beyond the least: drawn from all of it where everyone is alike, or
    /// twice as long, and cut into one slot for each priority in use, the highest first. So the
    /// preferred are first, and their absence costs one election timeout at most.
    mutating func drawWait(within ticks: Int, slots total: Int) -> Int {
        var levels: [UInt8] = []
        for member in configuration.members
        where configuration.voters.contains(member.replica) && !member.isWitness
            && !levels.contains(member.priority)
        {
            levels.append(member.priority)
        }
        let chance = generator.next()
        guard levels.count > 1, let own = configuration.member(replica)?.priority else {
            return Int(chance % UInt64(ticks))
        }
        let rank = min(levels.count { $0 > own }, levels.count - 1)
        let slot = max(1, total / levels.count)
        return rank * total / levels.count + Int(chance % UInt64(slot))
    }

    /// Called with each check of the quorum, before it begins anew.
    mutating func noteStability() {
        for i in leadership!.progress.indices {
            let progress = leadership!.progress[i]
            let isStable =
                progress.isActive && progress.matchIndex >= leadership!.commitIndexAtCheck
            leadership!.progress[i].stableChecks = isStable ? progress.stableChecks + 1 : 0
        }
        leadership!.commitIndexAtCheck = log.commitIndex
    }

    /// Hands over to a preferred voter that would serve as well; not while the group changes.
    mutating func preferOthers() {
        guard leadership != nil, transfer == nil, ticks >= nextHandover, hasCommittedInTerm,
            configurationIndex <= log.commitIndex, !configuration.voters.isJoint,
            let own = configuration.member(replica)?.priority
        else { return }
        var best: (priority: UInt8, replica: ReplicaID)?
        for progress in leadership!.progress
        where progress.stableChecks >= Self.stableChecksBeforeHandover {
            guard let member = configuration.member(progress.replica), member.priority > own,
                isEligible(progress.replica)
            else { continue }
            if best.map({ $0.priority < member.priority }) ?? true {
                best = (member.priority, progress.replica)
            }
        }
        guard let best else { return }
        nextHandover =
            ticks + UInt64(Self.timeoutsBetweenHandovers * settings.electionTimeoutTicks)
        beginTransfer(to: best.replica, isRequested: false)
    }
}
