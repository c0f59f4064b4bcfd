import Primitives

// Snapshots are pulled: whoever needs one asks a replica that has the state, makes it its own, and
// then goes on with the log. The leader only says that one is needed. This is the side that needs
// one: a follower that its leader's log no longer reaches, a replica whose state is lost or older
// than its log, or one whose damaged entries nobody has any more. Meanwhile it votes and
// acknowledges like any other: of what it has in its log it has forgotten nothing.
extension RaftGroup {
    /// The snapshot of `Effects.snapshotFetch` is installed durably, or could not be had.
    package mutating func snapshotEnded(
        _ id: SnapshotID, _ outcome: SnapshotInstallOutcome
    ) -> Effects {
        // Anything but the one under way has been answered before.
        if case .fetching(let metadata)? = snapshots.search?.stage, metadata.id == id {
            switch outcome {
            case .installed: install(metadata)
            case .failed:
                log.handoutCeiling = nil
                snapshots.search!.stage = .asking(ticks: 0)
                // Where all have failed, an election timeout passes before the next round.
                if snapshots.search!.position + 1 < snapshots.search!.sources.count {
                    askNextSource()
                }
            }
        }
        return finishEvent()
    }

    mutating func receivedSnapshotNeeded(
        atLeast minIndex: LogIndex, sources: [ReplicaID], from leader: ReplicaID,
        term leaderTerm: Term
    ) {
        guard minIndex.rawValue < UInt64.max / 2 else {
            effects.faults.append(.malformedSnapshot(from: leader, index: minIndex))
            return
        }
        if minIndex <= log.commitIndex && !log.needsSnapshot {
            dropSettledDamage()
            let reach = acknowledgeable(through: log.commitIndex)
            if reach >= minIndex {
                // The leader's guess was too low, or is old.
                if leaderTerm == term && leader == self.leader {
                    sendWhenDurable(.appendResponse(.accepted(matchIndex: reach)), to: leader)
                }
                return
            }
        }
        searchSnapshot(atLeast: minIndex, sources: sources)
    }

    /// - Parameter sources: without any, all that could have the state.
    mutating func searchSnapshot(atLeast minIndex: LogIndex, sources: [ReplicaID] = []) {
        var sources = Array(
            sources.filter { $0 != replica }.prefix(SnapshotSearch.sourcesMax))
        if sources.isEmpty { sources = otherFullMembers }
        guard !sources.isEmpty else { return }
        guard let search = snapshots.search else {
            snapshots.search = SnapshotSearch(minIndex: minIndex, sources: sources)
            askForSnapshot()
            return
        }
        snapshots.search!.minIndex = max(search.minIndex, minIndex)
        guard search.sources != sources else { return }
        // The one in turn has its time; only if it is named no more the first of the new ones is
        // asked.
        let inTurn = search.sources[search.position]
        snapshots.search!.sources = sources
        snapshots.search!.position = sources.firstIndex(of: inTurn) ?? 0
        if !sources.contains(inTurn) && search.taken == nil { askForSnapshot() }
    }

    mutating func snapshotsTicked() {
        if snapshots.search == nil, log.needsSnapshot {
            searchSnapshot(atLeast: log.terms.baseIndex)
        }
        stateMissingTicked()
        guard let search = snapshots.search, case .asking(let ticks) = search.stage else { return }
        guard isUseful(search.minIndex) else {
            snapshots.search = nil
            return
        }
        snapshots.search!.stage = .asking(ticks: ticks + 1)
        if ticks + 1 >= settings.electionTimeoutTicks { askNextSource() }
    }

    /// An operator hears of a state that nobody has offered although each could have been asked.
    private mutating func stateMissingTicked() {
        guard log.needsSnapshot else {
            snapshots.ticksWithoutState = 0
            if snapshots.isAlarmed { effects.alarms.append(.lowered(.stateMissing)) }
            snapshots.isAlarmed = false
            return
        }
        if let search = snapshots.search, search.taken != nil {
            snapshots.ticksWithoutState = 0
            return
        }
        snapshots.ticksWithoutState += 1
        let sources = snapshots.search?.sources.count ?? 0
        let limit = (sources + 1) * settings.electionTimeoutTicks
        guard !snapshots.isAlarmed, snapshots.ticksWithoutState >= limit else { return }
        snapshots.isAlarmed = true
        effects.alarms.append(.raised(.stateMissing))
    }

    /// Work up to this ticket is durable.
    mutating func snapshotsAppended(_ ticket: AppendTicket) {
        if case .accepted(let metadata, let awaited)? = snapshots.search?.stage, awaited <= ticket {
            fetch(metadata)
        }
    }

    mutating func receivedSnapshotOffer(
        _ metadata: SnapshotMetadata, from peer: ReplicaID, term sourceTerm: Term
    ) {
        guard isWellFormed(metadata, from: peer, term: sourceTerm) else {
            effects.faults.append(.malformedSnapshot(from: peer, index: metadata.index))
            return
        }
        // One that nobody looks for any more, that is older than what is there, or that came while
        // another is taken.
        guard let search = snapshots.search, search.taken == nil,
            metadata.index >= search.minIndex, isUseful(metadata.index)
        else { return }
        if sourceTerm > term { becomeFollower(term: sourceTerm, leader: nil) }
        if isWitness {
            // It needs the place alone.
            install(metadata)
            return
        }
        log.handoutCeiling = metadata.index
        #if PlantedBugs
            if PlantedBug.active == .handsOutBehindASnapshot { log.handoutCeiling = nil }
        #endif
        if !work.writesNothing {
            snapshots.search!.stage = .accepted(metadata, after: nextTicket)
        } else if let last = log.appendsInFlight.last {
            snapshots.search!.stage = .accepted(metadata, after: last.ticket)
        } else {
            fetch(metadata)
        }
    }

    /// Whether a snapshot at `index` brings what is missing and takes nothing back.
    private func isUseful(_ index: LogIndex) -> Bool {
        if log.needsSnapshot { return index >= log.terms.baseIndex }
        if let lost = log.damage.wanted.first?.lowerBound, lost <= index {
            return index > log.handedIndex
                || index == log.handedIndex && index == log.appliedIndex
        }
        return index > log.commitIndex
    }

    private mutating func fetch(_ metadata: SnapshotMetadata) {
        snapshots.search!.stage = .fetching(metadata)
        effects.snapshotFetch = metadata
        #if PlantedBugs
            if PlantedBug.active == .snapshotAcknowledgedAtOnce, let leader, leader != replica {
                sendNow(.appendResponse(.accepted(matchIndex: metadata.index)), to: leader)
            }
        #endif
    }

    private mutating func askNextSource() {
        let next = (snapshots.search!.position + 1) % snapshots.search!.sources.count
        snapshots.search!.position = next
        snapshots.search!.stage = .asking(ticks: 0)
        askForSnapshot()
    }

    private mutating func askForSnapshot() {
        let search = snapshots.search!
        sendNow(.snapshotWanted(minIndex: search.minIndex), to: search.sources[search.position])
    }

    /// Those that could have the state, and contents of entries.
    var otherFullMembers: [ReplicaID] {
        var members = configuration.members.filter { !$0.isWitness && $0.replica != replica }
            .map(\.replica)
        // A damaged entry may be the configuration that says who they are: then it is whoever has
        // answered this start, or leads. What they have is the same (Log Matching).
        if configurationsMayLack {
            let heard = ownStart.answered + (leader.map { [$0] } ?? [])
            members = Configuration.ascending(members + heard).filter { $0 != replica }
        }
        return members
    }

    private func isWellFormed(
        _ metadata: SnapshotMetadata, from peer: ReplicaID, term sourceTerm: Term
    ) -> Bool {
        guard metadata.id.source == peer, metadata.index > .zero,
            metadata.index.rawValue < UInt64.max / 2, metadata.term > .zero,
            metadata.term <= sourceTerm, metadata.configuration.index <= metadata.index,
            !metadata.configuration.configuration.voters.incoming.isEmpty
        else { return false }
        let held = log.term(at: metadata.index)
        // Committed entries are the same everywhere, and terms never fall behind them. A leader's log
        // holds all that is committed (Leader Completeness, thesis §3.6.3).
        if metadata.index <= log.commitIndex || leadership != nil && sourceTerm <= term {
            return held == nil && metadata.index < log.firstIndex || held == metadata.term
        }
        return metadata.term >= log.term(at: log.commitIndex)!
    }

    private mutating func install(_ metadata: SnapshotMetadata) {
        snapshots.search = nil
        let keepsSuffix = log.covered(by: metadata)
        if !keepsSuffix {
            guard metadata.index >= log.commitIndex else {
                // Its source has contradicted itself, or everyone else.
                log.handoutCeiling = nil
                effects.faults.append(
                    .malformedSnapshot(from: metadata.id.source, index: metadata.index))
                return
            }
            // Who campaigns has told of a log that it does not have any more.
            if candidacy != nil || leadership != nil { becomeFollower(term: term, leader: nil) }
        }
        if leadership != nil { shrinkTail() }
        let suffix = keepsSuffix ? configurations.filter { $0.index > metadata.index } : []
        log.begin(behind: metadata, keepsSuffix: keepsSuffix)
        configurationsReplaced(by: metadata.configuration)
        for entry in suffix { configurationAppended(entry) }
        if !keepsSuffix { unread = UnreadConfigurations() }
        work.start = LogStart(
            index: metadata.index, term: metadata.term, timestamp: metadata.timestamp,
            inForce: metadata.configuration, replacesAll: !keepsSuffix)
        if let leader, leader != replica {
            sendWhenDurable(
                .appendResponse(
                    .accepted(matchIndex: acknowledgeable(through: metadata.index))),
                to: leader)
        }
    }
}
