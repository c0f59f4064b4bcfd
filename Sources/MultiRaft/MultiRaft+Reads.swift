import Consensus
import Primitives

/// Linearizable reads: all that come in one turn share one read index (thesis §6.4), wait until the
/// state machine has applied it, and are ready together. A read that loses its leader on the way
/// asks again until its deadline, since it changes nothing.
extension MultiRaft {
    /// - Parameter token: names the read in `NodeEffects.readsReady` or `readsFailed`; unique.
    package mutating func read(_ token: UInt64, of group: GroupID, deadline: MonotonicTime) {
        guard let place = places[group], !slots[place].isWitness else {
            return fail(token, of: group, with: .notServing)
        }
        guard outstandingReads.count < settings.maxWaitingReads else {
            return fail(token, of: group, with: .overloaded)
        }
        let isNew = outstandingReads.insert(token).inserted
        precondition(isNew, "two reads \(token)")
        slots[place].reads.new.append(GroupReads.Waiter(token: token, deadline: deadline))
        readDeadlines.append(
            RequestDeadlines.Request(id: token, group: group, deadline: deadline))
        wait(place)
    }

    mutating func flushReads(_ place: Int, now: MonotonicTime) {
        // Without a leader nobody could answer; the next turn tries again.
        guard !slots[place].reads.new.isEmpty, slots[place].raft.leader != nil else { return }
        let token = nextReadBatch
        nextReadBatch += 1
        slots[place].reads.asked.append((token: token, waiters: slots[place].reads.new))
        slots[place].reads.new = []
        step(at: place) { $0.readRequested(token, now: now) }
    }

    mutating func readReady(_ ready: ReadReady, of place: Int) {
        let waiters = takeAsked(ready.token, place: place)
        #if PlantedBugs
            let isApplied =
                slots[place].appliedIndex >= ready.index
                || PlantedBug.active == .readsBeforeTheyAreApplied
        #else
            let isApplied = slots[place].appliedIndex >= ready.index
        #endif
        if isApplied {
            serve(waiters, place: place)
        } else if !waiters.isEmpty {
            slots[place].reads.waitingForApply.append((index: ready.index, waiters: waiters))
        }
    }

    mutating func readRefused(_ refused: ReadRefused, of place: Int) {
        let waiters = takeAsked(refused.token, place: place)
        switch refused.reason {
        case .timedOut, .leadershipLost:
            slots[place].reads.new.append(contentsOf: waiters)
            wait(place)
        case .tooManyReads:
            for waiter in waiters { finish(waiter.token, at: place, with: .overloaded) }
        }
    }

    private mutating func takeAsked(_ token: UInt64, place: Int) -> [GroupReads.Waiter] {
        guard let at = slots[place].reads.asked.firstIndex(where: { $0.token == token }) else {
            preconditionFailure("read token \(token) answered twice")
        }
        return slots[place].reads.asked.remove(at: at).waiters
    }

    mutating func readsApplied(_ place: Int) {
        guard !slots[place].reads.waitingForApply.isEmpty else { return }
        let applied = slots[place].appliedIndex
        let ready = slots[place].reads.waitingForApply.filter { $0.index <= applied }
        guard !ready.isEmpty else { return }
        slots[place].reads.waitingForApply.removeAll { $0.index <= applied }
        serve(ready.flatMap(\.waiters), place: place)
    }

    private mutating func serve(_ waiters: [GroupReads.Waiter], place: Int) {
        guard !waiters.isEmpty else { return }
        for waiter in waiters { outstandingReads.remove(waiter.token) }
        turn.effects.readsReady.append(
            InGroup(slots[place].raft.group, waiters.map(\.token)))
    }

    mutating func expireReads(_ now: MonotonicTime) {
        while let request = readDeadlines.first {
            if outstandingReads.contains(request.id) {
                guard request.deadline <= now else { break }
                if let place = places[request.group] {
                    for token in slots[place].reads.takeExpired(at: now) {
                        finish(token, at: place, with: .readTimedOut)
                    }
                }
            }
            readDeadlines.removeFirst()
        }
    }

    mutating func failReads(_ place: Int, with failure: RequestFailure) {
        for token in slots[place].reads.takeAll() { finish(token, at: place, with: failure) }
    }

    private mutating func finish(_ token: UInt64, at place: Int, with failure: RequestFailure) {
        outstandingReads.remove(token)
        fail(token, of: slots[place].raft.group, with: failure)
    }

    private mutating func fail(_ token: UInt64, of group: GroupID, with failure: RequestFailure) {
        turn.effects.readsFailed.append(FailedRequest(id: token, group: group, failure: failure))
    }
}
