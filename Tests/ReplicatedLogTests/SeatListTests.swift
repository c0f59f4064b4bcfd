import Primitives
import Testing

@testable import ReplicatedLog

/// docs/formats/log-segment.md, "When the log lacks no group".
@Suite struct SeatListTests {
    private let one = GroupID(1)
    private let two = GroupID(2)
    private let three = GroupID(3)
    private let salvaging = LogSettings(
        segmentBytes: LogLimits.segmentBytes.lowerBound, salvagesDamage: true)

    /// A log whose first batch, of group two, is gone with its identifiers.
    private func harmed() throws -> MemoryLogDevice {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        try log.append([
            GroupAppend(group: two, hardState: HardState(term: Term(7), vote: ReplicaID(2)))
        ])
        try log.sync()
        try log.append([Fixture.append(1, entries: 1...1)])
        try log.seal()
        let zeroes = Bytes(repeating: 0, count: Sector.size)
        for sector in [2, 30] {
            device.overwrite(SegmentNumber(1), at: sector * Sector.size, zeroes)
        }
        return device
    }

    @Test func aReplicaThatHasBegunIsListedAndTrustedBeforeItWritesAnything() throws {
        let device = try harmed()
        let opened = try Fixture.open(device, settings: salvaging)
        #expect(opened.report.mayLackGroups)
        try opened.log.append([.beginning(of: three), .beginning(of: one)])
        try opened.log.append([Fixture.append(1, entries: 1...1)])
        try opened.log.sync()
        for index in UInt64(1)...40 {
            let again = try Fixture.open(device.copy(), settings: salvaging)
            let found = try #require(again.groups[three])
            #expect(!found.isUntrusted && found.lastIndex == .zero)
            try opened.log.append([Fixture.append(1, entries: index + 1...index + 1, bytes: 900)])
            try opened.log.truncateLog(of: one, through: LogIndex(index))
            try opened.log.sync()
        }
        #expect(try device.listSegments()[0].number > SegmentNumber(2), "the beginning is gone")
    }

    @Test func aSeatThatTheLogHasForgottenIsDistrustedForGoodAndTheLogLacksNoOther() throws {
        let device = try harmed()
        var opened = try Fixture.open(device, settings: salvaging)
        #expect(opened.groups[two] == nil)
        // A crash before it is said, and one behind it.
        opened = try Fixture.open(device, settings: salvaging)
        let forgotten = try opened.log.declareComplete(seats: [one, two])
        #expect(forgotten.keys.sorted() == [two])
        #expect(forgotten[two]?.isUntrusted == true)
        device.crash(seed: 1)
        opened = try Fixture.open(device, settings: salvaging)
        #expect(!opened.report.mayLackGroups && opened.groups[two]?.isUntrusted == true)
        #expect(try opened.log.declareComplete(seats: [one, two]).isEmpty)
        try opened.log.append([Fixture.append(3, entries: 1...1)])
        try opened.log.sync()
        opened = try Fixture.open(device, settings: salvaging)
        #expect(opened.groups[three]?.isUntrusted == false, "nothing of it was forgotten")
        #expect(opened.groups[two]?.isUntrusted == true)
    }

    @Test func aSoundLogThatLacksASeatSaysSoAtEachOpening() throws {
        let device = MemoryLogDevice()
        for _ in 0..<2 {
            let log = try Fixture.open(device).log
            #expect(try log.declareComplete(seats: [two])[two]?.isUntrusted == true)
        }
    }
}
