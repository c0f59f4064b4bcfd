import Primitives

extension ReplicatedLog {
    /// Reads the log back and makes it ready for appends; begins one when the device is empty.
    ///
    /// A torn tail is dropped, reported and set back to zero. Everything that is returned is
    /// durable when this returns. Corruption is an error, and then nothing was changed on disk.
    ///
    /// - Returns: the log, what it holds of each group that it has ever heard of, and what was
    ///   found.
    package static func open(
        device: any LogDevice, identity: LogIdentity, settings: LogSettings
    ) throws(LogError) -> (
        log: ReplicatedLog, groups: [GroupID: RecoveredGroup], report: RecoveryReport
    ) {
        var recovery = LogRecovery(device: device, identity: identity, settings: settings)
        try recovery.read()
        if recovery.headers.isEmpty, settings.requireExisting { throw .missing }
        let log = ReplicatedLog(try writer(after: &recovery), index: recovery.groups)
        var groups: [GroupID: RecoveredGroup] = [:]
        for (id, group) in recovery.groups { groups[id] = try log.recovered(id, group) }
        try log.beginEpoch(lacksCheckpoint: recovery.lacksCheckpoint, groups: recovery.groups)
        var report = recovery.report
        report.epoch = recovery.epoch + 1
        return (log, groups, report)
    }

    private static func writer(after recovery: inout LogRecovery) throws(LogError) -> LogWriter {
        guard let last = recovery.headers.last else {
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
            oldest: recovery.headers[0].number, segment: last.number,
            dataEnd: UInt32(recovery.dataEnd),
            identifiersStart: UInt32(recovery.identifiersStart), sequence: recovery.sequence,
            durableSequence: recovery.sequence, epoch: recovery.epoch)
    }

    private func recovered(
        _ id: GroupID, _ group: GroupIndex
    ) throws(LogError) -> RecoveredGroup {
        var timestamp = group.startTimestamp
        if group.last > group.start {
            timestamp = try entries(
                of: id, from: group.last, through: group.last, maxBytes: 0)[0].timestamp
        }
        return RecoveredGroup(
            group: id, hardState: group.hardState, truncatedThrough: group.start,
            truncatedTerm: group.startTerm, lastIndex: group.last, termRuns: group.runs,
            lastTimestamp: timestamp)
    }
}
