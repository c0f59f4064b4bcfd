import Primitives
import RecordModel

/// The records of one range that its answer needs, gathered one by one in key order within a bound
/// of memory. A sorted range with a limit keeps the best so far: when it holds twice the limit, the
/// worse half goes. What it keeps may then take half of the room at most, so that sorting costs each
/// record a bounded share.
///
/// Invariants:
/// 1. `bytes` is what `records` count for.
/// 2. What was left out by the limit stands behind everything kept, so that dropping never loses a
///    record of the answer.
struct RangeCollector {
    private let request: RangeRequest
    private let room: Int
    /// Records that are looked at from the first key on; `.max`: all.
    let fetchLimit: Int
    /// Records that the answer can hold, and one more for `more`; `.max`: all.
    private let kept: Int
    /// At so many records the worse of them go.
    private let gatheredMax: Int
    private var records: [Record] = []
    private(set) var bytes = 0
    private(set) var isOverfull = false

    init(_ request: RangeRequest, room: Int) {
        self.request = request
        self.room = room
        // More records than memory can hold are no limit.
        let limited = request.limit > 0 && request.limit < 1 << 40
        kept = limited ? request.limit + 1 : .max
        gatheredMax = limited ? kept + max(kept, 16) : .max
        if request.countOnly {
            fetchLimit = 0
        } else if request.sortOrder != .none || request.filters {
            fetchLimit = .max
        } else {
            fetchLimit = kept
        }
    }

    /// Whether a record of the range would still change the answer, beyond its count.
    func wants(seen: Int) -> Bool {
        if isOverfull || seen >= fetchLimit { return false }
        // What comes later is of no use where the first in key order are asked for.
        return request.sortsByKeyUpwards ? records.count < kept : true
    }

    mutating func add(_ record: Record) {
        guard request.admits(record) else { return }
        var record = record
        if request.keysOnly, request.sortTarget != .value { record.value = [] }
        records.append(record)
        bytes += record.answerBytes
        if records.count >= gatheredMax { shrink() }
        if bytes > room {
            shrink()
            isOverfull = bytes > (kept < .max ? room / 2 : room)
        }
    }

    private mutating func shrink() {
        guard records.count > kept else { return }
        request.sort(&records)
        for record in records[kept...] { bytes -= record.answerBytes }
        records.removeSubrange(kept...)
    }

    /// nil: the answer does not fit. Part of it would look like all.
    mutating func finish(count: Int) -> RangeResult? {
        if isOverfull { return nil }
        request.sort(&records)
        var more = false
        if request.limit > 0, records.count > request.limit {
            for record in records[request.limit...] { bytes -= record.answerBytes }
            records.removeSubrange(request.limit...)
            more = true
        }
        if request.keysOnly {
            for index in records.indices {
                bytes -= records[index].value.count
                records[index].value = []
            }
        }
        return RangeResult(records: records, count: count, more: more)
    }
}

extension RangeRequest {
    fileprivate var filters: Bool {
        [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision]
            .contains { RangeRequest.bound($0) != nil }
    }

    fileprivate var sortsByKeyUpwards: Bool { sortTarget == .key && sortOrder != .descend }

    fileprivate func admits(_ record: Record) -> Bool {
        if let bound = Self.bound(minModRevision), record.modRevision < bound { return false }
        if let bound = Self.bound(maxModRevision), record.modRevision > bound { return false }
        if let bound = Self.bound(minCreateRevision), record.createRevision < bound {
            return false
        }
        if let bound = Self.bound(maxCreateRevision), record.createRevision > bound {
            return false
        }
        return true
    }

    /// Zero is no bound, as on the wire.
    private static func bound(_ revision: Revision?) -> Revision? {
        revision?.rawValue == 0 ? nil : revision
    }

    /// A total order: equals stay in key order, whichever way the rest runs.
    fileprivate func sort(_ records: inout [Record]) {
        if sortsByKeyUpwards { return }
        let descends = sortOrder == .descend
        records.sort { a, b in
            let (first, second) = descends ? (b, a) : (a, b)
            switch sortTarget {
            case .key: return first.key.lexicographicallyPrecedes(second.key)
            case .version:
                if first.version != second.version { return first.version < second.version }
            case .create:
                if first.createRevision != second.createRevision {
                    return first.createRevision < second.createRevision
                }
            case .mod:
                if first.modRevision != second.modRevision {
                    return first.modRevision < second.modRevision
                }
            case .value:
                if first.value != second.value {
                    return first.value.lexicographicallyPrecedes(second.value)
                }
            }
            return a.key.lexicographicallyPrecedes(b.key)
        }
    }
}
