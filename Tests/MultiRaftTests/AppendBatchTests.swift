import Consensus
import Primitives
import Testing

@testable import MultiRaft

/// Several appends of one group that wait for the log become one: what the log holds afterwards
/// must be what it would hold had each been written.
@Suite struct AppendBatchTests {
    /// A group's log as plain values: the model.
    private struct Model: Equatable {
        var start: UInt64 = 0
        var entries: [LogEntry] = []
        var hardState: HardState?
        var peers: [PeerRecord] = []
        /// Damaged entries whose contents came back.
        var repaired: [LogIndex] = []

        mutating func write(_ work: AppendWork) {
            if let begin = work.start {
                if begin.replacesAll {
                    entries = []
                    repaired = []
                }
                entries.removeAll { $0.index <= begin.index }
                repaired.removeAll { $0 <= begin.index }
                start = begin.index.rawValue
            }
            for record in work.peers {
                peers.removeAll { $0.replica == record.replica }
                peers.append(record)
            }
            repaired += work.repaired.map(\.index)
            if let state = work.hardState { hardState = state }
            if let from = work.replacedFrom {
                entries.removeAll { $0.index >= from }
                repaired.removeAll { $0 >= from }
            }
            for entry in work.entries {
                precondition(entry.index.rawValue == start + UInt64(entries.count) + 1)
                entries.append(entry)
            }
        }
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func mergedWorksLeaveTheSameLog(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var oneByOne = Model()
        oneByOne.write(Self.work(0, entries: Self.entries(1...5, term: 1)))
        var merged = oneByOne
        var batch = AppendBatch()
        for step in 1...UInt64.random(in: 1...8, using: &generator) {
            let term = step + 2
            var work = Self.work(step, entries: [])
            if Bool.random(using: &generator) { work.hardState = HardState(term: Term(term)) }
            if Int.random(in: 0..<3, using: &generator) == 0 {
                work.peers = [
                    PeerRecord(
                        replica: ReplicaID(UInt64.random(in: 1...2, using: &generator)),
                        incarnation: step, lastIndex: LogIndex(step), lastTerm: Term(1))
                ]
            }
            var last = oneByOne.start + UInt64(oneByOne.entries.count)
            switch Int.random(in: 0..<8, using: &generator) {
            case 0:
                last += UInt64.random(in: 0...3, using: &generator)
                work.start = Self.start(last, replacesAll: true)
            case 1 where oneByOne.start < 3:
                // Only what was durable before the batch can be removed from the front.
                work.start = Self.start(oneByOne.start + 1, replacesAll: false)
            case 2 where oneByOne.start < 5 && !oneByOne.entries.isEmpty:
                work.repaired = [oneByOne.entries[0]]
            default: break
            }
            let first = work.start.map { max($0.index.rawValue, oneByOne.start) } ?? oneByOne.start
            let replaces = work.start == nil && Bool.random(using: &generator)
            // What the front's removal leaves durable is committed: it is not replaced.
            let from =
                replaces
                ? UInt64.random(
                    in: max(first, 3) + 1...max(last, max(first, 3)) + 1, using: &generator)
                : last + 1
            guard from <= last + 1 else { continue }
            let count = UInt64.random(in: 0...4, using: &generator)
            work.entries = count == 0 ? [] : Self.entries(from...from + count - 1, term: term)
            work.replacedFrom = replaces ? LogIndex(from) : nil
            oneByOne.write(work)
            var next = AppendBatch()
            next.append(work, of: GroupID(1))
            batch.follow(with: next)
        }
        for work in batch.works { merged.write(work.value) }
        oneByOne.peers.sort { $0.replica < $1.replica }
        merged.peers.sort { $0.replica < $1.replica }
        oneByOne.repaired = Set(oneByOne.repaired).sorted()
        merged.repaired = Set(merged.repaired).sorted()
        #expect(merged == oneByOne, "seed \(seed)")
    }

    @Test func workThatWritesNothingStillHasItsTicketAndItsMessages() {
        let message = RaftMessage(
            group: GroupID(1), from: ReplicaID(1), to: ReplicaID(2), term: Term(1),
            kind: .staleTerm)
        var messages = NodeMessages(incarnation: 1)
        messages.append(message)
        var batch = AppendBatch()
        batch.append(Self.work(1, entries: Self.entries(1...1, term: 1)), of: GroupID(1))
        var later = AppendBatch()
        later.append(Self.work(2, entries: []), of: GroupID(1))
        later.append(Self.work(1, entries: []), of: GroupID(2))
        later.send([NodeBatch(to: NodeID(2), messages: messages)])
        batch.follow(with: later)
        #expect(batch.works.map(\.group) == [GroupID(1)])
        #expect(
            batch.tickets == [
                InGroup(GroupID(1), AppendTicket(2)), InGroup(GroupID(2), AppendTicket(1)),
            ])
        #expect(batch.messagesAfterDurable.map(\.messages.messages) == [[message]])
    }

    @Test func repeatedForwardsAreTakenOnceInAnyOrder() {
        var seen = SeenForwards()
        var generator = SeededGenerator(seed: 5)
        var ids = (1...3_000).map { UInt64($0) }
        // Disorder within a window, repetition of everything.
        for i in stride(from: 0, to: ids.count - 500, by: 500) {
            ids[i..<i + 500].shuffle(using: &generator)
        }
        #expect(ids.filter { !seen.take($0) } == [])
        #expect(ids.filter { seen.take($0) } == [])
        let late = [10_000, 9_999, 9_999, 10_000 - SeenForwards.window].map { seen.take($0) }
        #expect(late == [true, true, false, false])
    }

    private static func work(_ ticket: UInt64, entries: [LogEntry]) -> AppendWork {
        AppendWork(
            ticket: AppendTicket(ticket), hardState: nil, replacedFrom: nil, entries: entries,
            messagesAfterDurable: [])
    }

    private static func start(_ index: UInt64, replacesAll: Bool) -> LogStart {
        LogStart(
            index: LogIndex(index), term: Term(1), timestamp: .zero, configuration: [],
            configurationIndex: .zero, replacesAll: replacesAll)
    }

    private static func entries(_ indices: ClosedRange<UInt64>, term: UInt64) -> [LogEntry] {
        indices.map {
            LogEntry(
                term: Term(term), index: LogIndex($0), timestamp: .zero,
                payload: .command([UInt8(term)]))
        }
    }
}
