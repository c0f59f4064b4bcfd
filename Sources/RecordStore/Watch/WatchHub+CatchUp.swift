import Primitives
import RecordModel

/// How watchers that are behind catch up: from memory at once, from disk in turn.
extension WatchHub {
    // MARK: From memory

    /// Brings watchers as far as memory allows; the others, and those whose stream takes no more, go
    /// back to their streams' queues. None of them is in a queue now.
    mutating func catchUp(_ references: [WatcherReference]) {
        var near: [Int32] = []
        for reference in references {
            guard let seat = seat(of: reference) else { continue }
            let next = watchers[Int(seat)].next
            if next > revision {
                becomeSynced(seat)
            } else if next < compactRevision {
                endCompacted(seat)
            } else if next > recent.after {
                near.append(seat)
            } else {
                wait(seat)
            }
        }
        guard let first = near.map({ watchers[Int($0)].next }).min() else { return }
        let events = recent.events(from: first)
        // Each may match each.
        let part = max(1, limits.matchesMax / max(1, events.count))
        for start in stride(from: 0, to: near.count, by: part) {
            bring(Array(near[start..<min(start + part, near.count)]), events)
        }
    }

    /// - Parameters:
    ///   - near: seats whose next revision is among the events, or before them.
    ///   - events: all from there up to `revision`.
    private mutating func bring(_ near: [Int32], _ events: [WatchEvent]) {
        var matches = WatchMatcher.matches(
            events, for: near.map { watchers[Int($0)].range },
            takes: { [watchers] in watchers[Int(near[$0])].takes($1) })
        var position = 0
        let through = revision
        forEachItem(of: &matches) { hub, item, mine in
            while position < Int(item) {
                hub.caughtUp(near[position])
                position += 1
            }
            position += 1
            let seat = near[Int(item)]
            let mine = mine.map { events[Int($0.event)] }
            if let unsent = hub.deliver(mine, to: seat, through: through) {
                hub.watchers[Int(seat)].next = unsent
                hub.wait(seat)
            } else {
                hub.caughtUp(seat)
            }
        }
        while position < near.count {
            caughtUp(near[position])
            position += 1
        }
    }

    /// It has been sent everything up to `revision`.
    private mutating func caughtUp(_ seat: Int32) {
        watchers[Int(seat)].next = revision.next
        becomeSynced(seat)
    }

    private mutating func wait(_ seat: Int32) {
        let stream = watchers[Int(seat)].stream
        watchers[Int(seat)].place = .waiting
        streams[Int(stream)].waiting.append(reference(seat))
        makeReady(stream)
    }

    private mutating func makeReady(_ stream: Int32) {
        guard !streams[Int(stream)].isReady, takesMore(stream) else { return }
        streams[Int(stream)].isReady = true
        ready.append(stream)
    }

    // MARK: From disk

    /// The next read, when one is due and none is under way. Streams have their turns one after
    /// another, and in each stream watchers, so that one far behind does not keep the others.
    package mutating func nextRead() -> WatchRead? {
        guard !isReading, !isSuspended else { return nil }
        if held != nil {
            isReading = true
            return WatchRead(
                from: revision.next, selectors: [], rowsMax: limits.readRowsMax,
                bytesMax: limits.readBytesMax)
        }
        var chosen: [Int32] = []
        var considered = 0
        var turns = ready.count
        while turns > 0, considered < 2 * limits.readWatchersMax {
            turns -= 1
            let stream = ready.removeFirst()
            leftQueue(stream)
            guard takesMore(stream) else { continue }
            choose(from: stream, &chosen, &considered)
            if !streams[Int(stream)].waiting.isEmpty { makeReady(stream) }
        }
        guard let first = chosen.first else { return nil }
        isReading = true
        return WatchRead(
            from: watchers[Int(first)].next, selectors: chosen.map(selector),
            rowsMax: limits.readRowsMax, bytesMax: limits.readBytesMax)
    }

    /// Takes from the stream's queue who can share the read that the first one chosen needs.
    private mutating func choose(
        from stream: Int32, _ chosen: inout [Int32], _ considered: inout Int
    ) {
        let waiting = streams[Int(stream)].waiting
        streams[Int(stream)].waiting = []
        var left: [WatcherReference] = []
        var near: [WatcherReference] = []
        for (position, reference) in waiting.enumerated() {
            guard considered < 2 * limits.readWatchersMax, chosen.count < limits.readWatchersMax
            else {
                // Those that were looked at go behind the others.
                left.insert(contentsOf: waiting[position...], at: 0)
                break
            }
            guard let seat = seat(of: reference) else { continue }
            considered += 1
            let next = watchers[Int(seat)].next
            let base = chosen.first.map { watchers[Int($0)].next } ?? next
            if next < compactRevision || next > recent.after {
                near.append(reference)
            } else if next >= base, next.rawValue - base.rawValue < Int64(limits.readRowsMax) {
                watchers[Int(seat)].place = .reading
                chosen.append(seat)
            } else {
                left.append(reference)
            }
        }
        streams[Int(stream)].waiting = left
        catchUp(near)
    }

    private func selector(_ seat: Int32) -> WatchRead.Selector {
        let watcher = watchers[Int(seat)]
        return WatchRead.Selector(
            watcher: reference(seat), range: watcher.range, next: watcher.next,
            options: watcher.options)
    }

    /// A read is done.
    package mutating func wasRead(_ result: WatchReadResult) {
        precondition(isReading, "a read was answered that was not asked for")
        isReading = false
        guard var found = result.found else {
            isSuspended = true
            for selector in result.selectors {
                if let seat = seat(of: selector.watcher) { wait(seat) }
            }
            return
        }
        compactRevision = max(compactRevision, found.compactRevision)
        guard !result.selectors.isEmpty else { return readForAll(found) }
        var behind: [WatcherReference] = []
        var position = 0
        let events = found.events
        let through = found.through
        func passed(_ hub: inout WatchHub, upTo end: Int) {
            while position < end {
                hub.read(result.selectors[position], [], through, &behind)
                position += 1
            }
        }
        forEachItem(of: &found.matches) { hub, item, mine in
            passed(&hub, upTo: Int(item))
            position += 1
            hub.read(
                result.selectors[Int(item)], mine.map { events[Int($0.event)] }, through, &behind)
        }
        passed(&self, upTo: result.selectors.count)
        catchUp(behind)
    }

    private mutating func read(
        _ selector: WatchRead.Selector, _ events: [WatchEvent], _ through: Revision,
        _ behind: inout [WatcherReference]
    ) {
        guard let seat = seat(of: selector.watcher) else { return }
        if selector.next < compactRevision {
            endCompacted(seat)
        } else if let unsent = deliver(events, to: seat, through: through) {
            watchers[Int(seat)].next = unsent
            wait(seat)
        } else {
            watchers[Int(seat)].next = max(selector.next, through.next)
            behind.append(selector.watcher)
        }
    }

    /// The gap before `held` has been read, or a part of it.
    private mutating func readForAll(_ found: WatchReadResult.Found) {
        guard let changes = held else { preconditionFailure("a gap was read that is not there") }
        if revision.next < compactRevision { skip(to: compactRevision) }
        dispatch(found.events[...], through: max(found.through, revision))
        guard revision >= changes.after else { return }
        held = nil
        dispatch(changes.events[...], through: changes.through)
    }

    /// What lies between is compacted: who had to be told of it has lost it.
    private mutating func skip(to floor: Revision) {
        for seat in watchers.indices
        where watchers[seat].place == .synced && watchers[seat].next < floor {
            endCompacted(Int32(seat))
        }
        revision = Revision(floor.rawValue - 1)
        recent.reset(after: revision)
    }
}
