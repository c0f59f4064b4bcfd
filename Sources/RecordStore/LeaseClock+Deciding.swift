import Primitives
import RecordModel

// What a leader decides: whose time is up, who is kept alive, what is written down of the rest.
extension LeaseClock {
    /// A keep-alive came to this replica, and then a linearizable read was confirmed here.
    ///
    /// - Parameters:
    ///   - token: names it in the effects; answered now or later.
    ///   - confirmedTerm: of the last entry that was applied when the read could be served. The read
    ///     was confirmed by the leader of that term or, where this replica leads in it, by itself.
    package mutating func keptAlive(
        _ token: UInt64, _ id: LeaseID, confirmedIn confirmedTerm: Term, now: MonotonicTime
    ) -> [LeaseEffect] {
        guard let term, term == confirmedTerm else { return [.answer(token, .notLeader)] }
        guard var slot = slots[id] else { return [.answer(token, .notFound)] }
        if slot.isExpiring {
            waiting[id, default: []].append(token)
            return []
        }
        guard !slot.mayBeCheckpointed else {
            waiting[id, default: []].append(token)
            guard !slot.isRenewing else { return [] }
            slots[id]?.isRenewing = true
            return [.propose(.renew(id, generation: slot.lease.generation, term: term))]
        }
        slot.deadline = max(slot.deadline, now.adding(seconds: slot.lease.seconds))
        scheduleCheckpoint(&slot, now)
        slots[id] = slot
        return [.answer(token, .renewed(seconds: slot.lease.seconds))]
    }

    /// How much is left of a lease, for a leader that was confirmed as for a keep-alive.
    package func remaining(
        of id: LeaseID, confirmedIn confirmedTerm: Term, now: MonotonicTime
    ) -> LeaseStanding {
        guard let term, term == confirmedTerm else { return .notLeader }
        guard let slot = slots[id] else { return .notFound }
        return .left(seconds: slot.deadline.seconds(after: now), granted: slot.lease.seconds)
    }

    /// The clock has moved.
    package mutating func advanced(now: MonotonicTime) -> [LeaseEffect] {
        var effects: [LeaseEffect] = []
        var checkpoints: [LeaseCheckpoint] = []
        while let item = queue.first, item.time <= now {
            if term != nil, inFlight >= settings.expiriesMax { break }
            queue.removeFirst()
            guard var slot = slots[item.id], slot.queuedAt == item.time else { continue }
            slot.queuedAt = .distantFuture
            defer { slots[item.id] = slot }
            guard let term else {
                slot.deadline = now.adding(seconds: slot.lease.seconds)
                enqueue(item.id, &slot, at: slot.deadline)
                continue
            }
            if slot.isExpiring || slot.deadline <= now {
                slot.isExpiring = true
                slot.isProposed = true
                inFlight += 1
                // Out of sight until what comes of the proposal is known.
                enqueue(item.id, &slot, at: .distantFuture)
                effects.append(
                    .propose(
                        .expire(item.id, generation: slot.lease.generation, term: term)))
                continue
            }
            if slot.checkpointAt <= now {
                slot.mayBeCheckpointed = true
                checkpoints.append(
                    LeaseCheckpoint(
                        id: item.id, generation: slot.lease.generation,
                        remainingSeconds: slot.deadline.secondsRoundedUp(after: now)))
                scheduleCheckpoint(&slot, now)
            }
            enqueue(item.id, &slot, at: slot.lookAt)
        }
        if let term {
            for start in stride(from: 0, to: checkpoints.count, by: settings.checkpointsMax) {
                let end = min(start + settings.checkpointsMax, checkpoints.count)
                effects.append(.propose(.checkpoint(Array(checkpoints[start..<end]), term: term)))
            }
        }
        return effects
    }

    /// A proposal of this clock was refused, is lost, or nobody knows what came of it: it may still be
    /// applied, so that no promise is made that it would break.
    package mutating func proposalFailed(
        _ command: LeaseCommand, now: MonotonicTime
    ) -> [LeaseEffect] {
        switch command {
        case .expire(let id, let generation, let decidedIn):
            guard decidedIn == term, var slot = slots[id], slot.lease.generation == generation,
                slot.isProposed
            else { return [] }
            slot.isProposed = false
            inFlight -= 1
            enqueue(id, &slot, at: now.adding(settings.retryPause))
            slots[id] = slot
            return []
        case .renew(let id, let generation, let decidedIn):
            guard decidedIn == term, let slot = slots[id], slot.lease.generation == generation
            else { return [] }
            slots[id]?.isRenewing = false
            // Those that wait for its end go on waiting.
            return slot.isExpiring ? [] : answerWaiting(id, .notLeader)
        case .checkpoint, .grant, .revoke:
            // The next checkpoint makes up for a lost one.
            return []
        }
    }
}

package enum LeaseStanding: Hashable, Sendable {
    /// Whole seconds that are left, as etcd rounds: down.
    case left(seconds: Int64, granted: Int64)
    case notFound
    case notLeader
}

extension MonotonicTime {
    func adding(_ duration: Duration) -> MonotonicTime {
        adding(seconds: duration.components.seconds)
            .adding(nanoseconds: UInt64(duration.components.attoseconds / 1_000_000_000))
    }

    /// 0 when it is not after.
    fileprivate func seconds(after now: MonotonicTime) -> Int64 {
        self > now ? Int64((nanoseconds - now.nanoseconds) / 1_000_000_000) : 0
    }

    fileprivate func secondsRoundedUp(after now: MonotonicTime) -> Int64 {
        self > now ? Int64((nanoseconds - now.nanoseconds + 999_999_999) / 1_000_000_000) : 0
    }
}
