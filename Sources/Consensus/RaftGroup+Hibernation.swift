import Primitives

/// Why a sleeping group must look around.
package enum WakeReason: Hashable, Sendable {
    /// Somebody wants to read, to write or to change something. What follows wakes it anyway; a
    /// follower that is woken so tells its leader.
    case request
    /// A node has not been heard for an election timeout.
    case nodeLost(NodeID)
    /// A node that was lost has been heard again: what its members missed is theirs now.
    case nodeHeard(NodeID)
    /// The deadline that the shell had set is here: a lease of a client may have run out.
    case deadline
}

// Sleep: nobody ticks a group that has nothing to do, and no heartbeat is sent for it.
//
// A leader that has been idle for `hibernationTicks` says so with its heartbeats, and goes on with
// them until every member that shows life has answered that it sleeps; then it sleeps, too. So a
// message that is lost on the way costs another heartbeat. A member that stays awake beside a
// sleeping leader asks for pre-votes in the end, which wakes the leader, whose heartbeats it
// follows again: no election comes of it. A follower that somebody else wakes tells its leader, who
// may be out of that one's sight.
//
// What a heartbeat proves for each group is proved for all sleeping groups of a node at once, by
// the shell (`MultiRaft`), which owes each group this:
//
// 1. While a group sleeps here, this node and the nodes of its members let each other know at least
//    every `heartbeatTicks` that they live.
// 2. When nothing at all has been heard from a node for `electionTimeoutTicks`, and not before, all
//    groups with a member there are told `nodeLost`; a group that falls asleep while the node is
//    lost is told then. A late heartbeat of a dead leader would put it to sleep for good otherwise.
// 3. Messages wait for no tick: a group asleep is handed what comes for it.
// 4. A leader whose group fell asleep beside a lost node (`sleepsBeside`) is told `nodeHeard` once
//    that node is heard again. Without such sleep every group with a member on a dead node would
//    stay awake until somebody replaces it.
//
// A node that restarts before it is missed needs no word: its replicas come back awake, and what
// they say (registration, pre-vote) wakes the others. Both are told from whether their leader sits
// on that node: a leader that asks for votes leads no more.
extension RaftGroup {
    /// Whether the shell need not call `ticked` until something happens.
    package var isHibernating: Bool { isAsleep }

    /// Where the leader sits, as far as known: the node whose loss `woken(.nodeLost)` tells.
    package var leaderNode: NodeID? { leader.flatMap { configuration.member($0)?.node } }

    package mutating func woken(_ reason: WakeReason) -> Effects {
        switch reason {
        case .request, .deadline:
            let tellsLeader = isAsleep && leadership == nil
            wake()
            if tellsLeader { tellLeaderToWake() }
        case .nodeLost(let node):
            if leadership != nil {
                if configuration.members.contains(where: { $0.node == node }) { wake() }
            } else if let leaderNode, leaderNode == node {
                loseLeader()
            }
        case .nodeHeard(let node):
            if sleepsBeside(node) { wake() }
        }
        return finishEvent()
    }

    /// A leader asleep whose member on this node lacks entries.
    package func sleepsBeside(_ node: NodeID) -> Bool {
        guard isAsleep, let led = leadership else { return false }
        return led.progress.contains { progress in
            !hasEverything(progress) && configuration.member(progress.replica)?.node == node
        }
    }

    /// Waking confirms leadership before anything else: a leader holds no lease, reads wait for a
    /// round, and its check of the quorum begins anew. Everybody else is told by its heartbeats. A
    /// follower believes its leader alive for one more election wait.
    mutating func wake() {
        guard isAsleep else { return }
        isAsleep = false
        guard leadership != nil else {
            restartElectionWait()
            return
        }
        leadership!.idleTicks = 0
        leadership!.quorumElapsed = 0
        leadership!.lease.clear()
        for i in leadership!.progress.indices {
            leadership!.progress[i].isActive = false
            leadership!.progress[i].isAsleep = false
        }
        sendHeartbeats()
    }

    /// What a sleeper may hear without waking: the repeated lullaby, and the late answer to it.
    mutating func wake(by message: RaftMessage) {
        guard isAsleep else { return }
        if message.term == term {
            switch message.kind {
            case .heartbeat(let heartbeat)
            where heartbeat.hibernates && message.from == leader:
                return
            case .heartbeatResponse(_, hibernates: true) where leadership != nil: return
            default: break
            }
        }
        let tellsLeader = leadership == nil && message.from != leader
        wake()
        if tellsLeader { tellLeaderToWake() }
    }

    /// Beside a leader that sleeps a follower would soon hear none, and elect whoever has lost sight
    /// of it.
    private mutating func tellLeaderToWake() {
        if let leader { sendNow(.heartbeatResponse(round: 0), to: leader) }
    }

    /// The leader's node is lost. That took an election timeout, so this voter is bound by nothing,
    /// and campaigns soon, the preferred first. The shell tells the members one after the other, so
    /// that votes are not split; what it cannot order, because nodes see each other differently, is
    /// left to chance within a quarter of a timeout, so that a leader is there within two of them.
    private mutating func loseLeader() {
        isAsleep = false
        leader = nil
        promisedUntil = 0
        guard candidacy == nil else { return }
        let timeout = settings.electionTimeoutTicks
        electionElapsed = 0
        electionWait = 1 + drawWait(within: max(1, timeout / 4), slots: max(1, timeout / 2))
    }

    // MARK: Falling asleep

    /// Nothing is under way here that ticks or messages would have to finish.
    var isAtRest: Bool {
        standing == .trusted && candidacy == nil && transfer == nil && work.writesNothing
            && log.appendsInFlight.isEmpty && log.commitIndex == log.lastIndex
            && log.durableIndex == log.lastIndex && log.handedIndex == log.lastIndex
            && log.lastTerm == term && forwarded.count == 0
            && log.damage.isEmpty && !log.needsSnapshot
            && snapshots.search == nil && snapshots.making == nil
            && configurationIndex <= log.commitIndex && !configuration.voters.isJoint
    }

    /// Everyone has everything, and nobody waits for anything.
    var groupIsAtRest: Bool {
        guard let led = leadership, isAtRest, log.appliedIndex == log.lastIndex, led.readCount == 0
        else { return false }
        return led.progress.allSatisfy { progress in
            peerMemory.isQuarantined(progress.replica) || hasEverything(progress)
                || progress.fetch == nil && isOnLostNode(progress)
        }
    }

    private func hasEverything(_ progress: Progress) -> Bool {
        progress.flow == .replicate && progress.matchIndex == log.lastIndex && progress.fetch == nil
    }

    private func isOnLostNode(_ progress: Progress) -> Bool {
        guard let led = leadership, !led.lostNodes.isEmpty, !isLive(progress),
            let member = configuration.member(progress.replica)
        else { return false }
        return led.lostNodes.contains(member.node)
    }

    mutating func idleTicked() {
        guard settings.hibernationTicks != nil else { return }
        if groupIsAtRest && log.lastIndex == leadership!.lastIndexAtTick {
            leadership!.idleTicks += 1
        } else {
            leadership!.idleTicks = 0
        }
        leadership!.lastIndexAtTick = log.lastIndex
        sleepIfAllDo()
    }

    /// Whether the leader wants its group to sleep.
    var isIdle: Bool {
        guard let led = leadership, let limit = settings.hibernationTicks else { return false }
        return led.idleTicks >= limit && groupIsAtRest
    }

    /// - Parameter commitIndex: the leader's, who would put this follower to sleep.
    mutating func sleepsWith(commitIndex: LogIndex) -> Bool {
        isAsleep = leadership == nil && isAtRest && log.commitIndex == commitIndex
        return isAsleep
    }

    mutating func sleepIfAllDo() {
        guard isIdle, let led = leadership else { return }
        let isComplete = led.progress.allSatisfy { progress in
            progress.isAsleep || !isLive(progress) || peerMemory.isQuarantined(progress.replica)
        }
        let quorum = configuration.voters.outcome { voter in
            voter == replica || led.progress.contains { $0.replica == voter && $0.isAsleep }
        }
        guard isComplete, quorum == .won else { return }
        isAsleep = true
        leadership!.lease.clear()
    }
}
