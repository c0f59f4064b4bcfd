import Primitives
import RecordModel

extension ShardView {
    /// etcd's Range (server/etcdserver/apply.go `Range`, mvcc `rangeKeys`): `count` is of all keys
    /// in the range at the revision, whatever the limit and the filters; the limit is applied after
    /// filters and sorting.
    ///
    /// One oddity is kept: without a sort order, a target other than the key sorts upwards, but
    /// only what the limit let through (one more than it, for `more`).
    ///
    /// - Parameter room: bytes that answers may still take; what this one takes is taken off.
    func range(
        _ request: RangeRequest, _ room: inout AnswerRoom
    ) throws(RecordReadFailure) -> RangeResult {
        let past = try pastRevision(request)
        var collector = RangeCollector(request, room: room.left)
        let count: Int
        do {
            if let past {
                count = try gather(&collector, in: request.range, at: past)
            } else {
                count = try gather(&collector, in: request.range)
            }
        } catch {
            throw .store(error)
        }
        guard let result = collector.finish(count: count) else {
            throw .refused(.answerTooLarge(limit: room.limits.bytesMax))
        }
        room.take(collector.bytes)
        return result
    }

    /// nil where the newest is asked for.
    private func pastRevision(_ request: RangeRequest) throws(RecordReadFailure) -> Revision? {
        guard let asked = request.revision, asked > .none else { return nil }
        if asked > revision { throw .refused(.futureRevision(current: revision)) }
        if asked < compactRevision { throw .refused(.compacted(floor: compactRevision)) }
        return asked == revision ? nil : asked
    }
}
