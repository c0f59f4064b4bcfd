import Primitives

// Damage in a log that is kept whole (`RaftSettings.makesSnapshots`). It is not cut off: those whose
// state is lost, and new members, have nothing but entries to go by, and somebody who cannot be heard
// now may have the contents. But what the state machine has applied is committed, so damage
// there takes nothing from a vote or a promise of what comes behind it: a leader counts itself in the
// same way (`RaftLog.countedIndex`). Such a replica campaigns, acknowledges, and goes on asking. What a
// start finds is another matter: of that the replica had told nobody, and its peers may hold it.
extension RaftGroup {
    /// Damage up to here keeps this replica from nothing but giving these entries away.
    private var toleratedIndex: LogIndex {
        let isFromStart = damagedAtStart.contains { range in
            log.damage.wanted.contains { $0.overlaps(range) }
        }
        guard !settings.makesSnapshots, !isFromStart, !log.needsSnapshot else { return .zero }
        return log.appliedIndex
    }

    /// Whether damage keeps this replica from campaigning.
    var isHinderedByDamage: Bool { log.damage.first(from: toleratedIndex.next) != nil }

    /// Up to where, of what is being made durable, a leader may rely on this replica.
    func acknowledgeable(through index: LogIndex) -> LogIndex {
        #if PlantedBugs
            if PlantedBug.active == .damagedEntryAcknowledged { return index }
        #endif
        let tolerated = toleratedIndex
        guard let lost = log.damage.wanted.first(where: { $0.upperBound > tolerated }) else {
            return index
        }
        return min(index, max(lost.lowerBound.previous, tolerated))
    }
}
