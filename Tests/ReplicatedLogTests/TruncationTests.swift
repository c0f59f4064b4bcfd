import Primitives
import Testing

@testable import ReplicatedLog

/// Removal from the front of the log, and of the segments that nobody needs then.
@Suite struct TruncationTests {
    let one = GroupID(1)
    let two = GroupID(2)

    private func fill(_ log: ReplicatedLog, _ range: ClosedRange<UInt64>) throws {
        for i in range {
            try log.append([
                GroupAppend(
                    group: one, hardState: HardState(term: Term(1), commitIndex: LogIndex(i)),
                    entries: [Fixture.entry(i, bytes: 900)])
            ])
            try log.sync()
        }
    }

    @Test func whatIsTruncatedIsGoneAndTheRestStays() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        // A group that only ever voted: its hard state stands in the first segment alone.
        let vote = HardState(term: Term(9), vote: ReplicaID(3))
        try log.append([GroupAppend(group: two, hardState: vote)])
        try fill(log, 1...60)
        let before = try device.listSegments().count
        try log.truncateLog(of: one, through: LogIndex(50))
        try log.truncateLog(of: one, through: LogIndex(20))
        #expect(log.bounds(of: one).first == LogIndex(51))
        // Nothing is removed before the truncation itself is durable.
        #expect(try device.listSegments().count == before)
        try log.sync()
        #expect(try device.listSegments().count < before / 2)
        #expect(
            throws: LogError.unavailable(
                group: one, index: LogIndex(50), first: LogIndex(51), last: LogIndex(60))
        ) {
            try log.entries(of: one, from: LogIndex(50), through: LogIndex(60), maxBytes: 9999)
        }
        device.crash(seed: 2)

        let (again, groups, _) = try Fixture.open(device)
        #expect(try again.everything(of: one) == (51...60).map { Fixture.entry($0, bytes: 900) })
        #expect(groups[two]?.hardState == vote)
        #expect(groups[one]?.truncatedThrough == LogIndex(50))
        #expect(groups[one]?.truncatedTerm == Term(1))
        #expect(groups[one]?.termRuns == [TermRun(firstIndex: LogIndex(51), term: Term(1))])
        #expect(groups[one]?.hardState.commitIndex == LogIndex(60))
        try fill(again, 61...70)
        #expect(try Fixture.open(device).log.everything(of: one).count == 20)
    }

    @Test func aLogTruncatedToItsEndGoesOnBehindIt() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        try fill(log, 1...60)
        try log.truncateLog(of: one, through: LogIndex(60))
        try log.sync()
        #expect(try device.listSegments().count == 1)
        let (again, groups, _) = try Fixture.open(device)
        #expect(groups[one]?.lastIndex == LogIndex(60) && groups[one]?.lastTerm == Term(1))
        #expect(groups[one]?.termRuns == [])
        #expect(groups[one]?.lastTimestamp == Fixture.entry(60).timestamp)
        try fill(again, 61...61)
        #expect(try again.everything(of: one) == [Fixture.entry(61, bytes: 900)])
    }

    @Test func aTruncationThatWasNotSyncedLosesNothing() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        try fill(log, 1...60)
        try log.truncateLog(of: one, through: LogIndex(50))
        for seed in UInt64(1)...8 {
            let hurt = device.copy()
            hurt.crash(seed: seed)
            let (again, groups, _) = try Fixture.open(hurt)
            let truncated = groups[one]!.truncatedThrough
            #expect(truncated == .zero || truncated == LogIndex(50))
            #expect(try again.everything(of: one).count == 60 - Int(truncated.rawValue))
        }
    }

    @Test func aSegmentThatIsStillNeededIsMissedEvenAfterTruncation() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        try fill(log, 1...60)
        try log.truncateLog(of: one, through: LogIndex(30))
        try log.sync()
        let oldest = try device.listSegments()[0].number
        #expect(oldest > SegmentNumber(1))
        device.lose(oldest)
        let corruption = try corruption { _ = try Fixture.open(device) }
        #expect(corruption?.reason == .entriesMissing)
        #expect(corruption?.damage.first?.indexes?.lowerBound == LogIndex(31))
    }

    /// A checkpoint may rot while the log goes on: what it stands for goes only when it can be read.
    @Test(arguments: [0, 1, 31])
    func whatARottenCheckpointStandsForStays(sector: Int) throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        let vote = HardState(term: Term(9), vote: ReplicaID(3))
        try log.append([GroupAppend(group: two, hardState: vote)])
        try fill(log, 1...60)
        let segments = try device.listSegments().map(\.number)
        let last = try #require(segments.last)
        device.flipBit(last, byte: sector * Sector.size + 99, bit: 2)
        let salvaging = LogSettings(segmentBytes: 16 << 10, salvagesDamage: true)
        let trial = try Fixture.open(device.copy(), settings: salvaging)
        #expect(trial.groups[two]?.hardState == vote && trial.groups[two]?.isUntrusted == false)
        try log.truncateLog(of: one, through: LogIndex(60))
        try log.sync()
        #expect(try device.listSegments().map(\.number) == Array(segments.suffix(2)))
        let (_, groups, report) = try Fixture.open(device.copy(), settings: salvaging)
        #expect(groups[two]?.hardState == vote)
        #expect(groups[two]?.isUntrusted == false && !report.mayLackGroups)
        // The next checkpoint stands for all of them.
        try fill(log, 61...90)
        try log.truncateLog(of: one, through: LogIndex(90))
        try log.sync()
        #expect(try device.listSegments().count == 1)
        #expect(try Fixture.open(device).groups[two]?.hardState == vote)
    }
}
