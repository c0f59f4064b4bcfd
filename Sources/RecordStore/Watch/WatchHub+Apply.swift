import Primitives
import RecordModel

/// What was applied, on its way to the synced watchers.
extension WatchHub {
    /// The shard has applied more. Changes follow those before; where events are missing in between
    /// (there were too many at once, or the shard was restored) they are read from disk first.
    package mutating func applied(_ changes: ShardChanges) {
        isSuspended = false
        compactRevision = max(compactRevision, changes.compactRevision)
        if held != nil {
            held!.append(changes)
            let bytes = held!.events.reduce(0) { $0 + $1.bytes }
            if bytes > limits.recentBytesMax { held!.dropEvents() }
        } else if changes.after > revision {
            held = changes
        } else {
            dispatch(changes.events[...], through: changes.through)
        }
    }

    /// - Parameter events: all above `revision` and up to `through`; those before are skipped.
    mutating func dispatch(_ events: ArraySlice<WatchEvent>, through: Revision) {
        let events = Array(events.drop { $0.revision <= revision })
        guard through > revision else { return }
        guard !index.isEmpty else { return hand(events, [], through: through) }
        var matches: [WatchMatch] = []
        var start = 0
        for (position, event) in events.enumerated() {
            if matches.count >= limits.matchesMax, event.revision != events[position - 1].revision {
                hand(
                    Array(events[start..<position]), matches,
                    through: events[position - 1].revision)
                matches.removeAll(keepingCapacity: true)
                start = position
            }
            index.forEach(watching: event.key) { seat in
                let watcher = watchers[Int(seat)]
                if watcher.place == .synced, watcher.takes(event) {
                    matches.append(WatchMatch(item: seat, event: Int32(position - start)))
                }
            }
        }
        hand(Array(events[start...]), matches, through: through)
    }

    /// Whole revisions: all events above `revision` and up to `through`, and who takes which.
    private mutating func hand(
        _ all: [WatchEvent], _ matches: [WatchMatch], through: Revision
    ) {
        revision = through
        recent.append(all, limits)
        var matches = matches
        forEachItem(of: &matches) { hub, seat, positions in
            let mine = positions.map { all[Int($0.event)] }
            guard let unsent = hub.deliver(mine, to: seat, through: through) else { return }
            hub.fallBehind(seat, next: unsent)
        }
    }

    /// Calls `body` for each item with its matches, in order.
    mutating func forEachItem(
        of matches: inout [WatchMatch],
        _ body: (inout WatchHub, Int32, ArraySlice<WatchMatch>) -> Void
    ) {
        if matches.count > 1 { matches.sort() }
        var start = 0
        while start < matches.count {
            let item = matches[start].item
            var end = start + 1
            while end < matches.count, matches[end].item == item { end += 1 }
            body(&self, item, matches[start..<end])
            start = end
        }
    }

    // MARK: Sending

    /// Sends events to a watcher as responses, whole revisions each, until its stream takes no more.
    ///
    /// - Parameters:
    ///   - events: in order; all for the watcher up to `through`.
    /// - Returns: the first revision that was not sent; nil when all were.
    mutating func deliver(
        _ events: [WatchEvent], to seat: Int32, through: Revision
    ) -> Revision? {
        let watcher = watchers[Int(seat)]
        guard let stream = streams[Int(watcher.stream)].id else {
            preconditionFailure("watcher \(seat) has no stream")
        }
        var start = 0
        while start < events.count {
            guard takesMore(watcher.stream) else { return events[start].revision }
            watchers[Int(seat)].options.remove(.isQuiet)
            let end = endOfResponse(events, from: start)
            let reached = end == events.count ? through : events[end - 1].revision
            for (piece, isLast) in pieces(of: events[start..<end], for: watcher) {
                streams[Int(watcher.stream)].turnBytes += piece.reduce(0) { $0 + $1.bytes }
                add(
                    .events(
                        WatchDelivery(
                            stream: stream, watch: watcher.id, events: piece,
                            withPrevious: watcher.options.contains(.wantsPrevious),
                            revision: reached, moreFollows: !isLast)))
            }
            start = end
        }
        return nil
    }

    /// Behind the last event of the next response: whole revisions.
    private func endOfResponse(_ events: [WatchEvent], from start: Int) -> Int {
        var end = start
        var bytes = 0
        while end < events.count {
            var next = end
            var more = 0
            while next < events.count, events[next].revision == events[end].revision {
                more += events[next].bytes
                next += 1
            }
            if end > start, bytes + more > limits.responseBytesMax { break }
            bytes += more
            end = next
        }
        return end
    }

    private func pieces(
        of events: ArraySlice<WatchEvent>, for watcher: Watcher
    ) -> [(events: [WatchEvent], isLast: Bool)] {
        guard watcher.options.contains(.takesFragments) else { return [(Array(events), true)] }
        var pieces: [[WatchEvent]] = [[]]
        var bytes = 0
        for event in events {
            if bytes > 0, bytes + event.bytes >= limits.fragmentBytesMax {
                pieces.append([])
                bytes = 0
            }
            pieces[pieces.count - 1].append(event)
            bytes += event.bytes
        }
        return pieces.enumerated().map { ($0.element, $0.offset == pieces.count - 1) }
    }
}
