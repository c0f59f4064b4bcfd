import Primitives

/// The groups of a log, and which segments their entries stand in.
///
/// While groups may have been forgotten, one that is not in the table may have had a past: it is
/// distrusted from its first record on, unless that is a reset.
struct GroupTable: Sendable {
    private(set) var groups: [GroupID: GroupIndex] = [:]
    var mayLackGroups: Bool
    /// Groups of which a reset says that they have no past, and which have written nothing since.
    private(set) var cleared: Set<GroupID>
    /// How many groups have their oldest entry in a segment: few segments, however many groups.
    private var oldest: [UInt32: Int] = [:]

    init(
        _ groups: [GroupID: GroupIndex], mayLackGroups: Bool = false, cleared: Set<GroupID> = []
    ) {
        self.groups = groups
        self.mayLackGroups = mayLackGroups
        self.cleared = cleared
        for group in groups.values { count(nil, group.oldestSegment) }
    }

    /// The oldest segment that an entry of any group stands in.
    var oldestSegment: SegmentNumber? {
        oldest.keys.min().map { SegmentNumber(UInt64($0)) }
    }

    mutating func apply(_ change: IndexChange, to id: GroupID) {
        let before = groups[id]?.oldestSegment
        if case .reset = change {
            groups[id] = nil
            cleared.insert(id)
            count(before, nil)
            return
        }
        if groups[id] == nil {
            let wasCleared = cleared.remove(id) != nil
            groups[id] = GroupIndex(isNew: wasCleared || !mayLackGroups)
        }
        let follows = groups[id]!.apply(change)
        precondition(follows, "group \(id): \(change) does not follow")
        count(before, groups[id]?.oldestSegment)
    }

    /// Whether the group's next record must have a reset in front of it: the one that says that
    /// the group has no past may be gone with its segment when that record is read.
    func needsReset(_ id: GroupID) -> Bool {
        mayLackGroups && groups[id] == nil && cleared.contains(id)
    }

    mutating func noteDamage(of id: GroupID, at index: LogIndex) {
        guard let group = groups[id], group.contains(index) else { return }
        groups[id]!.noteDamage(index)
        count(group.oldestSegment, groups[id]!.oldestSegment)
    }

    private mutating func count(_ before: UInt32?, _ after: UInt32?) {
        if before == after { return }
        if let before {
            let left = oldest[before, default: 0] - 1
            oldest[before] = left == 0 ? nil : left
        }
        if let after { oldest[after, default: 0] += 1 }
    }
}
