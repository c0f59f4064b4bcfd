import Consensus
import Primitives

// Life and death of other nodes. A group that sleeps sends no heartbeats: one sign of life between
// two nodes stands for those of all groups that sleep on them. Whatever comes from a node is one; as
// long as a group with that node sleeps on either side, a `NodeHeartbeat` goes each interval.
extension MultiRaft {
    func peerIndex(_ node: NodeID) -> Int? { peers.firstIndex { $0.node == node } }

    /// Where a node's record is, or is made.
    mutating func peerPosition(_ node: NodeID) -> Int {
        let at = peers.firstIndex { $0.node >= node } ?? peers.count
        if at == peers.count || peers[at].node != node {
            peers.insert(PeerNode(node, now: ticks), at: at)
        }
        return at
    }

    /// - Returns: false for what a node said before it started anew: that is no sign of its life.
    mutating func heard(from node: NodeID, _ batch: NodeMessages) -> Bool {
        let at = peerPosition(node)
        guard batch.incarnation >= peers[at].incarnation else { return false }
        let hasRestarted = batch.incarnation > peers[at].incarnation && peers[at].incarnation > 0
        if batch.incarnation > peers[at].incarnation { peers[at].forwardsSeen = SeenForwards() }
        peers[at].incarnation = batch.incarnation
        peers[at].lastHeard = ticks
        if batch.alive?.wantsAnswer == true { peers[at].lastWanted = ticks }
        if !peers[at].isHeard {
            peers[at].isHeard = true
            if peers[at].isReportedLost { turn.effects.nodeChanges.append(.heard(node)) }
            peers[at].isReportedLost = false
            scheduleWakes(becauseHeard: node)
        }
        if hasRestarted {
            let groups = scheduleWakes(because: node, hasRestarted: true)
            turn.effects.nodeChanges.append(
                .restarted(node, incarnation: batch.incarnation, groupsToWake: groups))
        }
        return true
    }

    mutating func peersTicked() {
        for at in peers.indices
        where peers[at].isHeard
            && ticks - peers[at].lastHeard > UInt64(settings.electionTimeoutTicks)
        {
            let node = peers[at].node
            peers[at].isHeard = false
            let groups = scheduleWakes(because: node, hasRestarted: false)
            if groups > 0 || peers[at].sleepers > 0 {
                peers[at].isReportedLost = true
                turn.effects.nodeChanges.append(.lost(node, groupsToWake: groups))
            }
        }
    }

    /// Once per heartbeat interval.
    mutating func sendSignsOfLife() {
        for peer in peers {
            let isWanted = peer.lastWanted.map {
                ticks - $0 <= UInt64(settings.electionTimeoutTicks)
            }
            guard peer.sleepers > 0 || isWanted == true else { continue }
            turn.outgoing.append(
                NodeHeartbeat(wantsAnswer: peer.sleepers > 0), to: peer.node, incarnation)
        }
    }
}
