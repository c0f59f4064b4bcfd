import Consensus
import Primitives

// Which groups are here, and the one place where a group is told something.
extension MultiRaft {
    /// The first event, once: the groups given to `init` begin.
    package mutating func started() {
        for id in groups { step(id) { $0.started() } }
    }

    /// A replica comes to this node, or takes the place of one that was given up.
    ///
    /// - Parameter addresses: of replicas that its configuration does not name.
    package mutating func add(
        _ group: RaftGroup, addresses: [(replica: ReplicaID, node: NodeID)] = []
    ) {
        precondition(places[group.group] == nil, "group \(group.group) is here already")
        insert(group)
        for address in addresses {
            learn(address.replica, at: address.node, place: places[group.group]!)
        }
        step(group.group) { $0.started() }
    }

    /// The replica of this group goes; whoever waits for it is told.
    package mutating func remove(_ group: GroupID) {
        guard let place = places[group] else { return }
        failAll(of: place)
        if slots[place].activePosition == nil {
            countSleeper(place, by: -1)
        } else {
            deactivate(place)
        }
        places[group] = nil
        waiting.removeAll { $0 == group }
        heldHeartbeats.removeAll { $0.message.group == group }
        let last = slots.count - 1
        if place != last {
            slots[place] = slots[last]
            places[slots[place].raft.group] = place
        }
        slots.removeLast()
    }

    mutating func insert(_ group: RaftGroup) {
        let place = slots.count
        precondition(places[group.group] == nil, "two replicas of group \(group.group)")
        places[group.group] = place
        slots.append(GroupSlot(group))
        configurationChanged(place)
        activate(place)
        settle(place, sleeps: slots[place].raft.isHibernating)
    }

    /// Tells a group what happened, and takes its effects.
    mutating func step(
        _ id: GroupID, _ cause: GroupStep.Cause = .other, _ event: (inout RaftGroup) -> Effects
    ) {
        guard let place = places[id] else { preconditionFailure("no group \(id) on this node") }
        step(at: place, cause, event)
    }

    /// Tells a group what happened, and takes its effects.
    mutating func step(
        at place: Int, _ cause: GroupStep.Cause = .other, _ event: (inout RaftGroup) -> Effects
    ) {
        counters.groupEvents += 1
        let before = recordsSteps ? slots[place].raft : nil
        let (effects, sleeps) = slots[place].tell(event)
        if let before {
            steps.append(
                GroupStep(
                    before: before, cause: cause, after: slots[place].raft, effects: effects))
        }
        perform(effects, of: place)
        settle(place, sleeps: sleeps)
    }

    private mutating func perform(_ effects: Effects, of place: Int) {
        let id = slots[place].raft.group
        // Addresses first: what the group says now may go to those that have just come.
        if let change = effects.configurationChange {
            configurationChanged(place)
            turn.effects.configurationChanges.append(InGroup(id, change))
        }
        for message in effects.messages { send(message, of: place) }
        noteRound(of: effects.messages, place: place)
        if let work = effects.append {
            for message in work.messagesAfterDurable { sendWhenDurable(message, of: place) }
            turn.append.append(work, of: id)
        }
        for range in effects.committed { turn.effects.apply.append(InGroup(id, range)) }
        for ready in effects.readsReady { readReady(ready, of: place) }
        for refused in effects.readsRefused { readRefused(refused, of: place) }
        for fetch in effects.fetches { turn.effects.fetches.append(InGroup(id, fetch)) }
        for request in effects.snapshotRequests {
            turn.effects.snapshotRequests.append(InGroup(id, request))
        }
        if let metadata = effects.snapshotFetch {
            slots[place].snapshotFetch = metadata
            let source = slots[place].node(of: metadata.id.source)
            turn.effects.snapshotFetches.append(
                InGroup(id, SnapshotFetch(metadata: metadata, node: source)))
        }
        if let change = effects.roleChange {
            turn.effects.roleChanges.append(InGroup(id, change))
        }
        if let ended = effects.transferEnded {
            turn.effects.transfersEnded.append(InGroup(id, ended))
        }
        for alarm in effects.alarms { turn.effects.alarms.append(InGroup(id, alarm)) }
        if let reason = effects.quarantined {
            turn.effects.quarantined.append(InGroup(id, reason))
        }
        for fault in effects.faults { turn.effects.faults.append(.breach(id, fault)) }
        touch(place)
    }

    mutating func touch(_ place: Int) {
        guard !slots[place].isTouched else { return }
        slots[place].isTouched = true
        turn.effects.touched.append(slots[place].raft.group)
    }
}
