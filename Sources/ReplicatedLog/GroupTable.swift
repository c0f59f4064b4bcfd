import Primitives

/// The groups of a log, and which segments their entries stand in.
struct GroupTable: Sendable {
    private(set) var groups: [GroupID: GroupIndex] = [:]
    /// How many groups have their oldest entry in a segment: few segments, however many groups.
    private var oldest: [UInt32: Int] = [:]

    init(_ groups: [GroupID: GroupIndex]) {
        self.groups = groups
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
            count(before, nil)
            return
        }
        let follows = groups[id, default: GroupIndex()].apply(change)
        precondition(follows, "group \(id): \(change) does not follow")
        count(before, groups[id]?.oldestSegment)
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
