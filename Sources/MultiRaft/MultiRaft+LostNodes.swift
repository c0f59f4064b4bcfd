import Consensus
import Primitives

// A node is lost: groups that it led need another leader, and groups led from here may have lost
// their quorum. They are told one after the other, since 10,000 campaigns in one tick would hold up
// all else, and all of them within an election timeout.
//
// For each group the survivors agree, without a word, on who is told first and so campaigns first:
// the member of the highest priority, then one that the group's number picks. The others are told
// later, or when the first asks for their vote: so votes are not split, and the load is shared.
extension MultiRaft {
    /// - Parameter hasRestarted: the node lives, and leads none of what it led.
    /// - Returns: how many groups are to be told.
    mutating func scheduleWakes(because lost: NodeID, hasRestarted: Bool) -> Int {
        let timeout = UInt64(settings.electionTimeoutTicks)
        // The others need up to a heartbeat interval to find out too, and would refuse until then.
        let first = ticks + UInt64(settings.heartbeatTicks)
        var wakes: [WakeQueue.Wake] = []
        for place in slots.indices {
            let tick: UInt64
            if slots[place].raft.role == .leader {
                guard !hasRestarted, slots[place].activePosition == nil,
                    slots[place].peerNodes.contains(lost)
                else { continue }
                tick = first + generator.next() % max(1, timeout / 2)
            } else {
                guard slots[place].leaderNode == lost else { continue }
                if hasRestarted { slots[place].termLostByRestart = slots[place].raft.term }
                tick =
                    campaignsFirst(place, without: lost)
                    ? first + generator.next() % max(1, timeout * 2 / 5) : first + timeout * 7 / 10
            }
            wakes.append(
                WakeQueue.Wake(
                    tick: tick, group: slots[place].raft.group, reason: .nodeLost(lost)))
        }
        wakes.sort { ($0.tick, $0.group) < ($1.tick, $1.group) }
        self.wakes.append(wakes)
        return wakes.count
    }

    private func campaignsFirst(_ place: Int, without lost: NodeID) -> Bool {
        let raft = slots[place].raft
        let configuration = raft.configuration
        let group = UInt64(raft.group.rawValue)
        let first = configuration.members.filter { member in
            guard configuration.voters.incoming.contains(member.replica), !member.isWitness,
                member.node != lost
            else { return false }
            return member.node == node || peerIndex(member.node).map { peers[$0].isHeard } == true
        }.max { a, b in
            func rank(_ member: Member) -> (UInt8, UInt64, ReplicaID) {
                var mixer = SeededGenerator(seed: group << 32 ^ member.replica.rawValue)
                return (member.priority, mixer.next(), member.replica)
            }
            return rank(a) < rank(b)
        }
        return first?.replica == raft.replica
    }

    mutating func wakeDue() {
        while let due = wakes.popFirst(at: ticks) {
            guard let place = places[due.group], stillHolds(due.reason, place) else { continue }
            step(at: place) { $0.woken(due.reason) }
        }
    }

    private func stillHolds(_ reason: WakeReason, _ place: Int) -> Bool {
        switch reason {
        case .nodeLost(let lost):
            // The node may be back: a leader that has merely paused still leads.
            slots[place].raft.role == .leader
                ? slots[place].peerNodes.contains(lost) && isLost(lost)
                : slots[place].leaderNode == lost && leaderIsLost(place)
        case .nodeHeard(let node): !isLost(node) && slots[place].raft.sleepsBeside(node)
        case .request, .deadline: true
        }
    }

    /// A node is back. Groups led from here that went to sleep without it, or do so in the tick
    /// under way, are told from the next tick on, within an election timeout: all at once would hold
    /// up whatever the node wants first.
    mutating func scheduleWakes(becauseHeard node: NodeID) {
        #if PlantedBugs
            if PlantedBug.active == .returnOfANodeUntold { return }
        #endif
        var wakes: [WakeQueue.Wake] = []
        for place in slots.indices
        where slots[place].raft.role == .leader && slots[place].peerNodes.contains(node) {
            wakes.append(
                WakeQueue.Wake(
                    tick: ticks + 1 + generator.next() % UInt64(settings.electionTimeoutTicks),
                    group: slots[place].raft.group, reason: .nodeHeard(node)))
        }
        wakes.sort { ($0.tick, $0.group) < ($1.tick, $1.group) }
        self.wakes.append(wakes)
    }

    /// Nodes from which nothing has been heard for an election timeout.
    var lostNodes: [NodeID] {
        peers.filter {
            !$0.isHeard && ticks - $0.lastHeard > UInt64(settings.electionTimeoutTicks)
        }.map(\.node)
    }

    private func isLost(_ node: NodeID) -> Bool {
        peerIndex(node).map { !peers[$0].isHeard } ?? false
    }

    /// Whether what the group takes for its leader cannot be that any more.
    private func leaderIsLost(_ place: Int) -> Bool {
        guard let leader = slots[place].leaderNode, leader != node else { return false }
        return isLost(leader) || slots[place].termLostByRestart == slots[place].raft.term
    }

    /// A group whose turn to be told has not come: whoever asks for its vote, or for anything, must
    /// not hear that its leader is well.
    mutating func wakeIfLeaderIsLost(_ place: Int) {
        guard slots[place].activePosition == nil, leaderIsLost(place),
            let leader = slots[place].leaderNode
        else { return }
        step(at: place) { $0.woken(.nodeLost(leader)) }
    }

    /// A late word of a lost leader has put the group to sleep.
    mutating func tellOfLossBefore(_ place: Int) {
        guard leaderIsLost(place), let leader = slots[place].leaderNode else { return }
        let wake = WakeQueue.Wake(
            tick: ticks + 1, group: slots[place].raft.group, reason: .nodeLost(leader))
        wakes.append([wake])
    }
}
