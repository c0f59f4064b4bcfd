import Consensus
import Primitives

// Which groups are ticked. One that hibernates is not, whatever its role: it is woken by a message,
// by a request, by its deadline, or because a node that it relies on is lost.
extension MultiRaft {
    /// Called after each event of a group: it may have fallen asleep, or woken.
    mutating func settle(_ place: Int, sleeps: Bool) {
        guard sleeps != (slots[place].activePosition == nil) else { return }
        if sleeps {
            deactivate(place)
            countSleeper(place, by: 1)
            tellOfLossBefore(place)
        } else {
            countSleeper(place, by: -1)
            #if PlantedBugs
                if PlantedBug.active == .wokenGroupNotTicked { return }
            #endif
            activate(place)
            counters.wakes += 1
        }
    }

    /// Looks at one field where it is; see `GroupSlot.tell`.
    func isAsleep(at place: Int) -> Bool {
        slots.withUnsafeBufferPointer { $0.baseAddress!.advanced(by: place).pointee.activePosition }
            == nil
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
}
