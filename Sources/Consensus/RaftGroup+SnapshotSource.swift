import Primitives

// The side that has what a snapshot is made of, and the leader, who knows who that is.
extension RaftGroup {
    /// The shell has made what `Effects.snapshotRequests` asked for.
    ///
    /// - Parameter index: what the state machine had applied; nil when it could not be made.
    package mutating func snapshotMade(_ id: SnapshotID, at index: LogIndex?) -> Effects {
        if let making = snapshots.making, making.id == id {
            snapshots.making = nil
            if let index { offer(making, at: index) }
        }
        return finishEvent()
    }

    private mutating func offer(_ making: SnapshotInMaking, at index: LogIndex) {
        precondition(index <= handedIndex, "a snapshot at \(index), handed out \(handedIndex)")
        // A snapshot from elsewhere may have taken the log's place meanwhile.
        guard let metadata = metadata(of: making.id, at: index) else { return }
        snapshots.made = (metadata, ticks)
        for requester in making.requesters where requester.minIndex <= index {
            sendNow(.snapshotOffer(metadata), to: requester.replica)
        }
    }

    private func metadata(of id: SnapshotID, at index: LogIndex) -> SnapshotMetadata? {
        guard index > .zero, let term = log.term(at: index), knowsConfiguration(at: index) else {
            return nil
        }
        #if PlantedBugs
            let inForce =
                PlantedBug.active == .snapshotForgetsConfiguration
                ? configurations[0] : configurationEntry(at: index)
        #else
            let inForce = configurationEntry(at: index)
        #endif
        return SnapshotMetadata(
            id: id, index: index, term: term, timestamp: log.timestamp(through: index),
            configuration: inForce)
    }

    /// A source that cannot help says nothing: whoever asks goes on to the next in an election
    /// timeout.
    mutating func receivedSnapshotWanted(atLeast minIndex: LogIndex, from peer: ReplicaID) {
        guard isSnapshotSource, minIndex <= log.appliedIndex, log.appliedIndex > .zero else {
            return
        }
        if configuration.member(peer)?.isWitness ?? false {
            if let metadata = metadata(of: nextSnapshotID(), at: log.appliedIndex) {
                sendNow(.snapshotOffer(metadata), to: peer)
            }
        } else if var making = snapshots.making {
            let isNew = !making.requesters.contains { $0.replica == peer }
            guard isNew, making.requesters.count < SnapshotInMaking.requestersMax else { return }
            making.requesters.append((peer, minIndex))
            snapshots.making = making
        } else if let made = snapshots.made, made.metadata.index >= minIndex,
            ticks - made.at < UInt64(settings.electionTimeoutTicks)
        {
            // The offer was lost, or comes to another as well.
            sendNow(.snapshotOffer(made.metadata), to: peer)
        } else {
            let id = nextSnapshotID()
            snapshots.making = SnapshotInMaking(
                id: id, floor: log.appliedIndex, requesters: [(peer, minIndex)])
            effects.snapshotRequests.append(SnapshotRequest(id: id, replica: peer))
        }
    }

    /// Whoever has not read an entry may not know the configuration.
    private var isSnapshotSource: Bool {
        !isWitness && !log.needsSnapshot && knowsConfiguration(at: log.appliedIndex)
    }

    private mutating func nextSnapshotID() -> SnapshotID {
        defer { snapshots.nextSequence += 1 }
        return SnapshotID(
            source: replica, incarnation: incarnation, sequence: snapshots.nextSequence)
    }

    // MARK: The leader

    /// What the follower needs next has gone from the leader's log.
    mutating func becomeSnapshot(position i: Int) {
        leadership!.progress[i].becomeSnapshot(minIndex: log.terms.baseIndex, toldAt: ticks)
        tellSnapshotNeeded(position: i)
    }

    /// The follower shows life and has not got there: it is told again, once in a heartbeat.
    mutating func remindOfSnapshot(position i: Int) {
        guard case .snapshot(_, let toldAt) = leadership!.progress[i].flow,
            ticks - toldAt >= UInt64(settings.heartbeatTicks)
        else { return }
        becomeSnapshot(position: i)
    }

    private mutating func tellSnapshotNeeded(position i: Int) {
        let peer = leadership!.progress[i].replica
        let minIndex = log.terms.baseIndex
        sendNow(
            .snapshotNeeded(
                minIndex: minIndex, sources: snapshotSources(for: peer, atLeast: minIndex)),
            to: peer)
    }

    /// Full members that are in step, those of the follower's zone first, to spare the leader and
    /// the lines between zones.
    private func snapshotSources(
        for peer: ReplicaID, atLeast minIndex: LogIndex
    ) -> [ReplicaID] {
        let zone = configuration.member(peer)?.zone ?? .unknown
        func rank(_ source: ReplicaID) -> Int? {
            guard let member = configuration.member(source), !member.isWitness else { return nil }
            let isNear = zone != .unknown && member.zone == zone
            return (isNear ? 0 : 2) + (source == replica ? 1 : 0)
        }
        var ranked: [(rank: Int, replica: ReplicaID)] = []
        for progress in leadership!.progress
        where progress.replica != peer && progress.flow == .replicate && isLive(progress)
            && progress.matchIndex >= minIndex
        {
            if let rank = rank(progress.replica) { ranked.append((rank, progress.replica)) }
        }
        ranked.sort { ($0.rank, $0.replica) < ($1.rank, $1.replica) }
        ranked = Array(ranked.prefix(SnapshotSearch.sourcesMax - 1))
        if isSnapshotSource { ranked.append((rank(replica) ?? 3, replica)) }
        ranked.sort { ($0.rank, $0.replica) < ($1.rank, $1.replica) }
        return ranked.map(\.replica)
    }
}
