import Primitives
import RecordModel

extension LeaseClock {
    /// Stops at the first invariant that does not hold. Looks at every lease: for tests.
    package func checkInvariants(since earlier: LeaseClock? = nil) {
        var proposed = 0
        for id in slots.keys.sorted() {
            guard let slot = slots[id] else { continue }
            let items = queue.items.filter { $0.id == id && $0.time == slot.queuedAt }.count
            precondition(items >= 1, "1: lease \(id) is not queued at \(slot.queuedAt)")
            if slot.isProposed { proposed += 1 }
            precondition(slot.isExpiring || !slot.isProposed, "3: \(id) is proposed alone")
            precondition(
                term != nil || !(slot.isExpiring || slot.isRenewing),
                "3: \(id) is \(slot) without a leadership")
            precondition(
                term == nil || slot.isExpiring || slot.queuedAt <= slot.deadline,
                "5: \(id) ends at \(slot.deadline) and is queued at \(slot.queuedAt)")
        }
        precondition(
            proposed == inFlight && inFlight <= settings.expiriesMax,
            "2: \(inFlight) in flight, \(proposed) proposed of \(settings.expiriesMax)")
        for id in waiting.keys.sorted() {
            let isFatal = slots[id].map { $0.isExpiring || $0.isRenewing } ?? false
            precondition(isFatal, "4: somebody waits for lease \(id)")
        }
        guard let earlier, let term, earlier.term == term else { return }
        for id in earlier.slots.keys.sorted() {
            guard let before = earlier.slots[id], let now = slots[id],
                before.lease.generation == now.lease.generation
            else { continue }
            precondition(now.deadline >= before.deadline, "6: \(id) \(before) \(now)")
            precondition(now.isExpiring || !before.isExpiring, "7: \(id) \(before) \(now)")
        }
    }
}
