import Primitives
import RecordModel

/// What clients ask (etcd `serverWatchStream.recvLoop`, `watchStream.Watch`).
extension WatchHub {
    /// A watcher is asked for.
    ///
    /// - Parameter current: the newest revision that a client can have seen on this node. It may be
    ///   ahead of `revision`; a watcher without a start is told of nothing up to it.
    package mutating func requested(
        _ request: WatchRequest, on stream: WatchStreamID, current: Revision
    ) {
        // The client has left meanwhile.
        guard let streamSeat = seat(of: stream) else { return }
        let current = max(current, revision)
        if let refusal = refusal(request, on: streamSeat) {
            return add(.refused(stream, refusal, revision: current))
        }
        let start = request.start ?? current.next
        let id = request.id ?? freeID(on: streamSeat)
        let seat = seatWatcher(
            Watcher(
                range: request.range, id: id, next: start, stream: streamSeat, generation: 0,
                place: .synced, options: Watcher.Options(request)))
        streams[Int(streamSeat)].seats[id] = seat
        if request.wantsProgress { noteProgress(seat) }
        add(.created(stream, watch: id, revision: current))
        guard start <= revision else { return }
        fallBehind(seat, next: start)
        guard takesMore(streamSeat) else { return }
        streams[Int(streamSeat)].waiting.removeLast()
        catchUp([reference(seat)])
    }

    private func refusal(_ request: WatchRequest, on stream: Int32) -> WatchRefusal? {
        if let start = request.start, start < .none { return .negativeStart }
        if case .before(let upper) = request.range.end,
            !request.range.lower.lexicographicallyPrecedes(upper)
        {
            return .emptyRange
        }
        if let id = request.id, streams[Int(stream)].seats[id] != nil { return .duplicateID }
        return nil
    }

    private mutating func freeID(on stream: Int32) -> Int64 {
        var id = streams[Int(stream)].nextID
        while streams[Int(stream)].seats[id] != nil { id &+= 1 }
        streams[Int(stream)].nextID = id &+ 1
        return id
    }

    /// A watcher is no longer wanted. One that is not there is not answered, as in etcd.
    package mutating func cancelled(
        _ watch: Int64, on stream: WatchStreamID, current: Revision
    ) {
        guard let streamSeat = seat(of: stream),
            let seat = streams[Int(streamSeat)].seats.removeValue(forKey: watch)
        else { return }
        if seat != Self.goneSeat { free(seat) }
        add(.cancelled(stream, watch: watch, revision: max(current, revision)))
        answerProgress(streamSeat)
    }
}
