import Primitives

extension ReplicatedLog {
    /// Reads the log back and makes it ready for appends; begins one when the device is empty.
    ///
    /// A torn tail is dropped, reported and set back to zero. Everything that is returned is
    /// durable when this returns. Corruption is an error, and then nothing was changed on disk,
    /// unless `LogSettings.salvagesDamage` asks for what is left.
    ///
    /// Next let what is still to begin begin, and call `declareComplete(seats:)`.
    ///
    /// - Returns: the log, what it holds of each group that it has ever heard of, and what was
    ///   found.
    package static func open(
        device: any LogDevice, identity: LogIdentity, settings: LogSettings
    ) throws(LogError) -> (
        log: ReplicatedLog, groups: [GroupID: RecoveredGroup], report: RecoveryReport
    ) {
        var recovery = LogRecovery(device: device, identity: identity, settings: settings)
        do {
            try recovery.read()
        } catch {
            guard settings.salvagesDamage, error.isDamage else { throw error }
            return try salvage(device: device, identity: identity, settings: settings)
        }
        if recovery.headers.isEmpty, settings.requireExisting { throw .missing }
        if !settings.salvagesDamage, let pending = recovery.pendingRepair {
            throw .corruption(pending)
        }
        let log = ReplicatedLog(
            try writer(after: &recovery), groups: recovery.groups, cleared: recovery.cleared)
        let groups = try log.recovered(recovery.groups)
        try log.beginEpoch(lacksCheckpoint: recovery.lacksCheckpoint)
        var report = recovery.report
        report.epoch = recovery.epoch + 1
        report.mayLackGroups = recovery.mayLackGroups
        return (log, groups, report)
    }

    private static func writer(after recovery: inout LogRecovery) throws(LogError) -> LogWriter {
        guard !recovery.headers.isEmpty else {
            do {
                return try LogWriter.begin(
                    device: recovery.device, identity: recovery.identity,
                    settings: recovery.settings)
            } catch {
                throw .device(error)
            }
        }
        try recovery.repair()
        return LogWriter(
            device: recovery.device, identity: recovery.identity, settings: recovery.settings,
            segments: recovery.salvaged + recovery.headers.map(\.number),
            mayLackGroups: recovery.mayLackGroups, dataEnd: UInt32(recovery.dataEnd),
            identifiersStart: UInt32(recovery.identifiersStart), sequence: recovery.sequence,
            durableSequence: recovery.sequence, epoch: recovery.epoch)
    }

    /// Opens a damaged log. What is intact stays where it is; what is known of the groups, damage
    /// and distrust included, opens a new segment, with which the log begins anew. Until that
    /// checkpoint is durable a crash leaves the log as it was found.
    private static func salvage(
        device: any LogDevice, identity: LogIdentity, settings: LogSettings
    ) throws(LogError) -> (
        log: ReplicatedLog, groups: [GroupID: RecoveredGroup], report: RecoveryReport
    ) {
        var salvage = LogSalvage(device: device, identity: identity)
        try salvage.read()
        let groups = salvage.groups
        var report = salvage.report
        var writer = LogWriter(
            device: device, identity: identity, settings: settings, segments: salvage.segments,
            mayLackGroups: report.mayLackGroups, dataEnd: 1, identifiersStart: 1,
            sequence: salvage.sequenceMax, durableSequence: salvage.sequenceMax,
            epoch: salvage.epochMax)
        do {
            if let discarded = salvage.discarded { try device.remove(discarded) }
            try salvage.makeDurable()
            try writer.restart(
                in: salvage.nextSegment, checkpoint: LogWriter.checkpoint(of: groups))
        } catch {
            throw .device(error)
        }
        let log = ReplicatedLog(writer, groups: groups)
        try log.beginEpoch(lacksCheckpoint: false)
        report.epoch = salvage.epochMax + 1
        return (log, try log.recovered(groups), report)
    }

    private func recovered(
        _ groups: [GroupID: GroupIndex]
    ) throws(LogError) -> [GroupID: RecoveredGroup] {
        var recovered: [GroupID: RecoveredGroup] = [:]
        for (id, group) in groups.sorted(by: { $0.key < $1.key }) {
            recovered[id] = try self.recovered(id, group)
        }
        return recovered
    }

    private func recovered(
        _ id: GroupID, _ group: GroupIndex
    ) throws(LogError) -> RecoveredGroup {
        var timestamp = group.start.timestamp
        var newest = group.last
        while newest > group.start.index, group.location(of: newest).isDamaged {
            newest = newest.previous
        }
        if newest > group.start.index {
            timestamp = try entries(of: id, from: newest, through: newest, maxBytes: 0)[0].timestamp
        }
        var configurations: [LogEntry] = []
        for index in group.configurations {
            configurations += try entries(of: id, from: index, through: index, maxBytes: 0)
        }
        return RecoveredGroup(
            group: id, hardState: group.hardState, truncatedThrough: group.start.index,
            truncatedTerm: group.start.term, startConfiguration: group.start.configuration,
            startConfigurationIndex: group.start.configurationIndex, lastIndex: group.last,
            termRuns: group.runs, lastTimestamp: timestamp, configurationEntries: configurations,
            peers: group.peers, damaged: group.damaged, voteIsUnknown: group.voteIsUnknown,
            peersAreIncomplete: group.peersAreIncomplete, distrust: group.distrust)
    }
}

extension LogError {
    /// Something that was durable cannot be read back.
    fileprivate var isDamage: Bool {
        switch self {
        case .corruption: true
        case .device(let error):
            error.operation == .read && error.errorNumber == LenientReader.unreadable
        case .foreign, .unsupportedVersion, .missing, .poisoned, .unavailable, .tooLarge: false
        }
    }
}
