import Consensus
import Primitives
import ReplicatedLog
import Testing

@testable import NodeRuntime

/// Several appends of one group that wait for the log become one: what the log holds afterwards
/// must be what it would hold had each been written.
@Suite struct AppendMergingTests {
    /// A group's log as plain arrays: the model.
    private struct Model: Equatable {
        var entries: [LogEntry] = []
        var hardState: HardState?

        mutating func apply(_ append: GroupAppend) {
            if let state = append.hardState { hardState = state }
            if let from = append.replaceFrom { entries.removeAll { $0.index >= from } }
            for entry in append.entries {
                precondition(entry.index.rawValue == UInt64(entries.count) + 1)
                entries.append(entry)
            }
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func mergedAppendsLeaveTheSameLog(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var start = Model()
        start.apply(GroupAppend(group: GroupID(1), entries: Self.entries(1...5, term: 1)[...]))
        var oneByOne = start
        var merged = GroupAppend(group: GroupID(1))
        var last: UInt64 = 5
        for step in 0..<UInt64.random(in: 1...8, using: &generator) {
            let term = step + 2
            let replaces = Bool.random(using: &generator)
            let from = replaces ? UInt64.random(in: 1...last + 1, using: &generator) : last + 1
            let count = UInt64.random(in: 0...4, using: &generator)
            let entries = count == 0 ? [] : Self.entries(from...from + count - 1, term: term)
            let hard = Bool.random(using: &generator) ? HardState(term: Term(term)) : nil
            let work = AppendWork(
                ticket: AppendTicket(step), hardState: hard,
                replacedFrom: replaces ? LogIndex(from) : nil, entries: entries,
                messagesAfterDurable: [])
            oneByOne.apply(
                GroupAppend(
                    group: GroupID(1), hardState: hard, replaceFrom: work.replacedFrom,
                    entries: entries[...]))
            merged.follow(with: work)
            last = UInt64(oneByOne.entries.count)
        }
        var atOnce = start
        atOnce.apply(merged)
        #expect(atOnce == oneByOne, "seed \(seed)")
    }

    private static func entries(_ indices: ClosedRange<UInt64>, term: UInt64) -> [LogEntry] {
        indices.map {
            LogEntry(
                term: Term(term), index: LogIndex($0), timestamp: .zero,
                payload: .command([UInt8(term)]))
        }
    }
}
