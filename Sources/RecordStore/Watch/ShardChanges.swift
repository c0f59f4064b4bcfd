import Primitives
import RecordModel

/// What a batch of entries changed, for watchers.
///
/// Invariants:
/// 1. `events` holds every change of the revisions above `after` and up to `through`, in order of
///    revision and sub-revision, and no other.
/// 2. `after <= through`.
/// 3. An event's previous record is of an earlier revision than the event.
package struct ShardChanges: Sendable {
    /// What happened up to this revision is not here: it was known before, or can only be read.
    package var after: Revision
    package var through: Revision
    /// The compaction floor at the end; `Revision.none`: nothing has been compacted.
    package var compactRevision: Revision
    package var events: [WatchEvent] = []

    package init(
        after: Revision, through: Revision, compactRevision: Revision, events: [WatchEvent] = []
    ) {
        self.after = after
        self.through = through
        self.compactRevision = compactRevision
        self.events = events
    }

    init(from state: AppliedState) {
        self.init(
            after: state.watchableRevision, through: state.watchableRevision,
            compactRevision: state.watchableCompactRevision)
    }

    /// A command is done. What it gathered stands only if it took the one next revision; a restore
    /// moves the shard on by many, whose events are on disk.
    ///
    /// - Parameter count: of events before the command.
    mutating func commandEnded(count: Int, state: AppliedState) {
        let now = state.watchableRevision
        if now == through {
            events.removeLast(events.count - count)
        } else if now != through.next || events.count == count {
            events.removeAll()
            after = now
        } else {
            tellOfRevisionBefore(from: count)
        }
        through = now
        compactRevision = state.watchableCompactRevision
    }

    /// A key that one revision changes more than once was, for each of its events, before it what it
    /// was at the revision before, but for one that creates it: so etcd reads (v3rpc `watch.go`,
    /// `sendLoop`), and no client ever saw what was in between.
    ///
    /// - Parameter start: of the events of the revision; each has the record before itself.
    private mutating func tellOfRevisionBefore(from start: Int) {
        guard events.count > start + 1 else { return }
        var before: [Bytes: Record?] = [:]
        for position in start..<events.count {
            let event = events[position]
            guard let record = before[event.key] else {
                before.updateValue(event.previous, forKey: event.key)
                continue
            }
            events[position] = WatchEvent(
                key: event.key, revision: event.revision, subRevision: event.subRevision,
                record: event.record, previous: event.isCreation ? nil : record)
        }
    }

    /// Joins what was applied next.
    package mutating func append(_ next: ShardChanges) {
        precondition(
            next.after >= through, "changes after \(next.after) follow those up to \(through)")
        if next.after > through {
            events = next.events
            after = next.after
        } else {
            events.append(contentsOf: next.events)
        }
        through = next.through
        compactRevision = next.compactRevision
    }

    /// Forgets the events: they are on disk.
    package mutating func dropEvents() {
        events = []
        after = through
    }
}

extension AppliedState {
    /// What watchers may know of: a keyspace that is being restored stands where an empty one does.
    var watchableRevision: Revision { refusal == nil ? revision : .initial }
    var watchableCompactRevision: Revision { refusal == nil ? compactRevision : .none }
}
