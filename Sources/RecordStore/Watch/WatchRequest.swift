import RecordModel

/// What a client asks to be told of (etcd `WatchCreateRequest`).
package struct WatchRequest: Hashable, Sendable {
    package var range: KeyRange
    /// nil: what comes after now.
    package var start: Revision?
    /// nil: the server chooses.
    package var id: Int64?
    package var leavesOutPuts: Bool
    package var leavesOutDeletions: Bool
    /// Asks for the versions before.
    package var wantsPrevious: Bool
    /// Asks for an empty response now and then while nothing happens.
    package var wantsProgress: Bool
    /// One revision may be split over several responses.
    package var takesFragments: Bool

    package init(
        range: KeyRange, start: Revision? = nil, id: Int64? = nil, leavesOutPuts: Bool = false,
        leavesOutDeletions: Bool = false, wantsPrevious: Bool = false, wantsProgress: Bool = false,
        takesFragments: Bool = false
    ) {
        self.range = range
        self.start = start
        self.id = id
        self.leavesOutPuts = leavesOutPuts
        self.leavesOutDeletions = leavesOutDeletions
        self.wantsPrevious = wantsPrevious
        self.wantsProgress = wantsProgress
        self.takesFragments = takesFragments
    }
}

/// Why a watcher was not made. The texts that clients see are etcd's.
package enum WatchRefusal: Hashable, Sendable {
    /// The range ends at or below its first key.
    case emptyRange
    /// The id is taken on the stream.
    case duplicateID
    /// The start is no revision.
    case negativeStart
}

/// A stream of watchers on one shard; never given twice while the node runs.
package struct WatchStreamID: Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// What a hub wants sent on a stream, in this order.
package enum WatchEffect: Sendable {
    case created(WatchStreamID, watch: Int64, revision: Revision)
    case refused(WatchStreamID, WatchRefusal, revision: Revision)
    /// The client has cancelled it.
    case cancelled(WatchStreamID, watch: Int64, revision: Revision)
    /// What it still had to be told has been compacted.
    case compacted(WatchStreamID, watch: Int64, floor: Revision)
    case events(WatchDelivery)
    /// Everything up to the revision has been sent: to the watcher, or to all of the stream (nil).
    case progress(WatchStreamID, watch: Int64?, revision: Revision)
}

/// Events for one watcher: one response.
package struct WatchDelivery: Sendable {
    package var stream: WatchStreamID
    package var watch: Int64
    /// In order, at least one; all events of each revision that the watcher is to be told of,
    /// unless `moreFollows`.
    package var events: [WatchEvent]
    package var withPrevious: Bool
    /// How far the watcher has come with these.
    package var revision: Revision
    /// The last revision goes on in the next response (etcd `fragment`).
    package var moreFollows: Bool
}
