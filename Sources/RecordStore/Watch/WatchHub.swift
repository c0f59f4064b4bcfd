import Primitives
import RecordModel

/// Who watches a shard, how far each has come, and what each is to be told: what was applied, what a
/// client asked and what was read come in, what is to be sent and what is to be read come out. It
/// belongs to one thread and never waits.
///
/// A watcher is *synced* while it is told of everything as it is applied. One whose stream takes no
/// more falls behind: the hub keeps a revision for it, and nothing else. Once the stream takes more,
/// it catches up from the events that are still in memory, or from disk.
///
/// Invariants (`checkInvariants`):
/// 1. A synced watcher has been sent every event of its range from its start up to `revision`.
/// 2. A watcher that is behind has been sent every one below its `next`, and `next <= revision`.
/// 3. No watcher is sent an event twice, or an older one after a newer.
/// 4. A watcher that is behind and whose stream takes more is in the stream's queue, the stream is in
///    `ready`, or a read for the watcher is under way.
/// 5. `recent` ends at `revision`.
package struct WatchHub {
    /// Marks an id of a stream that is taken although its watcher is gone.
    static let goneSeat: Int32 = -1

    let limits: WatchLimits
    /// Everything up to here has been handed to the synced watchers.
    package internal(set) var revision: Revision
    package internal(set) var compactRevision: Revision

    var watchers: [Watcher] = []
    private var freeWatchers: [Int32] = []
    var streams: [WatchStream] = []
    private var freeStreams: [Int32] = []
    private var streamSeats: [WatchStreamID: Int32] = [:]
    var index: WatchIndex
    var recent: RecentEvents
    /// Streams that have watchers waiting for a read, in turn.
    var ready: [Int32] = []
    /// What was applied behind a gap that has to be read first.
    var held: ShardChanges?
    var isReading = false
    /// The shard did not serve the last read: no other until it has applied something.
    var isSuspended = false
    private(set) var effects: [WatchEffect] = []

    var generator: SeededGenerator
    /// How often a quiet watcher that asked for it is told how far it has come.
    let progressInterval: UInt64
    var progressDue: MonotonicTime?
    var now = MonotonicTime(nanoseconds: 0)

    /// - Parameter progressNanoseconds: etcd's `--watch-progress-notify-interval`; up to a tenth is
    ///   added at random for each stream, so that streams made together are not told together.
    package init(
        revision: Revision, compactRevision: Revision, limits: WatchLimits = WatchLimits(),
        progressNanoseconds: UInt64, seed: UInt64
    ) {
        self.limits = limits
        self.revision = revision
        self.compactRevision = compactRevision
        progressInterval = progressNanoseconds
        index = WatchIndex(seed: seed)
        recent = RecentEvents(after: revision)
        generator = SeededGenerator(seed: seed ^ 0x5741_5443_4855_4221)
    }

    package var watcherCount: Int { watchers.count - freeWatchers.count }
    package var streamCount: Int { streamSeats.count }
    /// Watchers that are behind.
    package internal(set) var behindCount = 0

    /// What is to be sent, in order. The caller then says of each stream that it sent to whether it
    /// takes more (`streamIsWritable`).
    package mutating func takeEffects() -> [WatchEffect] {
        defer { effects = [] }
        return effects
    }

    mutating func add(_ effect: WatchEffect) { effects.append(effect) }

    // MARK: Streams

    package mutating func streamOpened(_ id: WatchStreamID) {
        precondition(streamSeats[id] == nil, "stream \(id.rawValue) was opened twice")
        let seat = freeStreams.popLast() ?? Int32(streams.count)
        if Int(seat) == streams.count { streams.append(WatchStream()) }
        streams[Int(seat)] = WatchStream(id: id)
        streamSeats[id] = seat
    }

    /// Its watchers are gone, and nothing more is sent on it. Closing what is not open is a race
    /// between the client's end and ours.
    package mutating func streamClosed(_ id: WatchStreamID) {
        guard let seat = streamSeats.removeValue(forKey: id) else { return }
        for watcher in streams[Int(seat)].seats.values.sorted() where watcher != Self.goneSeat {
            free(watcher)
        }
        // A stream in the queue for reads keeps its seat until its turn.
        let isReady = streams[Int(seat)].isReady
        streams[Int(seat)] = WatchStream(id: nil)
        streams[Int(seat)].isReady = isReady
        if !isReady { freeStreams.append(seat) }
    }

    /// The stream has left the queue for reads.
    mutating func leftQueue(_ seat: Int32) {
        streams[Int(seat)].isReady = false
        if streams[Int(seat)].id == nil { freeStreams.append(seat) }
    }

    func seat(of stream: WatchStreamID) -> Int32? { streamSeats[stream] }

    /// What the stream has been given has been taken from it, or not yet.
    package mutating func streamIsWritable(_ id: WatchStreamID, _ isWritable: Bool) {
        guard let seat = streamSeats[id] else { return }
        streams[Int(seat)].isWritable = isWritable
        guard isWritable else { return }
        streams[Int(seat)].turnBytes = 0
        guard streams[Int(seat)].behindCount > 0, !streams[Int(seat)].isReady else { return }
        let waiting = streams[Int(seat)].waiting
        streams[Int(seat)].waiting = []
        catchUp(waiting)
    }

    func takesMore(_ seat: Int32) -> Bool {
        streams[Int(seat)].isWritable
            && streams[Int(seat)].turnBytes < limits.streamTurnBytesMax
    }

    // MARK: Watchers

    mutating func seatWatcher(_ watcher: Watcher) -> Int32 {
        let seat = freeWatchers.popLast() ?? Int32(watchers.count)
        var watcher = watcher
        if Int(seat) == watchers.count {
            watchers.append(watcher)
        } else {
            watcher.generation = watchers[Int(seat)].generation
            watchers[Int(seat)] = watcher
        }
        watchers[Int(seat)].range = index.insert(seat, watcher.range)
        return seat
    }

    /// The watcher is gone; its id on the stream is the caller's to free.
    mutating func free(_ seat: Int32) {
        let watcher = watchers[Int(seat)]
        index.remove(seat, watcher.range)
        if watcher.isBehind {
            behindCount -= 1
            streams[Int(watcher.stream)].behindCount -= 1
        }
        watchers[Int(seat)].range = .key([])
        watchers[Int(seat)].place = .none
        watchers[Int(seat)].generation &+= 1
        freeWatchers.append(seat)
    }

    func reference(_ seat: Int32) -> WatcherReference {
        WatcherReference(seat: seat, generation: watchers[Int(seat)].generation)
    }

    /// nil when the watcher that was meant is gone.
    func seat(of reference: WatcherReference) -> Int32? {
        watchers[Int(reference.seat)].generation == reference.generation ? reference.seat : nil
    }

    mutating func fallBehind(_ seat: Int32, next: Revision) {
        let stream = Int(watchers[Int(seat)].stream)
        watchers[Int(seat)].next = next
        if !watchers[Int(seat)].isBehind {
            behindCount += 1
            streams[stream].behindCount += 1
        }
        watchers[Int(seat)].place = .waiting
        streams[stream].waiting.append(reference(seat))
    }

    mutating func becomeSynced(_ seat: Int32) {
        guard watchers[Int(seat)].isBehind else { return }
        watchers[Int(seat)].place = .synced
        behindCount -= 1
        let stream = watchers[Int(seat)].stream
        streams[Int(stream)].behindCount -= 1
        answerProgress(stream)
    }

    /// Ends a watcher that has lost events.
    mutating func endCompacted(_ seat: Int32) {
        let watcher = watchers[Int(seat)]
        guard let stream = streams[Int(watcher.stream)].id else {
            preconditionFailure("watcher \(seat) has no stream")
        }
        streams[Int(watcher.stream)].seats[watcher.id] = Self.goneSeat
        free(seat)
        add(.compacted(stream, watch: watcher.id, floor: compactRevision))
        answerProgress(watcher.stream)
    }
}
