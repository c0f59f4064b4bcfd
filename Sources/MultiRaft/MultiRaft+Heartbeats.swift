import Consensus
import Primitives

// Heartbeats of all groups between two nodes leave together, once per heartbeat interval, and are
// answered in one turn, and so together. Until the interval's end a heartbeat waits: a message may
// be delayed, and a leader's lease is counted from before it.
extension MultiRaft {
    /// Whether the heartbeat waits for the others. One that carries a read round for the first time
    /// does not: reads wait for its answer.
    mutating func holds(
        _ heartbeat: Heartbeat, of message: RaftMessage, to: NodeID, place: Int
    ) -> Bool {
        let sent = slots[place].sentRound
        let roundSent = sent.term == message.term ? sent.round : 0
        guard isTicking, heartbeat.round <= roundSent else { return false }
        heldHeartbeats.append((to: to, message: message))
        return true
    }

    /// Called once all messages of an event are on their way: all heartbeats of one event have the
    /// same round.
    mutating func noteRound(of messages: [RaftMessage], place: Int) {
        for message in messages {
            guard case .heartbeat(let heartbeat) = message.kind else { continue }
            slots[place].sentRound = (message.term, heartbeat.round)
        }
    }

    mutating func releaseHeartbeats() {
        for held in heldHeartbeats {
            turn.outgoing.append(held.message, to: held.to, incarnation)
        }
        heldHeartbeats.removeAll(keepingCapacity: true)
    }
}
