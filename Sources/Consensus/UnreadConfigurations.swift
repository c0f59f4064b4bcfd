import Primitives

/// Entries that were damaged at the start and may be configurations: which one is in force behind
/// them is not known, until they have been read or a later one is known to have replaced them.
///
/// The state machine remembers the configuration that is in force at its applied index, so that its
/// state stands for every entry up to there, configurations too: the entry of that configuration is
/// one, whatever became of its record, and between it and the applied index there is no other.
/// etcd keeps the same beside its state ("confState" in the bucket "meta").
///
/// Invariants:
/// 1. `ranges` ascend, are apart, and were damaged at the start. Those that have been supplied since,
///    or have left the log, do not count any more.
/// 2. None of them lies between the entry of the configuration that the state machine remembers and
///    the index that it had applied at the start.
struct UnreadConfigurations: Hashable, Sendable {
    private var ranges: [ClosedRange<LogIndex>] = []

    init() {}

    /// - Parameter damage: as it is at the start.
    init(_ damage: Damage, _ restored: RestoredState) {
        guard let known = restored.knownConfiguration else {
            ranges = damage.wanted
            return
        }
        ranges = damage.wanted.flatMap { range in
            [range.part(below: known.index), range.part(above: restored.appliedIndex)]
                .compactMap { $0 }
        }
    }

    /// The first entry within these indexes that nobody here has read.
    func first(in indexes: ClosedRange<LogIndex>, of damage: Damage) -> LogIndex? {
        for range in ranges where range.overlaps(indexes) {
            let unread = range.clamped(to: indexes)
            if let wanted = damage.wanted.first(where: { $0.overlaps(unread) }) {
                return max(wanted.lowerBound, unread.lowerBound)
            }
        }
        return nil
    }
}

extension RestoredState {
    /// What the state machine remembers, where it is the state of this very log.
    var knownConfiguration: ConfigurationEntry? {
        stateIsLost || logIsUntrusted ? nil : appliedConfiguration
    }

    /// The configurations of the log, with the one that the state machine remembers where the log has
    /// lost it.
    func configurations(
        lostFrom damage: Damage
    ) throws(RestoreFailure) -> [ConfigurationEntry] {
        guard let known = knownConfiguration, known.index > .zero else { return configurations }
        guard known.index <= appliedIndex else { throw .inconsistentConfigurations }
        if let same = configurations.first(where: { $0.index == known.index }) {
            guard same == known else { throw .inconsistentConfigurations }
            return configurations
        }
        guard damage.contains(known.index) else { return configurations }
        let place = configurations.firstIndex { $0.index > known.index } ?? configurations.count
        var all = configurations
        all.insert(known, at: place)
        return all
    }
}

extension RaftGroup {
    /// The configuration in force somewhere in the log may not be known.
    var configurationsMayLack: Bool {
        unread.first(in: log.firstIndex...max(log.firstIndex, log.lastIndex), of: log.damage) != nil
    }

    /// Whether `configurationEntry(at: index)` is certainly what was in force there.
    func knowsConfiguration(at index: LogIndex) -> Bool {
        placeOfKnownConfiguration(atMost: index) == index
    }

    /// The last index up to `index` at which the configuration in force is known.
    func placeOfKnownConfiguration(atMost index: LogIndex) -> LogIndex {
        let known = configurationEntry(at: index).index
        let from = max(known.next, log.firstIndex)
        guard from <= index else { return index }
        return unread.first(in: from...index, of: log.damage)?.previous ?? index
    }
}
