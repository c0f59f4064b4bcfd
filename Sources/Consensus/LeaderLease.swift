import Primitives

/// What a leader knows of the time in which nobody else can be elected (thesis §6.4.1): voters that
/// have heard it refuse votes for an election timeout, so a round of heartbeats that a quorum has
/// confirmed protects the leader for a little less than that, counted from when it was *sent*.
struct LeaderLease: Sendable {
    /// A round that awaits its quorum, or has it.
    private struct Round {
        var number: UInt64
        var sentAt: MonotonicTime
        /// The configuration in force when it was sent. A lease does not outlive it: the quorums of
        /// configurations that are two changes apart need not meet.
        var configurationIndex: LogIndex
    }

    /// Rounds that may await their quorum. Beyond it the oldest is forgotten, which only shortens
    /// the lease.
    static let roundsMax = 64

    private var rounds = Queue<Round>()
    private var confirmed: Round?
    /// Once the target of a transfer may campaign, no lease holds for the rest of the term: voters
    /// grant such a campaign its votes however lately they heard this leader, and its requests may
    /// be under way long after the transfer was given up.
    private(set) var isForfeited = false

    mutating func sent(round number: UInt64, at time: MonotonicTime, configuration: LogIndex) {
        guard !isForfeited else { return }
        if rounds.count >= Self.roundsMax { rounds.popFirst() }
        rounds.append(Round(number: number, sentAt: time, configurationIndex: configuration))
    }

    mutating func confirmed(through number: UInt64) {
        while let round = rounds.first, round.number <= number {
            confirmed = round
            rounds.popFirst()
        }
    }

    var roundsOpen: Int { rounds.count }

    func holds(
        at now: MonotonicTime, configuration: LogIndex, nanoseconds: UInt64
    ) -> Bool {
        guard !isForfeited, let confirmed, confirmed.configurationIndex == configuration,
            now >= confirmed.sentAt
        else { return false }
        return now.nanoseconds - confirmed.sentAt.nanoseconds < nanoseconds
    }

    /// The group has slept: what was confirmed before says nothing any more.
    mutating func clear() {
        rounds.removeAll()
        confirmed = nil
    }

    mutating func forfeit() {
        clear()
        isForfeited = true
    }
}

extension RaftSettings {
    /// How long a lease holds by the leader's clock, from when its round was sent.
    ///
    /// A voter's promise lasts `electionTimeoutTicks` of its ticks; of these `ticksMargin` may pass
    /// in no time, and the others last a tick each by a clock that runs fast by `driftMaxPPM` at
    /// most. The leader's clock runs slow by as much at most. So with d for the drift the promise
    /// lasts `(timeout - margin) · tick / (1 + d)` of true time, in which the leader's clock shows
    /// `1 - d` times as much.
    var leaseNanoseconds: UInt64 {
        guard let leaderLease else { return 0 }
        let million: UInt64 = 1_000_000
        let ticks = UInt64(max(0, electionTimeoutTicks - leaderLease.ticksMargin))
        let product = (ticks * leaderLease.tickNanoseconds)
            .multipliedFullWidth(by: million - leaderLease.driftMaxPPM)
        return (million + leaderLease.driftMaxPPM).dividingFullWidth(product).quotient
    }
}
