import Primitives
import RecordModel

/// What a hub wants read from disk for watchers that are behind.
package struct WatchRead: Sendable {
    package struct Selector: Sendable {
        var watcher: WatcherReference
        var range: KeyRange
        /// The first revision that it has not seen.
        var next: Revision
        var options: Watcher.Options
    }
    /// Where to begin.
    package var from: Revision
    /// None: everything is wanted.
    package var selectors: [Selector]
    package var rowsMax: Int
    package var bytesMax: Int
}

/// What a read found.
package struct WatchReadResult: Sendable {
    /// nil: the shard does not serve now (it is being restored).
    package var found: Found?
    package var selectors: [WatchRead.Selector]

    package struct Found: Sendable {
        /// Watchers whose next revision is below it have lost events.
        package var compactRevision: Revision
        /// Events up to here were looked at, whole revisions only.
        package var through: Revision
        package var events: [WatchEvent]
        /// Which event is for which selector: ordered by selector, then event.
        package var matches: [WatchMatch]
    }
}

/// An event for a watcher, by their positions in two lists.
package struct WatchMatch: Hashable, Comparable, Sendable {
    var item: Int32
    var event: Int32
    package static func < (a: Self, b: Self) -> Bool {
        a.item != b.item ? a.item < b.item : a.event < b.event
    }
}
