import Primitives
import RecordModel

extension ShardView {
    /// etcd's Range (server/etcdserver/apply.go `Range`, mvcc `rangeKeys`): `count` is of all keys
    /// in the range at the revision, whatever the limit and the filters; the limit is applied after
    /// filters and sorting.
    ///
    /// One oddity is kept: without a sort order, a target other than the key sorts upwards, but
    /// only what the limit let through (one more than it, for `more`).
    func range(_ request: RangeRequest) throws(RecordReadFailure) -> RangeResult {
        let past = try pastRevision(request)
        let fetchLimit = fetchLimit(request)
        var records: [Record]
        let count: Int
        do {
            if let past {
                (records, count) = try pastRecords(in: request.range, limit: fetchLimit, at: past)
            } else {
                (records, count) = try newestRecords(in: request.range, limit: fetchLimit)
            }
        } catch {
            throw .store(error)
        }
        records.removeAll { !request.admits($0) }
        request.sort(&records)
        var more = false
        if request.limit > 0, records.count > request.limit {
            records.removeSubrange(request.limit...)
            more = true
        }
        if request.keysOnly {
            for index in records.indices { records[index].value = [] }
        }
        return RangeResult(records: records, count: count, more: more)
    }

    /// nil where the newest is asked for.
    private func pastRevision(_ request: RangeRequest) throws(RecordReadFailure) -> Revision? {
        guard let asked = request.revision, asked > .none else { return nil }
        if asked > revision { throw .refused(.futureRevision(current: revision)) }
        if asked < compactRevision { throw .refused(.compacted(floor: compactRevision)) }
        return asked == revision ? nil : asked
    }

    private func fetchLimit(_ request: RangeRequest) -> Int {
        if request.countOnly { return 0 }
        if request.limit <= 0 || request.sortOrder != .none || request.filters { return .max }
        return request.limit == .max ? .max : request.limit + 1
    }
}

extension RangeRequest {
    fileprivate var filters: Bool {
        [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision]
            .contains { RangeRequest.bound($0) != nil }
    }

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

    /// Records come in key order; equals stay in it.
    fileprivate func sort(_ records: inout [Record]) {
        if sortTarget == .key {
            if sortOrder == .descend { records.reverse() }
            return
        }
        let descends = sortOrder == .descend
        records.sort { a, b in
            let (first, second) = descends ? (b, a) : (a, b)
            switch sortTarget {
            case .key: return false
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
