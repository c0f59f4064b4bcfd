import Primitives

// The log's front goes once nobody needs it.
extension RaftGroup {
    /// The state machine durably is at this index: a restart would go on from there.
    package mutating func persisted(through index: LogIndex) -> Effects {
        // A quarantined replica's state may be ahead of a log that has forgotten, and is given up.
        guard standing != .quarantined else { return finishEvent() }
        log.persisted(through: index)
        truncateLog()
        return finishEvent()
    }

    mutating func truncateLog() {
        // The log's beginning names the configuration in force there.
        let removable = placeOfKnownConfiguration(atMost: removableIndex)
        guard removable >= log.terms.baseIndex + UInt64(settings.truncationBatch) else { return }
        truncateLog(through: removable)
    }

    /// What the state machine would not ask for again after a crash.
    var settledIndex: LogIndex {
        guard !log.needsSnapshot else { return .zero }
        // A witness has no state that could lag.
        var settled = isWitness ? log.appliedIndex : min(log.persistedIndex, log.appliedIndex)
        #if PlantedBugs
            if PlantedBug.active == .truncatesAheadOfPersisted { settled = log.appliedIndex }
        #endif
        if let making = snapshots.making { settled = min(settled, making.floor) }
        return settled
    }

    private var removableIndex: LogIndex {
        guard settings.makesSnapshots else { return .zero }
        let settled = settledIndex
        var removable = settled.back(settings.entriesKept)
        guard let led = leadership else { return removable }
        let floor = settled.back(settings.entriesKeptForFollowers)
        for progress in led.progress where isLive(progress) {
            removable = min(removable, max(progress.neededIndex, floor))
        }
        return removable
    }

    mutating func truncateLog(through index: LogIndex) {
        precondition(knowsConfiguration(at: index), "what is in force at \(index) is not known")
        work.start = LogStart(
            index: index, term: log.term(at: index)!,
            timestamp: log.timestamp(through: index), inForce: configurationEntry(at: index),
            replacesAll: work.start?.replacesAll ?? false)
        log.forget(through: index)
        configurationsForgotten(through: index)
    }

    /// It has been heard within an election timeout.
    func isLive(_ progress: Progress) -> Bool {
        guard let heardAt = progress.heardAt else { return false }
        return ticks - heardAt < UInt64(settings.electionTimeoutTicks)
    }
}

extension LogIndex {
    fileprivate func back(_ entries: Int) -> LogIndex {
        LogIndex(rawValue - min(rawValue, UInt64(entries)))
    }
}

extension LogStart {
    init(
        index: LogIndex, term: Term, timestamp: HybridTimestamp, inForce: ConfigurationEntry,
        replacesAll: Bool
    ) {
        self.init(
            index: index, term: term, timestamp: timestamp,
            configuration: inForce.configuration.encoded(), configurationIndex: inForce.index,
            replacesAll: replacesAll)
    }
}
