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
        /// Odd while the writer removes entries.
        let removals = Atomic(0)

        func removing(_ body: () throws -> Void) throws {
            removals.add(1, ordering: .sequentiallyConsistent)
            try body()
            removals.add(1, ordering: .sequentiallyConsistent)
        }
    }

    /// A device that does something of the test's before its next read.
    private final class InterruptedDevice: LogDevice {
        let device = MemoryLogDevice()
        let interruption = Mutex<(@Sendable () -> Void)?>(nil)

        func listSegments() throws(LogDeviceError) -> [LogDeviceSegment] {
            try device.listSegments()
        }
        func create(
            _ segment: SegmentNumber, bytes: Int, header: UnsafeRawBufferPointer
        ) throws(LogDeviceError) {
            try device.create(segment, bytes: bytes, header: header)
        }
        func read(
            _ segment: SegmentNumber, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
        ) throws(LogDeviceError) {
            let interruption = interruption.withLock { pending in
                defer { pending = nil }
                return pending
            }
            interruption?()
            try device.read(segment, at: offset, into: buffer)
        }
        func write(
            _ segment: SegmentNumber, at offset: Int, _ bytes: UnsafeRawBufferPointer
        ) throws(LogDeviceError) {
            try device.write(segment, at: offset, bytes)
        }
        func sync(_ segment: SegmentNumber) throws(LogDeviceError) { try device.sync(segment) }
        func remove(_ segment: SegmentNumber) throws(LogDeviceError) {
            try device.remove(segment)
        }
    }

    /// The segment goes between the look-up and the read: that is a race, not a failure.
    @Test func aSegmentThatGoesUnderAReadMakesItsEntriesUnavailable() throws {
        let device = InterruptedDevice()
        let (log, _, _) = try Fixture.open(device)
        for i in UInt64(1)...60 {
            try log.append([Fixture.append(1, entries: i...i, bytes: 900)])
        }
        try log.sync()
        let group = GroupID(1)
        device.interruption.withLock {
            $0 = {
                do {
                    try log.truncateLog(of: group, through: LogIndex(50))
                    try log.sync()
                } catch {
                    Issue.record("\(error)")
                }
            }
        }
        #expect(
            throws: LogError.unavailable(
                group: group, index: LogIndex(3), first: LogIndex(51), last: LogIndex(60))
        ) {
            try log.entries(of: group, from: LogIndex(3), through: LogIndex(9), maxBytes: 9999)
        }
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
                        let removals = progress.removals.load(ordering: .sequentiallyConsistent)
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
                            // Expected when entries went between the two calls, else not.
                            let now = progress.removals.load(ordering: .sequentiallyConsistent)
                            if now == removals, now % 2 == 0 {
                                Issue.record("entries \(from)...\(end) went by themselves")
                            }
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
                    try progress.removing {
                        try log.append([GroupAppend(group: group, replaceFrom: LogIndex(next))])
                    }
                }
                if term % 40 == 0 {
                    try progress.removing {
                        try log.truncateLog(of: group, through: LogIndex(next - 20))
                        try log.sync()
                    }
                }
            }
            progress.done.store(true, ordering: .releasing)
            try await tasks.waitForAll()
        }
        #expect(progress.total.load(ordering: .relaxed) > 0)
        #expect(try device.listSegments().first!.number > SegmentNumber(1))
    }
}
