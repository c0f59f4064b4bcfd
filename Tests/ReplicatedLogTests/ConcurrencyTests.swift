import Primitives
import Synchronization
import Testing

@testable import ReplicatedLog

/// Reads from other threads while the log thread appends, replaces, rolls and truncates.
@Suite struct ConcurrencyTests {
    /// What the writer and the readers share.
    private final class Progress: Sendable {
        let done = Atomic(false)
        let total = Atomic(0)
    }

    @Test func readersSeeWholeEntriesOnly() async throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        let group = GroupID(1)
        let progress = Progress()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for reader in UInt64(1)...3 {
                tasks.addTask {
                    var generator = SeededGenerator(seed: reader)
                    var last = false
                    while !last {
                        // One more round after the writer has ended: each reader has read.
                        last = progress.done.load(ordering: .acquiring)
                        let (first, end) = log.bounds(of: group)
                        guard first <= end else { continue }
                        let from = LogIndex(
                            UInt64.random(in: first.rawValue...end.rawValue, using: &generator))
                        do {
                            let found = try log.entries(
                                of: group, from: from, through: end, maxBytes: 5000)
                            for (offset, entry) in found.enumerated() {
                                let index = from.rawValue + UInt64(offset)
                                let expected = Fixture.entry(
                                    index, term: entry.term.rawValue, bytes: 300)
                                if entry != expected { Issue.record("entry \(index) is not whole") }
                            }
                            progress.total.add(found.count, ordering: .relaxed)
                        } catch LogError.unavailable {
                            // Replaced or truncated between the two calls: expected.
                        }
                    }
                }
            }
            var next: UInt64 = 1
            for term in UInt64(1)...200 {
                try log.append([
                    Fixture.append(1, term: term, entries: next...next + 4, bytes: 300)
                ])
                try log.sync()
                next += 5
                if term % 7 == 0 {
                    next -= 3
                    try log.append([GroupAppend(group: group, replaceFrom: LogIndex(next))])
                }
                if term % 40 == 0 {
                    try log.truncateLog(of: group, through: LogIndex(next - 20))
                    try log.sync()
                }
            }
            progress.done.store(true, ordering: .releasing)
            try await tasks.waitForAll()
        }
        #expect(progress.total.load(ordering: .relaxed) > 0)
        #expect(try device.listSegments().first!.number > SegmentNumber(1))
    }
}
