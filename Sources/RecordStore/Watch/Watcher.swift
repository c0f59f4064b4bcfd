import Primitives
import RecordModel

/// One watcher of a stream. There may be millions: kept small.
struct Watcher {
    enum Place: UInt8 {
        /// The seat is free.
        case none
        /// Told of every event as it is applied.
        case synced
        /// Behind, in its stream's queue.
        case waiting
        /// Behind, and a read for it is under way.
        case reading
    }

    struct Options: OptionSet {
        let rawValue: UInt8
        static let leavesOutPuts = Options(rawValue: 1)
        static let leavesOutDeletions = Options(rawValue: 2)
        static let wantsPrevious = Options(rawValue: 4)
        static let takesFragments = Options(rawValue: 8)
        static let wantsProgress = Options(rawValue: 16)
        /// Had no event since progress was looked at last.
        static let isQuiet = Options(rawValue: 32)
    }

    var range: KeyRange
    var id: Int64
    /// The first revision that it has not seen. Of a synced watcher it counts only while it is above
    /// the revisions to come.
    var next: Revision
    /// The stream's seat.
    var stream: Int32
    /// Raised each time the seat is given away, so that what speaks of the one before is known.
    var generation: UInt32
    var place: Place
    var options: Options

    var isBehind: Bool { place == .waiting || place == .reading }

    func takes(_ event: WatchEvent) -> Bool {
        event.revision >= next && options.takes(event)
    }
}

extension Watcher.Options {
    init(_ request: WatchRequest) {
        self = [.isQuiet]
        if request.leavesOutPuts { insert(.leavesOutPuts) }
        if request.leavesOutDeletions { insert(.leavesOutDeletions) }
        if request.wantsPrevious { insert(.wantsPrevious) }
        if request.takesFragments { insert(.takesFragments) }
        if request.wantsProgress { insert(.wantsProgress) }
    }

    func takes(_ event: WatchEvent) -> Bool {
        !contains(event.isDeletion ? .leavesOutDeletions : .leavesOutPuts)
    }
}

/// A watcher's seat, and which of those that sat there is meant.
struct WatcherReference: Hashable, Sendable {
    var seat: Int32
    var generation: UInt32
}

/// A stream of watchers as the hub sees it.
struct WatchStream {
    /// nil: the seat is free.
    var id: WatchStreamID?
    /// The watchers' seats by id; `WatchHub.goneSeat` where the watcher was ended by a compaction:
    /// its id stays taken until the client cancels it, as in etcd. Iterated in order only.
    var seats: [Int64: Int32] = [:]
    /// Where the search for a free id begins.
    var nextID: Int64 = 0
    /// Watchers that wait to catch up, in turn; some may be gone.
    var waiting: [WatcherReference] = []
    /// Watchers that are behind: what `waiting` holds and is not gone, and what is being read for.
    var behindCount = 0
    /// Less waits to be sent than the stream may hold.
    var isWritable = true
    /// Bytes handed out since the stream last said that it is writable.
    var turnBytes = 0
    /// In the queue for reads.
    var isReady = false
    var progressRequests = 0
    /// Watchers that asked for progress; some may be gone.
    var notified: [WatcherReference] = []
    var progressDue: MonotonicTime?
}
