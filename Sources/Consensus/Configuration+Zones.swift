import Primitives

// In which zones something is: of the voters of both sets that hold what entries say and whose
// zone is known.
extension Configuration {
    /// The zones of those among `replicas` that count for the rule, ascending, each once.
    func zones(of replicas: [ReplicaID]) -> [ZoneID] {
        var zones: [ZoneID] = []
        for replica in replicas {
            guard let member = member(replica), !member.isWitness, member.zone != .unknown,
                !zones.contains(member.zone)
            else { continue }
            zones.append(member.zone)
        }
        return zones.sorted()
    }

    func zoneCount(of replicas: [ReplicaID]) -> Int { zones(of: replicas).count }

    /// The highest index that counting voters in `zones` zones have reached; zero when there are not
    /// that many.
    func agreed(inZones zones: Int, _ reached: (ReplicaID) -> LogIndex) -> LogIndex {
        var best: [(zone: ZoneID, index: LogIndex)] = []
        for member in members
        where voters.contains(member.replica) && !member.isWitness && member.zone != .unknown {
            let index = reached(member.replica)
            if let known = best.firstIndex(where: { $0.zone == member.zone }) {
                best[known].index = max(best[known].index, index)
            } else {
                best.append((member.zone, index))
            }
        }
        guard best.count >= zones else { return .zero }
        return best.map(\.index).sorted()[best.count - zones]
    }
}

extension ZoneRule {
    /// Whether commit waits for it.
    package var holdsCommit: Bool { zonesNeeded > 1 && !isOverridden }
    /// One zone is where any quorum is.
    package var zonesNeeded: Int { Int(zonesMin) }
}
