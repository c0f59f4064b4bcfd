import Consensus
import Primitives

// What a client was promised for a time, runs out at a time: the group must then be awake, on each
// voter, whoever leads.
extension MultiRaft {
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
