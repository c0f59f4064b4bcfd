import Consensus
import Primitives

/// One replica's log and hard state. Fault model: a work is written whole or not at all, in the
/// order of its ticket; a crash loses works that were not synced, but any number of them, counted
/// from the oldest, may have reached the disk without the acknowledgement. Damaged entries cannot
/// be read.
struct SimulatedDisk {
    var hardState = HardState()
    /// Entry `i` has index `i + 1`. Those up to `startIndex` are gone from the log and are those of
    /// the state that stands for them; nothing reads them but the checker. Of damaged ones it is
    /// what they held.
    var entries: [LogEntry] = []
    var start: LogStart?
    /// Ascending.
    var damaged: [LogIndex] = []
    /// What a repair wrote that was not what the entry had held.
    var wrongRepairs: [LogEntry] = []
    var peers: [PeerRecord] = []
    var peersAreIncomplete = false

    /// - Parameter state: what the state machine durably is.
    mutating func write(_ work: AppendWork, state: ArraySlice<LogEntry> = []) {
        if let start = work.start { begin(start, state) }
        for entry in work.repaired where damaged.contains(entry.index) {
            if entry != self.entry(at: entry.index) { wrongRepairs.append(entry) }
            damaged.removeAll { $0 == entry.index }
        }
        if let hardState = work.hardState { self.hardState = hardState }
        for peer in work.peers {
            peers.removeAll { $0.replica == peer.replica }
            peers.append(peer)
        }
        if let from = work.replacedFrom {
            precondition(from > startIndex, "replacing from \(from), begins behind \(startIndex)")
            entries.removeLast(entries.count - Int(from.previous.rawValue))
            damaged.removeAll { $0 >= from }
        }
        for entry in work.entries {
            precondition(entry.index.rawValue == UInt64(entries.count + 1), "a gap at \(entry)")
            entries.append(entry)
        }
    }

    private mutating func begin(_ start: LogStart, _ state: ArraySlice<LogEntry>) {
        let end = Int(start.index.rawValue)
        precondition(
            state.count >= end && start.index >= startIndex,
            "begins behind \(start.index), the state is at \(state.count)")
        let suffix = start.replacesAll ? [] : entries.dropFirst(end)
        precondition(
            start.replacesAll || entries[end - 1].term == start.term,
            "the log has no entry \(start.index) of term \(start.term)")
        entries = Array(state.prefix(end)) + suffix
        damaged.removeAll { $0 <= start.index || start.replacesAll }
        self.start = start
    }

    var startIndex: LogIndex { start?.index ?? .zero }

    var lastIndex: LogIndex { LogIndex(UInt64(entries.count)) }

    func entry(at index: LogIndex) -> LogEntry? {
        index > .zero && index <= lastIndex ? entries[Int(index.rawValue) - 1] : nil
    }

    /// As the log reads them: nil when the first has gone, up to the first damaged one otherwise.
    func read(from first: LogIndex, through: LogIndex) -> [LogEntry]? {
        guard first > startIndex, through <= lastIndex else { return nil }
        let lost = damaged.first { $0 >= first && $0 <= through }
        let end = lost.map(\.previous) ?? through
        return end < first ? [] : entries(from: first, through: end)
    }

    func entries(from first: LogIndex, through: LogIndex) -> [LogEntry] {
        Array(entries[Int(first.rawValue) - 1..<Int(through.rawValue)])
    }

    /// The one in force where the log begins, or the bootstrap's, and those in the log that can be
    /// read.
    func configurations(after bootstrap: Configuration) -> [ConfigurationEntry] {
        func decoded(_ bytes: Bytes, _ index: LogIndex) -> ConfigurationEntry {
            do {
                let configuration = try Configuration(decoding: bytes)
                return ConfigurationEntry(index: index, configuration: configuration)
            } catch {
                preconditionFailure("\(error) in \(index)")
            }
        }
        let first =
            start.map { decoded($0.configuration, $0.configurationIndex) }
            ?? ConfigurationEntry(index: .zero, configuration: bootstrap)
        let held = entries.dropFirst(Int(startIndex.rawValue)).compactMap { entry in
            guard case .configuration(let bytes) = entry.payload, !damaged.contains(entry.index)
            else { return nil as ConfigurationEntry? }
            return decoded(bytes, entry.index)
        }
        return [first] + held
    }

    var summary: LogSummary {
        var runs: [TermRun] = []
        for entry in entries.dropFirst(Int(startIndex.rawValue)) where runs.last?.term != entry.term
        {
            runs.append(TermRun(firstIndex: entry.index, term: entry.term))
        }
        let readable = entries.filter { !damaged.contains($0.index) }
        return LogSummary(
            firstIndex: startIndex.next, lastIndex: lastIndex,
            termBeforeFirst: start?.term ?? .zero, termRuns: runs,
            lastTimestamp: max(
                start?.timestamp ?? .zero, readable.map(\.timestamp).max() ?? .zero))
    }
}
