import Primitives
import RecordModel

/// When the leases of a shard end, as one replica sees it (docs/leases.md): a value with events in
/// and effects out, beside the state machine and not part of it. Time is this node's monotonic
/// clock, read after what the event tells of.
///
/// The leader decides. Its clock for a lease begins anew with its leadership, so with all that the
/// lease has, or all that an earlier leader's checkpoint left of it: later than any keep-alive which
/// another leader has acknowledged. What it decides names its term and the lease's generation, and
/// is refused by the state machine in any other.
///
/// Everybody else only estimates, so that a group asleep looks around when a lease could have run
/// out and nobody says so.
///
/// Invariants, checked by `checkInvariants(since:)`:
///
/// 1. Each lease has one item in `queue` at the time that it knows as `queuedAt`; other items of
///    its id are stale.
/// 2. `inFlight` counts the leases whose end is proposed, never more than `expiriesMax`.
/// 3. A lease is expiring or renewing only in a leadership, and at no time both proposed and not
///    expiring.
/// 4. Keep-alives wait only for leases that are expiring or renewing.
/// 5. A leader's queue holds no lease later than its deadline, unless it is expiring.
///
/// Between an earlier moment and a later one of the same leadership:
///
/// 6. The deadline of a lease never falls.
/// 7. A lease that is expiring stays so in its generation: once its end may be in the log, no
///    keep-alive of it is acknowledged.
package struct LeaseClock: Sendable {
    package struct Settings: Hashable, Sendable {
        /// Ends proposed and not known to be applied. At the limit other leases wait: they end
        /// later, and can still be kept alive.
        package var expiriesMax = 512
        /// Leases in one proposed checkpoint.
        package var checkpointsMax = LeaseCommand.checkpointsMax
        /// A leader says how much is left of a lease at this interval, so that a change of leaders
        /// gives the lease no more than this (etcd's interval, off by default there).
        package var checkpointInterval = Duration.seconds(300)
        /// Until a proposal that failed is made again.
        package var retryPause = Duration.milliseconds(500)

        package init() {}
    }

    /// What a replica remembers of a lease. Bytes per lease: docs/leases.md.
    struct Slot: Hashable, Sendable {
        var lease: Lease
        /// Not to be ended before; for a follower, when to look around.
        var deadline: MonotonicTime
        /// `MonotonicTime.distantFuture`: not at all.
        var checkpointAt = MonotonicTime.distantFuture
        var queuedAt = MonotonicTime.distantFuture
        /// Its end was proposed in this leadership, and may be in the log.
        var isExpiring = false
        /// Its end is proposed, and what came of it is not known.
        var isProposed = false
        /// A checkpoint of it may be in the state, or on its way there.
        var mayBeCheckpointed = false
        /// A keep-alive takes the checkpoint back.
        var isRenewing = false

        var lookAt: MonotonicTime { min(deadline, checkpointAt) }
    }

    package let settings: Settings
    /// Of this replica's own leadership, nil while it leads not.
    package internal(set) var term: Term?
    var slots: [LeaseID: Slot] = [:]
    var queue = LeaseQueue()
    var inFlight = 0
    /// Keep-alives of leases whose fate is in the log, by lease.
    var waiting: [LeaseID: [UInt64]] = [:]

    /// - Parameter leases: of the state machine as it stands.
    package init(leases: [Lease], settings: Settings = Settings(), now: MonotonicTime) {
        self.settings = settings
        for lease in leases {
            slots[lease.id] = Slot(lease: lease, deadline: now, queuedAt: now)
        }
        queue = LeaseQueue(leases.map { LeaseQueue.Item(time: now, id: $0.id) })
        startAnew(now)
    }

    package var count: Int { slots.count }
    /// Items of the queue, stale ones too.
    package var queueCount: Int { queue.count }

    /// When `advanced` has something to do. Nil: only after another event.
    package var nextTime: MonotonicTime? {
        term != nil && inFlight >= settings.expiriesMax ? nil : nextLook
    }

    /// When the first lease may have ended, or must be looked at. Nil: there is none.
    package var nextLook: MonotonicTime? {
        queue.first.flatMap { $0.time == .distantFuture ? nil : $0.time }
    }

    // MARK: Leadership

    package mutating func leadershipBegan(
        in term: Term, now: MonotonicTime
    ) -> [LeaseEffect] {
        let effects = dismissWaiting()
        self.term = term
        startAnew(now)
        return effects
    }

    package mutating func leadershipEnded(now: MonotonicTime) -> [LeaseEffect] {
        guard term != nil else { return [] }
        term = nil
        startAnew(now)
        return dismissWaiting()
    }

    /// Whoever asked must ask the leader of today.
    private mutating func dismissWaiting() -> [LeaseEffect] {
        let tokens = waiting.keys.sorted().flatMap { waiting[$0] ?? [] }
        waiting = [:]
        return tokens.map { .answer($0, .notLeader) }
    }

    /// Every lease has all its time again, or what a checkpoint left.
    private mutating func startAnew(_ now: MonotonicTime) {
        inFlight = 0
        var items: [LeaseQueue.Item] = []
        items.reserveCapacity(slots.count)
        for item in queue.items {
            // Stale items name leases that are gone, or stand elsewhere in the queue.
            guard var slot = slots[item.id], slot.queuedAt == item.time else { continue }
            let checkpointed = slot.lease.remainingSeconds
            let isCut = term != nil && checkpointed > 0
            let seconds = isCut ? checkpointed : slot.lease.seconds
            slot = Slot(lease: slot.lease, deadline: now.adding(seconds: seconds))
            slot.mayBeCheckpointed = checkpointed > 0
            scheduleCheckpoint(&slot, now)
            slot.queuedAt = slot.lookAt
            slots[item.id] = slot
            items.append(LeaseQueue.Item(time: slot.queuedAt, id: item.id))
        }
        queue = LeaseQueue(items)
    }

    /// Leases that began together are not written together: they spread over a quarter interval.
    func scheduleCheckpoint(_ slot: inout Slot, _ now: MonotonicTime) {
        let interval = settings.checkpointInterval.nanoseconds
        let spread = interval / 1024 * UInt64(UInt8(truncatingIfNeeded: slot.lease.id.rawValue))
        let at = now.adding(nanoseconds: interval).adding(nanoseconds: spread)
        slot.checkpointAt = term != nil && at < slot.deadline ? at : .distantFuture
    }

    mutating func enqueue(_ id: LeaseID, _ slot: inout Slot, at time: MonotonicTime) {
        slot.queuedAt = time
        queue.insert(LeaseQueue.Item(time: time, id: id))
    }

    // MARK: The state machine

    /// An entry was applied here.
    package mutating func changed(_ change: LeaseChange, now: MonotonicTime) -> [LeaseEffect] {
        switch change {
        case .begun(let lease):
            remove(lease.id)
            var slot = Slot(lease: lease, deadline: now.adding(seconds: lease.seconds))
            scheduleCheckpoint(&slot, now)
            enqueue(lease.id, &slot, at: slot.lookAt)
            slots[lease.id] = slot
            return answerWaiting(lease.id, .renewed(seconds: lease.seconds))
        case .checkpointed(let lease):
            slots[lease.id]?.lease = lease
            slots[lease.id]?.mayBeCheckpointed = true
            return []
        case .ended(let id):
            remove(id)
            return answerWaiting(id, .notFound)
        case .cleared:
            slots = [:]
            queue = LeaseQueue()
            inFlight = 0
            let tokens = waiting.keys.sorted().flatMap { waiting[$0] ?? [] }
            waiting = [:]
            return tokens.map { .answer($0, .notFound) }
        }
    }

    /// Items of leases that are gone stay in the queue until their time comes, or they are many.
    private mutating func remove(_ id: LeaseID) {
        guard let slot = slots.removeValue(forKey: id) else { return }
        if slot.isProposed { inFlight -= 1 }
        guard queue.count > 2 * slots.count + 64 else { return }
        queue = LeaseQueue(queue.items.filter { slots[$0.id]?.queuedAt == $0.time })
    }

    func waits(for id: LeaseID) -> Bool { waiting[id] != nil }

    mutating func answerWaiting(_ id: LeaseID, _ answer: LeaseAnswer) -> [LeaseEffect] {
        (waiting.removeValue(forKey: id) ?? []).map { .answer($0, answer) }
    }
}

/// What the shell must do.
package enum LeaseEffect: Hashable, Sendable {
    /// Proposes it; `LeaseClock.proposalFailed` is told when it was refused, is lost, or when
    /// nobody knows.
    case propose(LeaseCommand)
    /// Of the keep-alive that the token names; once for each.
    case answer(UInt64, LeaseAnswer)
}

package enum LeaseAnswer: Hashable, Sendable {
    case renewed(seconds: Int64)
    case notFound
    /// This replica does not lead in the term in which it was confirmed, or not any more.
    case notLeader
}

extension MonotonicTime {
    /// No time that a clock will show.
    static let distantFuture = MonotonicTime(nanoseconds: .max)

    /// Ends at the distant future.
    func adding(nanoseconds more: UInt64) -> MonotonicTime {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(more)
        return overflow ? .distantFuture : MonotonicTime(nanoseconds: sum)
    }

    func adding(seconds: Int64) -> MonotonicTime {
        precondition(0...Lease.secondsMax ~= seconds, "a lease of \(seconds) seconds")
        return adding(nanoseconds: UInt64(seconds) * 1_000_000_000)
    }
}

extension Duration {
    /// Of a duration that is not negative and below 500 years.
    fileprivate var nanoseconds: UInt64 {
        UInt64(components.seconds) * 1_000_000_000 + UInt64(components.attoseconds / 1_000_000_000)
    }
}
