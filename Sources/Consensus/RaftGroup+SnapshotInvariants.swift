import Primitives

// Those of `RaftGroup`'s invariants that speak of the log's front, of snapshots and of damage.
extension RaftGroup {
    func checkSnapshotsAndDamage(_ broken: inout Broken) {
        let base = log.terms.baseIndex
        broken.unless(
            isWitness || log.needsSnapshot || base <= log.persistedIndex, 30,
            "begins behind \(base), persisted \(log.persistedIndex)")
        if let making = snapshots.making {
            broken.unless(
                base <= making.floor && !making.requesters.isEmpty
                    && making.requesters.count <= SnapshotInMaking.requestersMax
                    || log.appliedIndex > making.floor,
                30, "begins behind \(base), \(making) in making")
        }
        checkSearch(&broken)
        checkDamage(&broken)
        guard let led = leadership else { return }
        for progress in led.progress {
            guard case .snapshot(let minIndex, _) = progress.flow else { continue }
            broken.unless(
                minIndex <= base && progress.matchIndex < minIndex
                    && progress.nextIndex == minIndex.next && progress.fetch == nil,
                33, "\(progress) with a log that begins behind \(base)")
        }
    }

    private func checkSearch(_ broken: inout Broken) {
        let search = snapshots.search
        broken.unless(
            log.handoutCeiling == search?.taken?.index, 31,
            "handouts end at \(log.handoutCeiling?.description ?? "none")")
        guard let search else { return }
        broken.unless(
            search.sources.indices.contains(search.position)
                && !search.sources.contains(replica),
            31, "\(search)")
        if let taken = search.taken {
            broken.unless(
                handedIndex < taken.index
                    || handedIndex == taken.index && appliedIndex == taken.index,
                31, "\(taken) is taken, handed out \(handedIndex)")
        }
    }

    private func checkDamage(_ broken: inout Broken) {
        let damage = log.damage
        guard !damage.isEmpty else { return }
        let ranges = damage.wanted
        let isApart = zip(ranges, ranges.dropFirst()).allSatisfy {
            $0.upperBound.next < $1.lowerBound
        }
        let inLog = (ranges + damage.repairs.map(\.indexes)).allSatisfy {
            $0.lowerBound >= firstIndex && $0.upperBound <= lastIndex
        }
        broken.unless(
            isApart && inLog && ranges.count <= Damage.rangesMax, 32,
            "\(damage) in a log \(firstIndex)...\(lastIndex)")
        broken.unless(candidacy == nil || !isHinderedByDamage, 32, "\(role) with \(damage)")
    }
}
