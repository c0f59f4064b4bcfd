import Primitives
import Testing

@testable import ReplicatedLog

@Suite struct RoundTripTests {
    let one = GroupID(1)
    let two = GroupID(2)

    @Test func anEmptyDeviceBecomesALog() throws {
        let device = MemoryLogDevice()
        let (log, groups, report) = try Fixture.open(device)
        #expect(groups.isEmpty)
        #expect(report.epoch == 1 && report.batches == 0 && report.tornTail == nil)
        let bounds = log.bounds(of: one)
        #expect(bounds.first == LogIndex(1) && bounds.last == .zero)
        #expect(try Fixture.open(device).report.epoch == 2)
    }

    @Test func aLogThatMustExistIsNotBegunAgain() throws {
        let device = MemoryLogDevice()
        let settings = LogSettings(segmentBytes: 16 << 10, requireExisting: true)
        #expect(throws: LogError.missing) { try Fixture.open(device, settings: settings) }
        _ = try Fixture.open(device)
        _ = try Fixture.open(device, settings: settings)
    }

    @Test func whatWasSyncedIsThereAfterACrash() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        let state = HardState(term: Term(3), vote: ReplicaID(7), commitIndex: LogIndex(2))
        let entries =
            [
                LogEntry(
                    term: Term(2), index: LogIndex(1),
                    timestamp: HybridTimestamp(microseconds: 9, logical: 1), payload: .empty),
                LogEntry(
                    term: Term(3), index: LogIndex(2),
                    timestamp: HybridTimestamp(microseconds: 10),
                    semantics: SemanticsLevel(4), payload: .configuration([1, 2, 3])),
                LogEntry(
                    term: Term(3), index: LogIndex(3),
                    timestamp: HybridTimestamp(microseconds: 11, logical: .max),
                    payload: .command(Bytes(repeating: 0, count: 2000))),
            ]
        try log.append([
            GroupAppend(group: one, hardState: state, entries: entries[...]),
            Fixture.append(2, term: 5, entries: 1...40, bytes: 7),
        ])
        #expect(try log.everything(of: one) == entries)
        try log.sync()
        device.crash(seed: 1)

        let (again, groups, report) = try Fixture.open(device)
        #expect(try again.everything(of: one) == entries)
        #expect(
            try again.everything(of: two) == (1...40).map { Fixture.entry($0, term: 5, bytes: 7) })
        #expect(report.tornTail == nil)
        #expect(
            groups[one]
                == RecoveredGroup(
                    group: one, hardState: state, lastIndex: LogIndex(3),
                    termRuns: [
                        TermRun(firstIndex: LogIndex(1), term: Term(2)),
                        TermRun(firstIndex: LogIndex(2), term: Term(3)),
                    ],
                    lastTimestamp: HybridTimestamp(microseconds: 11, logical: .max),
                    configurationEntries: [entries[1]]))
        #expect(groups[two]?.hardState == HardState())
        #expect(groups[two]?.lastIndex == LogIndex(40))
    }

    @Test func aReplacedSuffixStaysReplaced() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        try log.append([Fixture.append(1, term: 1, entries: 1...10)])
        try log.sync()
        let replacement = (6...7).map { Fixture.entry($0, term: 2, fill: 0x11) }
        try log.append([
            GroupAppend(group: one, replaceFrom: LogIndex(6), entries: replacement[...])
        ])
        let expected = (1...5).map { Fixture.entry($0) } + replacement
        #expect(try log.everything(of: one) == expected)
        #expect(
            throws: LogError.unavailable(
                group: one, index: LogIndex(8), first: LogIndex(1), last: LogIndex(7))
        ) {
            try log.entries(of: one, from: LogIndex(8), through: LogIndex(8), maxBytes: 1)
        }
        try log.sync()
        let (again, groups, _) = try Fixture.open(device)
        #expect(try again.everything(of: one) == expected)
        #expect(groups[one]?.lastTerm == Term(2) && groups[one]?.lastIndex == LogIndex(7))
        #expect(groups[one]?.lastTimestamp == replacement.last?.timestamp)
        // A suffix can go without anything in its place.
        try again.append([GroupAppend(group: one, replaceFrom: LogIndex(1))])
        try again.sync()
        let (_, empty, _) = try Fixture.open(device)
        #expect(empty[one]?.lastIndex == .zero && empty[one]?.termRuns == [])
    }

    @Test func oneSyncServesAllGroupsAndNothingNewNeedsNone() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        let before = device.count(of: .sync)
        try log.append((0..<20).map { Fixture.append(UInt32($0), entries: 1...2, bytes: 10) })
        try log.append((0..<20).map { Fixture.append(UInt32($0), entries: 3...3, bytes: 10) })
        try log.sync()
        try log.sync()
        #expect(device.count(of: .sync) == before + 1)
    }

    @Test func theLogGoesOnOverManySegments() throws {
        let device = MemoryLogDevice()
        var (log, _, _) = try Fixture.open(device)
        for i in UInt64(1)...200 {
            try log.append([
                GroupAppend(
                    group: one, hardState: HardState(term: Term(1), commitIndex: LogIndex(i)),
                    entries: [Fixture.entry(i, bytes: 700)])
            ])
            if i % 3 == 0 { try log.sync() }
            if i % 50 == 0 { log = try Fixture.open(device).log }
        }
        try log.sync()
        #expect(try device.listSegments().count > 5)
        let (again, groups, report) = try Fixture.open(device)
        #expect(report.segments == (try device.listSegments().count))
        #expect(try again.everything(of: one) == (1...200).map { Fixture.entry($0, bytes: 700) })
        #expect(groups[one]?.hardState.commitIndex == LogIndex(200))
    }

    @Test func anEntryLargerThanASegmentGetsOneOfItsOwnSize() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        let large = Fixture.entry(2, bytes: 100_000)
        try log.append([Fixture.append(1, entries: 1...1)])
        try log.append([GroupAppend(group: one, entries: [large, Fixture.entry(3)])])
        try log.append([Fixture.append(1, entries: 4...4)])
        try log.sync()
        let again = try Fixture.open(device).log
        #expect(
            try again.everything(of: one)
                == [Fixture.entry(1), large, Fixture.entry(3), Fixture.entry(4)])
        #expect(try device.listSegments().contains { $0.bytes > 100_000 })
    }

    @Test func aBatchThatNoSegmentHoldsAtOnceIsWrittenInSeveral() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        try log.append([
            Fixture.append(1, entries: 1...300), Fixture.append(2, entries: 1...300),
        ])
        try log.sync()
        let again = try Fixture.open(device).log
        #expect(try again.everything(of: one) == (1...300).map { Fixture.entry($0) })
        #expect(try again.everything(of: two) == (1...300).map { Fixture.entry($0) })
    }

    @Test func anEntryBeyondTheLimitIsRefusedBeforeAnythingIsWritten() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        let writes = device.count(of: .write)
        let huge = LogEntry(
            term: Term(1), index: LogIndex(2), timestamp: .zero,
            payload: .command(Bytes(repeating: 1, count: LogLimits.payloadBytesMax + 1)))
        #expect(
            throws: LogError.tooLarge(
                bytes: LogLimits.payloadBytesMax + 1, limit: LogLimits.payloadBytesMax)
        ) {
            try log.append([GroupAppend(group: one, entries: [Fixture.entry(1), huge])])
        }
        #expect(device.count(of: .write) == writes)
        try log.append([Fixture.append(1, entries: 1...1)])
    }

    @Test func maxBytesBoundsWhatIsReadButNeverBelowOneEntry() throws {
        let (log, _, _) = try Fixture.open(MemoryLogDevice())
        try log.append([Fixture.append(1, entries: 1...10)])
        func count(_ maxBytes: Int) throws -> Int {
            try log.entries(
                of: one, from: LogIndex(2), through: LogIndex(10), maxBytes: maxBytes
            ).count
        }
        #expect(try count(0) == 1)
        #expect(try count(199) == 1)
        #expect(try count(200) == 2)
        #expect(try count(100_000) == 9)
    }

    @Test func aLogOfAnotherNodeIsRefused() throws {
        let device = MemoryLogDevice()
        _ = try Fixture.open(device)
        let other = LogIdentity(cluster: ClusterID(0xC1), node: NodeID(0xA2))
        #expect(
            throws: LogError.foreign(
                expected: other, found: Fixture.identity, segment: SegmentNumber(1))
        ) {
            try ReplicatedLog.open(device: device, identity: other, settings: Fixture.settings)
        }
    }

    @Test func aLaterFormatVersionIsRefused() throws {
        let device = MemoryLogDevice()
        _ = try Fixture.open(device)
        var sector = Bytes(device.contents(of: SegmentNumber(1)).prefix(Sector.size))
        sector[8] = 3
        sector.withUnsafeMutableBytes {
            SectorCodec(identity: nil, segment: SegmentNumber(1))
                .seal($0, number: 0, role: .segmentHeader, sequence: 0)
        }
        device.overwrite(SegmentNumber(1), at: 0, sector)
        #expect(throws: LogError.unsupportedVersion(3, segment: SegmentNumber(1))) {
            try Fixture.open(device)
        }
    }

    @Test func anIndexEntryTakesTwelveBytes() {
        #expect(MemoryLayout<EntryLocation>.stride == 12)
    }
}
