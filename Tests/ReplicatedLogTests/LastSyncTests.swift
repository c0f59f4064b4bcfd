import Primitives
import Testing

@testable import ReplicatedLog

/// docs/formats/log-segment.md, "What cannot be told": a lost sector "of the very last sync, with
/// nothing behind it: it looks torn. As long as writes go on, the next batch ends this state".
@Suite struct LastSyncTests {
    private let group = GroupID(1)

    /// The sectors of a segment at which batches begin.
    private func heads(_ device: MemoryLogDevice, _ segment: SegmentNumber) -> [Int] {
        let contents = device.contents(of: segment)
        return (1..<contents.count / Sector.size).filter {
            contents[$0 * Sector.size + Sector.roleOffset] == Sector.Role.batchHead.rawValue
        }
    }

    private func lose(_ device: MemoryLogDevice, _ sector: Int, of segment: SegmentNumber) {
        device.overwrite(
            segment, at: sector * Sector.size, Bytes(repeating: 0, count: Sector.size))
    }

    @Test func whatIsLostAtTheEndLooksTornUntilTheLogGoesOn() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        try log.append([Fixture.append(1, entries: 1...2)])
        try log.sync()
        try log.append([Fixture.append(1, entries: 3...3)])
        try log.sync()
        let segment = SegmentNumber(1)
        let last = try #require(heads(device, segment).last)

        let stopped = device.copy()
        lose(stopped, last, of: segment)
        #expect(stopped.proof(thatSynced: last, of: segment) == nil)
        let opened = try Fixture.open(stopped)
        #expect(opened.report.tornTail?.offset == last * Sector.size)
        #expect(opened.groups[group]?.lastIndex == LogIndex(2))

        // What the process would write next, on a copy: its own device is as it was.
        let sealed = device.copy()
        try log.seal(on: sealed)
        #expect(heads(device, segment).last == last)
        lose(sealed, last, of: segment)
        let proof = try #require(sealed.proof(thatSynced: last, of: segment))
        #expect(proof > last)
        let found = try corruption { _ = try Fixture.open(sealed) }
        #expect(found?.reason == .syncedSectorLost && found?.offset == last * Sector.size)

        // The log itself goes on where it was.
        try log.append([Fixture.append(1, entries: 4...4)])
        try log.sync()
        #expect(try log.everything(of: group).count == 4)
        // A sector that proves it is of no use once it is harmed itself, and is again once written.
        for head in heads(device, segment) where head > last { lose(device, head, of: segment) }
        let identifiers = try #require(device.proof(thatSynced: last, of: segment))
        device.flipBit(segment, byte: identifiers * Sector.size + 9, bit: 3)
        #expect(device.proof(thatSynced: last, of: segment) == nil)
    }

    /// A new segment opens with its checkpoint, and one sync makes that durable along with the batch
    /// for which it was made.
    @Test func oneSectorOfTheLastSyncMayTakeSeveralBatchesWithIt() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        var index: UInt64 = 0
        while try device.listSegments().count == 1 {
            index += 1
            try log.append([Fixture.append(1, entries: index...index, bytes: 900)])
            try log.sync()
        }
        let segment = SegmentNumber(2)
        let begun = heads(device, segment)
        #expect(begun.count == 2)
        lose(device, begun[0], of: segment)
        #expect(device.proof(thatSynced: begun[0], of: segment) == nil)
        let opened = try Fixture.open(device)
        #expect(opened.report.tornTail?.offset == begun[0] * Sector.size)
        #expect(opened.groups[group]?.lastIndex == LogIndex(index - 1))
    }
}
