import Consensus
import Primitives

extension MultiRaft {
    /// Violations of the invariants of the type and of each of its groups; empty when all hold.
    ///
    /// - Parameter earlier: this value at an earlier moment.
    package func checkInvariants(since earlier: MultiRaft? = nil) -> [String] {
        var broken: [String] = []
        func check(_ holds: Bool, _ number: Int, _ what: @autoclosure () -> String) {
            if !holds { broken.append("node \(node), invariant \(number): \(what())") }
        }
        var sleepers: [NodeID: Int] = [:]
        var pending = 0
        var reads: [UInt64] = []
        check(Set(active).count == active.count, 1, "active \(active)")
        for slot in slots {
            let id = slot.raft.group
            let isActive = slot.activePosition != nil
            check(isActive != slot.raft.isHibernating, 1, "group \(id)")
            check(
                slot.activePosition.map { $0 < active.count && active[$0] == id } ?? true, 1,
                "group \(id) at \(String(describing: slot.activePosition))")
            if !isActive { for peer in slot.peerNodes { sleepers[peer, default: 0] += 1 } }

            let proposals = slot.proposals
            pending += proposals.pending.count
            let held = Set(proposals.held)
            for (sequence, proposal) in proposals.pending.sorted(by: { $0.key < $1.key }) {
                check(
                    held.contains(sequence) == (proposal.sentTerm == nil), 3,
                    "group \(id), proposal \(sequence)")
                check(
                    proposal.sentTerm.map { $0 >= slot.appliedTerm } ?? true, 3,
                    "group \(id), proposal \(sequence) behind term \(slot.appliedTerm)")
            }
            reads += slot.reads.new.map(\.token)
            reads += slot.reads.asked.flatMap { $0.waiters.map(\.token) }
            reads += slot.reads.waitingForApply.flatMap { $0.waiters.map(\.token) }
            check(!slot.hasWaiting || slot.isWaiting, 6, "group \(id)")
            check(slot.isWaiting == waiting.contains(id), 6, "group \(id)")
            if let deadline = slot.wakeDeadline {
                check(deadline > ticks || deadlines.contains(deadline, id), 7, "group \(id)")
                check(deadlines.contains(deadline, id), 7, "group \(id)")
            }
            check(slot.learned.count <= settings.maxLearnedSeats, 8, "group \(id)")
            check(
                !slot.learned.contains { seat in
                    slot.seats.contains { $0.replica == seat.replica }
                }, 8, "group \(id)")
        }
        for peer in peers {
            check(
                peer.sleepers == sleepers[peer.node] ?? 0, 2,
                "node \(peer.node): \(peer.sleepers), not \(sleepers[peer.node] ?? 0)")
        }
        check(pending == pendingProposals, 4, "\(pending) of \(pendingProposals) proposals")
        check(pendingProposals <= settings.maxPendingProposals, 4, "\(pendingProposals)")
        check(outstandingReads.count <= settings.maxWaitingReads, 4, "\(outstandingReads.count)")
        check(
            reads.count == outstandingReads.count && Set(reads) == outstandingReads, 5,
            "\(reads.count) of \(outstandingReads.count) reads")
        guard let earlier else { return broken }
        check(ticks >= earlier.ticks, 9, "tick \(ticks) after \(earlier.ticks)")
        for before in earlier.peers {
            let now = peerIndex(before.node).map { peers[$0].incarnation } ?? 0
            check(now >= before.incarnation, 9, "node \(before.node): \(now)")
        }
        for before in earlier.slots {
            guard let place = places[before.raft.group],
                slots[place].raft.replica == before.raft.replica
            else { continue }
            check(
                slots[place].appliedIndex >= before.appliedIndex, 10,
                "group \(before.raft.group): \(slots[place].appliedIndex)")
        }
        return broken
    }
}
