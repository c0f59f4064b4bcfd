import Consensus
import Primitives

// Which groups are ticked. One that hibernates is not, whatever its role: it is woken by a message,
// by a request, by its deadline, or because a node that it relies on is lost.
extension MultiRaft {
    /// Called after each event of a group: it may have fallen asleep, or woken.
    mutating func settle(_ place: Int) {
        let sleeps = slots[place].raft.isHibernating
        guard sleeps != (slots[place].activePosition == nil) else { return }
        if sleeps {
            deactivate(place)
            countSleeper(place, by: 1)
        } else {
            countSleeper(place, by: -1)
            activate(place)
            counters.wakes += 1
        }
    }

    mutating func activate(_ place: Int) {
        slots[place].activePosition = active.count
        active.append(slots[place].raft.group)
    }

    mutating func deactivate(_ place: Int) {
        guard let position = slots[place].activePosition else { return }
        slots[place].activePosition = nil
        let last = active.removeLast()
        if position < active.count {
            active[position] = last
            slots[places[last]!].activePosition = position
        }
    }

    mutating func countSleeper(_ place: Int, by change: Int) {
        for node in slots[place].peerNodes { peers[peerPosition(node)].sleepers += change }
    }

    // MARK: Waking

    mutating func wake(_ place: Int, _ reason: WakeReason) {
        guard slots[place].activePosition == nil else { return }
        step(at: place) { $0.woken(reason) }
    }

    /// A request comes for a group that may sleep.
    mutating func wakeForRequest(_ place: Int) {
        wakeIfLeaderIsLost(place)
        wake(place, .request)
    }

    /// A group of a lost node whose turn to be woken has not come yet: whoever asks for its vote, or
    /// for anything, must not be told that its leader is well.
    mutating func wakeIfLeaderIsLost(_ place: Int) {
        guard slots[place].activePosition == nil, let leader = slots[place].leaderNode,
            leader != node, let at = peerIndex(leader),
            !peers[at].isHeard || slots[place].leaderHasRestarted
        else { return }
        slots[place].leaderHasRestarted = false
        wake(place, .nodeLost(leader))
    }

    /// Spread over some ticks, in an order of this node's own, so that the nodes that share these
    /// groups seldom begin with the same.
    mutating func scheduleWakes(_ groups: [GroupID], because node: NodeID, restarted: Bool) {
        guard !groups.isEmpty else { return }
        if restarted {
            for id in groups { slots[places[id]!].leaderHasRestarted = true }
        }
        var order = groups
        order.shuffle(using: &generator)
        for (position, id) in order.enumerated() {
            let wait = UInt64(position) * settings.wakeSpreadTicks / UInt64(order.count)
            wakes.append(
                WakeQueue.Wake(
                    tick: ticks + settings.wakeDelayTicks + wait, group: id, lost: node))
        }
    }

    mutating func wakeDue() {
        while let due = wakes.popFirst(at: ticks) {
            guard let place = places[due.group], slots[place].activePosition == nil,
                let at = peerIndex(due.lost)
            else { continue }
            let relies =
                slots[place].leaderNode == due.lost
                || slots[place].raft.role == .leader && slots[place].peerNodes.contains(due.lost)
            // The node may be back: a leader that has merely paused still leads.
            guard relies, !peers[at].isHeard || slots[place].leaderHasRestarted else { continue }
            slots[place].leaderHasRestarted = false
            wake(place, .nodeLost(due.lost))
        }
    }

    // MARK: Deadlines

    /// Wakes the group at this tick (of `ticks`), on every voter, whoever leads: what a client was
    /// promised runs out then. Nil: at none. `NodeEffects.deadlinesReached` says when it is here.
    package mutating func setWakeDeadline(_ group: GroupID, atTick tick: UInt64?) {
        guard let place = places[group], slots[place].wakeDeadline != tick else { return }
        slots[place].wakeDeadline = tick
        if let tick { deadlines.insert(tick, group) }
        // Deadlines that were moved leave their former places behind.
        if deadlines.count > 2 * slots.count + 64 { compactDeadlines() }
    }

    private mutating func compactDeadlines() {
        deadlines = DeadlineQueue()
        for slot in slots {
            if let tick = slot.wakeDeadline { deadlines.insert(tick, slot.raft.group) }
        }
    }

    mutating func reachDeadlines() {
        while let (tick, group) = deadlines.popFirst(at: ticks) {
            guard let place = places[group], slots[place].wakeDeadline == tick else { continue }
            slots[place].wakeDeadline = nil
            wakeIfLeaderIsLost(place)
            wake(place, .deadline)
            turn.effects.deadlinesReached.append(group)
        }
    }
}
