import Consensus
import Primitives

// From replicas to nodes: configurations say who sits where; of replicas outside them, what they
// said tells it.
extension MultiRaft {
    /// Tells where a replica is that no configuration names yet.
    package mutating func setAddress(of replica: ReplicaID, in group: GroupID, to node: NodeID) {
        guard let place = places[group] else { return }
        learn(replica, at: node, place: place)
    }

    mutating func learn(_ replica: ReplicaID, at node: NodeID, place: Int) {
        guard !slots[place].seats.contains(where: { $0.replica == replica }) else { return }
        if let known = slots[place].learned.last(where: { $0.replica == replica }),
            known.node == node
        {
            return
        }
        slots[place].learned.removeAll { $0.replica == replica }
        slots[place].learned.append(GroupSlot.Seat(replica: replica, node: node))
        if slots[place].learned.count > settings.maxLearnedSeats {
            slots[place].learned.removeFirst()
        }
    }

    /// Whether a node may speak for a replica. A seat of the configuration is its node's; of any
    /// other, where it is now becomes known.
    mutating func seatIsOf(_ replica: ReplicaID, _ node: NodeID, place: Int) -> Bool {
        if let seat = slots[place].seats.first(where: { $0.replica == replica }) {
            return seat.node == node
        }
        learn(replica, at: node, place: place)
        return true
    }

    /// Another configuration is in force. Whoever left it may still have to be told so.
    mutating func configurationChanged(_ place: Int) {
        let isAsleep = slots[place].activePosition == nil && !slots[place].seats.isEmpty
        if isAsleep { countSleeper(place, by: -1) }
        let before = slots[place].seats
        let members = slots[place].raft.configuration.members
        let own = slots[place].raft.replica
        slots[place].isWitness = members.contains { $0.replica == own && $0.isWitness }
        slots[place].seats = members.map { GroupSlot.Seat(replica: $0.replica, node: $0.node) }
        slots[place].learned.removeAll { seat in members.contains { $0.replica == seat.replica } }
        for seat in before { learn(seat.replica, at: seat.node, place: place) }
        var nodes: [NodeID] = []
        for member in members where member.node != node && !nodes.contains(member.node) {
            nodes.append(member.node)
        }
        slots[place].peerNodes = nodes.sorted()
        for peer in nodes { _ = peerPosition(peer) }
        if isAsleep { countSleeper(place, by: 1) }
    }

    mutating func send(_ message: RaftMessage, of place: Int) {
        guard let to = destination(of: message, place: place) else { return }
        if case .heartbeat(let heartbeat) = message.kind,
            holds(heartbeat, of: message, to: to, place: place)
        {
            return
        }
        turn.outgoing.append(message, to: to, incarnation)
    }

    mutating func sendWhenDurable(_ message: RaftMessage, of place: Int) {
        guard let to = destination(of: message, place: place) else { return }
        turn.afterDurable.append(message, to: to, incarnation)
    }

    private mutating func destination(of message: RaftMessage, place: Int) -> NodeID? {
        let to = slots[place].node(of: message.to)
        // A replica that was quarantined rejoins on its node: until the change that removes its
        // former seat is through, both are members. Nobody sits there any more.
        if to == node { return nil }
        if to == nil { turn.effects.faults.append(.noAddress(message.group, message.to)) }
        return to
    }
}
