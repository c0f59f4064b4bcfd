import Primitives

extension LogEntry {
    /// What an entry counts against limits in bytes: its payload, and 32 for the rest, so that
    /// entries without payload have a limit too.
    var accountedBytes: Int { payloadBytes + Self.frameBytes }
    static var frameBytes: Int { 32 }

    /// What a witness gets: the entry's place, its term and its stamp. Configurations stay whole,
    /// since they say whose votes count.
    var withoutCommand: LogEntry {
        guard case .command = payload else { return self }
        var entry = self
        entry.payload = .empty
        return entry
    }
}

/// The recent end of a log, in memory.
struct EntryCache: Sendable {
    private var entries = Queue<LogEntry>()
    /// The first entry held; the next to be appended when none is.
    private(set) var firstIndex: LogIndex
    private(set) var bytes = 0

    /// Empty, before the entry `nextIndex`.
    init(nextIndex: LogIndex) { firstIndex = nextIndex }

    var count: Int { entries.count }
    var nextIndex: LogIndex { firstIndex + UInt64(entries.count) }

    func holds(_ index: LogIndex) -> Bool { index >= firstIndex && index < nextIndex }

    subscript(index: LogIndex) -> LogEntry {
        precondition(
            index >= firstIndex && index < nextIndex,
            "entry \(index) of a cache of \(firstIndex)..<\(nextIndex)")
        return entries[Int(index.rawValue - firstIndex.rawValue)]
    }

    mutating func append(_ entry: LogEntry) {
        precondition(entry.index == nextIndex, "entry \(entry.index) at \(nextIndex)")
        entries.append(entry)
        bytes += entry.accountedBytes
    }

    /// Forgets the entries from `index` on, which the log replaces.
    mutating func truncate(from index: LogIndex) {
        guard index > firstIndex else {
            entries.removeAll()
            bytes = 0
            firstIndex = index
            return
        }
        guard index < nextIndex else { return }
        let kept = Int(index.rawValue - firstIndex.rawValue)
        for position in kept..<entries.count { bytes -= entries[position].accountedBytes }
        entries.removeLast(entries.count - kept)
    }

    /// Forgets the entries up to `index`, which the log no longer holds.
    mutating func forget(through index: LogIndex) {
        while firstIndex <= index, let oldest = entries.popFirst() {
            bytes -= oldest.accountedBytes
            firstIndex = firstIndex.next
        }
        if entries.isEmpty { firstIndex = max(firstIndex, index.next) }
    }

    /// Forgets everything: the next entry to come is `nextIndex`.
    mutating func restart(at nextIndex: LogIndex) {
        entries.removeAll()
        bytes = 0
        firstIndex = nextIndex
    }

    /// Forgets the oldest entries down to `bytesMax`, none above `limit`.
    mutating func evict(toBytes bytesMax: Int, through limit: LogIndex) {
        while bytes > bytesMax, firstIndex <= limit, let oldest = entries.popFirst() {
            bytes -= oldest.accountedBytes
            firstIndex = firstIndex.next
        }
    }

    /// Entries from `first`, up to `through` and `maxBytes`, but at least one.
    func slice(
        from first: LogIndex, through: LogIndex, maxBytes: Int
    ) -> (entries: [LogEntry], bytes: Int) {
        var result: [LogEntry] = []
        var sum = 0
        var index = first
        while index <= through {
            let entry = self[index]
            if !result.isEmpty && sum + entry.accountedBytes > maxBytes { break }
            result.append(entry)
            sum += entry.accountedBytes
            index = index.next
        }
        return (result, sum)
    }
}
