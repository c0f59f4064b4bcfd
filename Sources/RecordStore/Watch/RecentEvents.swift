import RecordModel

/// The newest events of a shard, for watchers that are behind by little.
///
/// Invariant: holds every event above `after` and up to the newest revision it was given.
struct RecentEvents {
    private(set) var after: Revision
    /// Events before `head` have been let go.
    private var events: [WatchEvent?] = []
    private var head = 0
    private(set) var bytes = 0

    init(after: Revision) { self.after = after }

    var count: Int { events.count - head }

    /// Events that follow those before without a gap.
    mutating func append(_ new: [WatchEvent], _ limits: WatchLimits) {
        for event in new {
            events.append(event)
            bytes += event.bytes
        }
        while count > limits.recentEventsMax || bytes > limits.recentBytesMax { dropOldest() }
        if head > 1024, head > events.count / 2 {
            events.removeFirst(head)
            head = 0
        }
    }

    /// Nothing is known but what will be added above the revision.
    mutating func reset(after revision: Revision) { self = RecentEvents(after: revision) }

    /// Events from the revision on, which must be above `after`.
    func events(from revision: Revision) -> [WatchEvent] {
        precondition(
            revision > after, "events from \(revision) are gone: all after \(after) are kept")
        var (low, high) = (head, events.count)
        while low < high {
            let middle = low + (high - low) / 2
            if event(middle).revision < revision { low = middle + 1 } else { high = middle }
        }
        return events[low...].compactMap(\.self)
    }

    private func event(_ position: Int) -> WatchEvent {
        guard let event = events[position] else { preconditionFailure("event \(position) is gone") }
        return event
    }

    private mutating func dropOldest() {
        let oldest = event(head)
        after = oldest.revision
        // The rest of the revision goes with it.
        while head < events.count, event(head).revision == after {
            bytes -= event(head).bytes
            events[head] = nil
            head += 1
        }
    }
}
