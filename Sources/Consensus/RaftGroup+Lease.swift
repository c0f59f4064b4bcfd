import Primitives

// Leader leases, thesis §6.4.1: an option, and measured in a clock that is handed in. A leader
// without a lease reads through ReadIndex, as ever.
extension RaftGroup {
    /// Whether this replica may answer linearizable reads by its own word.
    ///
    /// - Parameter now: read from this node's clock after the reads had come.
    package func holdsLeaderLease(at now: MonotonicTime) -> Bool {
        guard let led = leadership, hasCommittedInTerm, !isHibernating else { return false }
        return led.lease.holds(
            at: now, configuration: configurationIndex, nanoseconds: settings.leaseNanoseconds)
    }

    /// Readings only ever count from when a round was sent, so the latest that is known will do
    /// where none is at hand: it lies before the present.
    mutating func noteClock(_ now: MonotonicTime?) {
        guard let now else { return }
        clock = clock.map { max($0, now) } ?? now
    }

    /// - Returns: whether the reads are answered.
    mutating func answeredByLease(_ tokens: [UInt64], _ now: MonotonicTime?) -> Bool {
        guard let now, holdsLeaderLease(at: now) else { return false }
        leadership!.idleTicks = 0
        for token in tokens {
            effects.readsReady.append(ReadReady(token: token, index: log.commitIndex))
        }
        return true
    }

    /// With leases on, each broadcast opens a round of its own: it says when it was sent.
    mutating func openLeaseRound() {
        guard settings.leaderLease != nil, let clock else { return }
        leadership!.round += 1
        leadership!.lease.sent(
            round: leadership!.round, at: clock, configuration: configurationIndex)
    }

    /// A leader has been heard, and may count on it: no vote for an election timeout of this
    /// replica's ticks, whatever terms are heard of meanwhile.
    mutating func promiseLeader() {
        promisedUntil = ticks + UInt64(settings.electionTimeoutTicks)
    }

    /// Whether a leader may hold a lease that counts on this voter. True for an election timeout
    /// after a start too: what was promised before it is forgotten.
    var keepsPromise: Bool { settings.leaderLease != nil && ticks < promisedUntil }
}
