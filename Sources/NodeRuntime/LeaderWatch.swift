import RecordStore

/// Streams whose clients want to be told when there is no leader (etcd `monitorLeader`): looked at
/// once in an election timeout, and given up after three looks in a row without one.
struct LeaderWatch {
    private static let looksMax = 3

    private let interval: UInt64
    /// Looks in a row without a leader, by stream. Iterated in order only.
    private var misses: [WatchStreamID: Int] = [:]
    /// Nanoseconds of CLOCK_MONOTONIC; nil while there is nothing to look at.
    private(set) var due: UInt64?

    init(interval: UInt64) { self.interval = interval }

    mutating func add(_ id: WatchStreamID, now: UInt64) {
        misses[id] = 0
        if due == nil { due = now + interval }
    }

    mutating func remove(_ id: WatchStreamID) {
        misses[id] = nil
        if misses.isEmpty { due = nil }
    }

    /// - Returns: the streams to end.
    mutating func look(now: UInt64, hasLeader: (WatchStreamID) -> Bool) -> [WatchStreamID] {
        guard let due, due <= now else { return [] }
        self.due = now + interval
        var lost: [WatchStreamID] = []
        for id in misses.keys.sorted() {
            let count = hasLeader(id) ? 0 : misses[id, default: 0] + 1
            misses[id] = count
            if count >= Self.looksMax { lost.append(id) }
        }
        return lost
    }
}
