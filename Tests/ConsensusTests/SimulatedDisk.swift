import Consensus
import Primitives

/// One replica's log and hard state. Fault model: a work is written whole or not at all, in the
/// order of its ticket; a crash loses works that were not synced, but any number of them, counted
/// from the oldest, may have reached the disk without the acknowledgement.
struct SimulatedDisk {
    var hardState = HardState()
    /// Entry `i` has index `i + 1`.
    var entries: [LogEntry] = []
    var peers: [PeerRecord] = []

    mutating func write(_ work: AppendWork) {
        if let hardState = work.hardState { self.hardState = hardState }
        for peer in work.peers {
            peers.removeAll { $0.replica == peer.replica }
            peers.append(peer)
        }
        if let from = work.replacedFrom {
            entries.removeLast(entries.count - Int(from.previous.rawValue))
        }
        for entry in work.entries {
            precondition(entry.index.rawValue == UInt64(entries.count + 1), "a gap at \(entry)")
            entries.append(entry)
        }
    }

    var lastIndex: LogIndex { LogIndex(UInt64(entries.count)) }

    func entry(at index: LogIndex) -> LogEntry? {
        index > .zero && index <= lastIndex ? entries[Int(index.rawValue) - 1] : nil
    }

    func entries(from first: LogIndex, through: LogIndex) -> [LogEntry] {
        Array(entries[Int(first.rawValue) - 1..<Int(through.rawValue)])
    }

    var summary: LogSummary {
        var runs: [TermRun] = []
        for entry in entries where runs.last?.term != entry.term {
            runs.append(TermRun(firstIndex: entry.index, term: entry.term))
        }
        return LogSummary(
            firstIndex: LogIndex(1), lastIndex: lastIndex, termBeforeFirst: .zero, termRuns: runs,
            lastTimestamp: entries.map(\.timestamp).max() ?? .zero)
    }
}
