import Primitives

// The zone rule: besides at a quorum, an entry must be durable in several zones before it is
// committed. Elections know nothing of it. That is safe, since a stricter rule for commit only
// shortens what counts as committed: every committed entry still is on a majority, which any later
// leader's voters meet (thesis §3.6.3).
//
// Each entry is judged by the rule that is in force where it stands in the log. The entry that lifts
// or overrides a rule is thus judged by its own: it commits with a mere quorum, and with it everything
// before it, but nothing does before that quorum holds the entry that says so. Whoever leads next
// has it then, and an override is never acted upon by a leader alone.
extension RaftGroup {
    /// How far the log may be committed, of what the quorum holds.
    ///
    /// - Parameter agreed: durable at a quorum.
    func zoneAgreed(upTo agreed: LogIndex) -> LogIndex {
        #if PlantedBugs
            if PlantedBug.active == .zoneRuleForgotten { return agreed }
        #endif
        var end = agreed
        for entry in unsettledConfigurations.reversed() where entry.index <= agreed {
            let rule = entry.configuration.zoneRule
            let reached = rule.holdsCommit ? min(end, durableIndex(inZones: rule)) : end
            if reached >= entry.index { return reached }
            // Behind this entry its own rule is not met; what stands before it has another.
            end = entry.index.previous
        }
        return log.commitIndex
    }

    /// Of the voters in force, in both sets while they are joint: what is left behind by leaving is
    /// judged again by the entry that leaves.
    private func durableIndex(inZones rule: ZoneRule) -> LogIndex {
        configuration.agreed(inZones: rule.zonesNeeded, durableIndex(of:))
    }

    // MARK: Alarms

    /// Counts how long the oldest entry that only the rule holds back has waited.
    mutating func zoneWaitTicked() {
        // Nothing waits: most groups, at most ticks.
        guard log.commitIndex < log.lastIndex else {
            leadership!.zoneWait = nil
            return
        }
        let agreed = quorumIndex
        guard agreed > log.commitIndex, log.term(at: agreed) == term else {
            leadership!.zoneWait = nil
            return
        }
        if let wait = leadership!.zoneWait, wait.index > log.commitIndex {
            leadership!.zoneWait!.ticks += 1
        } else {
            leadership!.zoneWait = Leadership.ZoneWait(index: agreed)
        }
    }

    /// Raises and lowers what concerns the rule. Called at the end of every event; a replica that
    /// does not lead has nothing to say.
    mutating func announceZoneAlarms() {
        let isOverridden = leadership != nil && configuration.zoneRule.isOverridden
        let now = ZoneAlarms(
            unmet: unmetAlarm, overridden: isOverridden ? .zoneRuleOverridden : nil)
        guard now != zoneAlarms else { return }
        effects.alarms += ZoneAlarms.changes(from: zoneAlarms.unmet, to: now.unmet)
        effects.alarms += ZoneAlarms.changes(from: zoneAlarms.overridden, to: now.overridden)
        zoneAlarms = now
    }

    private var unmetAlarm: Alarm? {
        guard let wait = leadership?.zoneWait, wait.index > log.commitIndex,
            wait.ticks >= settings.electionTimeoutTicks
        else { return nil }
        // It stays as it was raised until it is lowered.
        if let raised = zoneAlarms.unmet { return raised }
        let next = log.commitIndex.next
        let holders = configuration.members.map(\.replica).filter {
            configuration.voters.contains($0) && durableIndex(of: $0) >= next
        }
        return .zoneRuleUnmet(
            zones: configuration.zoneCount(of: holders),
            needed: configurationEntry(at: next).configuration.zoneRule.zonesNeeded)
    }
}

/// The alarms that a leader has raised and not lowered.
struct ZoneAlarms: Hashable, Sendable {
    var unmet: Alarm?
    var overridden: Alarm?

    static func changes(from raised: Alarm?, to alarm: Alarm?) -> [AlarmChange] {
        guard alarm != raised else { return [] }
        return [raised.map(AlarmChange.lowered), alarm.map(AlarmChange.raised)].compactMap(\.self)
    }
}
