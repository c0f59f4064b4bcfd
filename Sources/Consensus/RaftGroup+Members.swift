import Primitives

// Whom a leader sends to: all members, and for a while those that are no longer.
extension RaftGroup {
    /// A new leader does not know who of its predecessor's members has learnt what.
    mutating func openProgress() {
        for peer in unsettledConfigurations.flatMap(\.configuration.replicas)
        where peer != replica && leadership!.position(of: peer) == nil {
            insertProgress(of: peer, nextIndex: log.lastIndex.next)
        }
        progressFollowsConfiguration()
    }

    /// Members of the configuration in force have their `Progress`: those that were members before
    /// keep theirs, whatever they were, and new ones are probed. Whoever is no member any more is
    /// on its way out.
    mutating func progressFollowsConfiguration() {
        let members = configuration.replicas
        leadership!.progress.removeAll { progress in
            // Seats are not given twice; if one is, nothing is known of who sits there now. And
            // whoever left with an earlier change has had its time.
            guard let leaving = progress.leaving else { return false }
            return members.contains(progress.replica) || leaving.since <= log.commitIndex
        }
        for i in leadership!.progress.indices
        where leadership!.progress[i].leaving == nil
            && !members.contains(leadership!.progress[i].replica)
        {
            leadership!.progress[i].leaving = Progress.Leaving(since: configurationIndex)
        }
        for peer in members where peer != replica && leadership!.position(of: peer) == nil {
            insertProgress(of: peer, nextIndex: configurationIndex)
            // It could not have answered yet: that must not cost the leader its quorum.
            let i = leadership!.position(of: peer)!
            leadership!.progress[i].isActive = true
        }
    }

    private mutating func insertProgress(of peer: ReplicaID, nextIndex: LogIndex) {
        let progress = Progress(
            replica: peer, nextIndex: nextIndex, isWitness: sitsAsWitness(peer))
        let place = leadership!.progress.firstIndex { peer < $0.replica }
        leadership!.progress.insert(progress, at: place ?? leadership!.progress.count)
    }

    private func sitsAsWitness(_ peer: ReplicaID) -> Bool {
        unsettledConfigurations.contains { $0.configuration.isWitness(peer) }
    }

    /// A removed replica that never learns of it asks for votes for ever. So the leader goes on
    /// sending to it for an election timeout after the removal is committed; one that cannot be
    /// reached even then does no harm, since nobody who hears a leader answers it (thesis §4.2.3).
    mutating func leavingTicked() {
        leadership!.progress.removeAll { progress in
            guard let leaving = progress.leaving else { return false }
            return leaving.ticks >= settings.electionTimeoutTicks
        }
        for i in leadership!.progress.indices {
            guard let leaving = leadership!.progress[i].leaving, leaving.since <= log.commitIndex
            else { continue }
            leadership!.progress[i].leaving!.ticks += 1
        }
    }
}
