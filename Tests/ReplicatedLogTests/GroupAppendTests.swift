import Primitives
import Testing

@testable import ReplicatedLog

/// What a group may ask for besides entries and hard state.
@Suite struct GroupAppendTests {
    let one = GroupID(1)
    let two = GroupID(2)

    private func start(
        _ index: UInt64, term: UInt64 = 1, replacesAll: Bool = false
    ) -> LogStart {
        LogStart(
            index: LogIndex(index), term: Term(term),
            timestamp: HybridTimestamp(microseconds: 77), configuration: [4, 5],
            configurationIndex: LogIndex(1), replacesAll: replacesAll)
    }

    @Test func aSnapshotMayBeginTheLogBehindItsEnd() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        try log.append([Fixture.append(1, entries: 1...5)])
        try log.append([
            GroupAppend(
                group: one, start: start(900, term: 7, replacesAll: true),
                hardState: HardState(term: Term(7), commitIndex: LogIndex(900)),
                entries: [Fixture.entry(901, term: 7)])
        ])
        try log.sync()
        #expect(log.bounds(of: one) == (LogIndex(901), LogIndex(901)))
        device.crash(seed: 4)
        let (again, groups, _) = try Fixture.open(device)
        let found = try #require(groups[one])
        #expect(found.truncatedThrough == LogIndex(900) && found.truncatedTerm == Term(7))
        #expect(found.startConfiguration == [4, 5])
        #expect(found.startConfigurationIndex == LogIndex(1))
        #expect(try again.everything(of: one) == [Fixture.entry(901, term: 7)])
        #expect(found.lastTerm == Term(7))
    }

    @Test func aStartKeepsTheSuffixAndFreesSegments() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        for i in UInt64(1)...60 { try log.append([Fixture.append(1, entries: i...i, bytes: 900)]) }
        try log.sync()
        let before = try device.listSegments().count
        try log.append([GroupAppend(group: one, start: start(55))])
        #expect(try device.listSegments().count == before, "not durable yet")
        try log.sync()
        #expect(try device.listSegments().count < before)
        // Behind that nothing changes.
        let writes = device.count(of: .write)
        try log.append([GroupAppend(group: one, start: start(55))])
        try log.append([GroupAppend(group: one, start: start(20))])
        #expect(device.count(of: .write) == writes)
        let groups = try Fixture.open(device).groups
        #expect(groups[one]?.firstIndex == LogIndex(56) && groups[one]?.lastIndex == LogIndex(60))
        #expect(groups[one]?.startConfiguration == [4, 5])
    }

    @Test func aGroupMayStandInABatchSeveralTimes() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        try log.append([
            Fixture.append(1, entries: 1...5), GroupAppend(group: one, start: start(4)),
            GroupAppend(
                group: one, replaceFrom: LogIndex(5), entries: [Fixture.entry(5, term: 2)]),
        ])
        try log.sync()
        #expect(try Fixture.open(device).log.everything(of: one) == [Fixture.entry(5, term: 2)])
    }

    @Test func peersAndConfigurationsOutliveTheirSegments() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        func peer(_ replica: UInt64, _ incarnation: UInt64) -> PeerRecord {
            PeerRecord(
                replica: ReplicaID(replica), incarnation: incarnation, term: Term(incarnation + 7),
                lastIndex: LogIndex(incarnation), lastTerm: Term(1))
        }
        try log.append([GroupAppend(group: one, peers: [peer(3, 1), peer(2, 5)])])
        try log.append([GroupAppend(group: one, peers: [peer(3, 2)])])
        for i in UInt64(1)...60 {
            var entry = Fixture.entry(i, bytes: 900)
            if i == 58 { entry.payload = .configuration([8]) }
            try log.append([GroupAppend(group: one, entries: [entry])])
        }
        try log.append([GroupAppend(group: one, start: start(55))])
        try log.sync()
        #expect(try device.listSegments()[0].number > SegmentNumber(1))
        let found = try #require(try Fixture.open(device).groups[one])
        #expect(found.peers == [peer(2, 5), peer(3, 2)])
        #expect(found.configurationEntries.map(\.index) == [LogIndex(58)])
    }

    @Test func aResetForgetsTheGroupAndAlone_removesIt() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        let old = HardState(term: Term(9), vote: ReplicaID(1))
        try log.append([
            GroupAppend(group: one, hardState: old, entries: [Fixture.entry(1)]),
            GroupAppend(group: two, hardState: old, entries: [Fixture.entry(1)]),
        ])
        let new = HardState(term: Term(2))
        try log.append([
            GroupAppend(group: one, isReset: true, hardState: new),
            GroupAppend(group: two, isReset: true),
        ])
        try log.sync()
        let groups = try Fixture.open(device).groups
        #expect(groups == [one: RecoveredGroup(group: one, hardState: new)])
    }

    @Test func appendsDoNotCostMoreWithManyGroups() throws {
        let device = MemoryLogDevice()
        let settings = LogSettings(segmentBytes: 32 << 20)
        let log = try Fixture.open(device, settings: settings).log
        try log.append((0..<10_000).map { Fixture.append($0, entries: 1...1, bytes: 8) })
        try log.sync()
        let clock = ContinuousClock()
        let elapsed = try clock.measure {
            for i in UInt64(2)...400 {
                try log.append([Fixture.append(5, entries: i...i, bytes: 8)])
                try log.append([GroupAppend(group: GroupID(5), start: start(i - 1))])
                try log.sync()
            }
        }
        print("800 appends beside 10,000 groups: \(elapsed)")
        // In a debug build each takes well below 1 ms; walking all groups takes more than 5.
        #expect(elapsed < .seconds(4))
        #expect(try Fixture.open(device, settings: settings).groups.count == 10_000)
    }
}
