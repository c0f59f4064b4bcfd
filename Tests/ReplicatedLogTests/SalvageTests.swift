import Primitives
import Testing

@testable import ReplicatedLog

/// What salvage makes of single wounds, one by one. Sector 1 is the mark of the opening; each
/// append here is one batch.
@Suite struct SalvageTests {
    let one = GroupID(1)
    let two = GroupID(2)
    let first = SegmentNumber(1)
    let salvaging = LogSettings(segmentBytes: 16 << 10, salvagesDamage: true)

    private func open(
        _ device: MemoryLogDevice
    ) throws -> (log: ReplicatedLog, groups: [GroupID: RecoveredGroup], report: RecoveryReport) {
        try Fixture.open(device, settings: salvaging)
    }

    /// Sealed, so that every batch is proven to have been durable.
    private func log(_ appends: [[GroupAppend]]) throws -> MemoryLogDevice {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        for append in appends {
            try log.append(append)
            try log.sync()
        }
        try log.seal()
        return device
    }

    private func zero(_ device: MemoryLogDevice, sectors: Int...) {
        for sector in sectors {
            device.overwrite(
                first, at: sector * Sector.size, Bytes(repeating: 0, count: Sector.size))
        }
    }

    private func hardState(_ term: UInt64, vote: UInt64?) -> HardState {
        HardState(term: Term(term), vote: vote.map { ReplicaID($0) })
    }

    /// "crash and corruption are indistinguishable … PAR uses the identifier" (FAST '18, §3.3.2).
    @Test func anEntryThatIsLostByNameIsDamagedAndThoseBehindItStay() throws {
        let device = try log([
            [Fixture.append(1, entries: 1...1), Fixture.append(2, entries: 1...1)],
            [Fixture.append(1, entries: 2...2)],
            [Fixture.append(1, entries: 3...3)],
        ])
        device.flipBit(first, byte: 3 * Sector.size + 99, bit: 2)
        #expect(try corruption { _ = try Fixture.open(device) } != nil)
        let (log, groups, report) = try open(device)
        #expect(groups[one]?.damaged == [LogIndex(2)...LogIndex(2)])
        #expect(groups[one]?.lastIndex == LogIndex(3) && groups[one]?.isUntrusted == false)
        #expect(groups[two]?.damaged == [] && groups[two]?.isUntrusted == false)
        #expect(report.salvaged.map(\.reason) == [.sectorRotten])
        // Reads go up to the damage, name it, and go on behind it.
        let before = try log.entries(
            of: one, from: LogIndex(1), through: LogIndex(3), maxBytes: 999)
        #expect(before == [Fixture.entry(1)])
        let named = try corruption {
            _ = try log.entries(of: one, from: LogIndex(2), through: LogIndex(3), maxBytes: 999)
        }
        #expect(named?.damage == [.init(group: one, indexes: LogIndex(2)...LogIndex(2))])
        let behind = try log.entries(
            of: one, from: LogIndex(3), through: LogIndex(3), maxBytes: 999)
        #expect(behind == [Fixture.entry(3)])
        // A peer brings the content; then the log is sound again, after a crash, too.
        try log.append([GroupAppend(group: one, repaired: [Fixture.entry(2)])])
        try log.sync()
        device.crash(seed: 1)
        let sound = try Fixture.open(device)
        #expect(try sound.log.everything(of: one) == (1...3).map { Fixture.entry($0) })
    }

    @Test func aVoteThatIsLostIsUnknownInItsTermOnly() throws {
        let device = try log([
            [GroupAppend(group: one, hardState: hardState(4, vote: 2))],
            [GroupAppend(group: two, hardState: hardState(6, vote: nil))],
        ])
        device.flipBit(first, byte: 2 * Sector.size + 99, bit: 2)
        device.flipBit(first, byte: 3 * Sector.size + 99, bit: 2)
        var (log, groups, _) = try open(device)
        #expect(groups[one]?.hardState == hardState(4, vote: nil))
        #expect(groups[one]?.voteIsUnknown == true && groups[one]?.isUntrusted == false)
        // The identifier says that there was no vote.
        #expect(groups[two]?.hardState == hardState(6, vote: nil))
        #expect(groups[two]?.voteIsUnknown == false)
        // To write the same term again does not bring the vote back.
        var state = hardState(4, vote: nil)
        state.commitIndex = LogIndex(0)
        try log.append([GroupAppend(group: one, hardState: state)])
        try log.sync()
        (log, groups, _) = try open(device)
        #expect(groups[one]?.voteIsUnknown == true)
        try log.append([GroupAppend(group: one, hardState: hardState(5, vote: 3))])
        try log.sync()
        #expect(try Fixture.open(device).groups[one]?.hardState == hardState(5, vote: 3))
    }

    @Test func aLaterHardStateMakesAnEarlierOneNeedless() throws {
        let device = try log([
            [GroupAppend(group: one, hardState: hardState(4, vote: 2))],
            [GroupAppend(group: one, hardState: hardState(4, vote: 2))],
            [GroupAppend(group: two, hardState: hardState(1, vote: 9))],
            [GroupAppend(group: two, hardState: hardState(1, vote: 9))],
        ])
        device.flipBit(first, byte: 2 * Sector.size + 99, bit: 2)
        // A vote is cast once in a term: the earlier record has it.
        device.flipBit(first, byte: 5 * Sector.size + 99, bit: 2)
        let groups = try open(device).groups
        #expect(groups[one]?.hardState.vote == ReplicaID(2) && groups[one]?.voteIsUnknown == false)
        #expect(groups[two]?.hardState.vote == ReplicaID(9) && groups[two]?.voteIsUnknown == false)
    }

    @Test func aBatchLostWithItsIdentifiersPutsInDoubtWhatNothingLaterSettles() throws {
        let three = GroupID(3)
        let state = hardState(1, vote: nil)
        let device = try log([
            [
                GroupAppend(group: one, hardState: state, entries: [Fixture.entry(1)]),
                GroupAppend(group: two, hardState: state, entries: [Fixture.entry(1)]),
                GroupAppend(group: three, hardState: state, entries: [Fixture.entry(1)]),
            ],
            [Fixture.append(1, entries: 2...3)],
            [
                // One goes on in the same term, two in another one, three not at all.
                GroupAppend(group: one, hardState: state, entries: [Fixture.entry(4)]),
                GroupAppend(
                    group: two, hardState: hardState(2, vote: nil),
                    entries: [Fixture.entry(2, term: 2)]),
            ],
        ])
        zero(device, sectors: 4, 29)
        let (log, groups, report) = try open(device)
        #expect(groups[one]?.distrust == nil)
        #expect(groups[one]?.damaged == [LogIndex(2)...LogIndex(3)])
        #expect(groups[two]?.distrust == .recordsLost)
        #expect(groups[two]?.lastIndex == LogIndex(1), "what precedes entry 2 is not certain")
        #expect(groups[two]?.hardState == hardState(2, vote: nil))
        #expect(groups[three]?.distrust == .recordsLost)
        #expect(report.mayLackGroups)
        // Nothing but word that it is trusted ends distrust.
        try log.append([Fixture.append(3, entries: 2...2)])
        try log.sync()
        var again = try open(device)
        #expect(again.groups[three]?.isUntrusted == true && again.report.mayLackGroups)
        try again.log.append([
            GroupAppend(group: one, repaired: [Fixture.entry(2), Fixture.entry(3)]),
            GroupAppend(group: two, isTrustedAgain: true),
            GroupAppend(group: three, isTrustedAgain: true),
            GroupAppend(group: one, isTrustedAgain: true),
        ])
        #expect(try corruption { _ = try Fixture.open(device) }?.reason == .repairPending)
        #expect(try again.log.declareComplete(seats: [one, two, three]).isEmpty)
        again = try Fixture.open(device)
        #expect(again.groups[three]?.isUntrusted == false && !again.report.mayLackGroups)
    }

    /// What the log does not list may have had a past, whatever it writes later.
    @Test func aGroupThatMayHaveBeenForgottenIsNeverTakenForANewOne() throws {
        let state = hardState(1, vote: nil)
        let device = try log([
            [GroupAppend(group: two, hardState: hardState(7, vote: 2))],
            [GroupAppend(group: one, hardState: state)],
        ])
        // The batch of group two, with its identifiers.
        zero(device, sectors: 2, 30)
        var opened = try open(device)
        #expect(opened.groups[two] == nil && opened.report.mayLackGroups)
        // Two goes on as if it had been heard of; three is a new replica, and says so.
        let three = GroupID(3)
        try opened.log.append([GroupAppend(group: three, isReset: true)])
        try opened.log.append([
            GroupAppend(group: two, hardState: hardState(2, vote: nil)),
            Fixture.append(3, entries: 1...1), Fixture.append(3, entries: 2...2),
        ])
        for index in UInt64(3)...40 {
            try opened.log.append([Fixture.append(3, entries: index...index, bytes: 900)])
            if index % 9 == 0 { try opened.log.truncateLog(of: three, through: LogIndex(index)) }
            try opened.log.sync()
            let again = try open(device.copy())
            #expect(again.groups[two]?.isUntrusted == true && again.report.mayLackGroups)
            #expect(again.groups[three]?.isUntrusted == false)
            #expect(again.groups[three]?.lastIndex == LogIndex(index))
        }
        #expect(try device.listSegments()[0].number > SegmentNumber(2), "the first are gone")
        opened = try open(device)
        #expect(opened.groups[two]?.distrust == .recordsLost)
    }

    /// A reset that is read later than written: its segment is gone when the group goes on.
    @Test func aGroupThatWasClearedStaysNewWhenTheResetsSegmentIsGone() throws {
        let device = MemoryLogDevice()
        var log = try open(device).log
        try log.append([Fixture.append(1, entries: 1...1)])
        try log.seal()
        zero(device, sectors: 2, 30)
        log = try open(device).log
        try log.append([GroupAppend(group: one, isReset: true)])
        try log.append([GroupAppend(group: two, isReset: true)])
        for index in UInt64(1)...40 {
            try log.append([Fixture.append(2, entries: index...index, bytes: 900)])
        }
        try log.truncateLog(of: two, through: LogIndex(40))
        try log.sync()
        #expect(try device.listSegments().count == 1)
        try log.append([Fixture.append(1, entries: 1...1), Fixture.append(1, entries: 2...2)])
        try log.sync()
        let (_, groups, report) = try open(device)
        #expect(report.mayLackGroups && report.salvaged.isEmpty)
        #expect(groups[one]?.isUntrusted == false && groups[one]?.lastIndex == LogIndex(2))
        #expect(groups[two]?.isUntrusted == false && groups[two]?.lastIndex == LogIndex(40))
    }

    /// Damage that nobody has met yet, and a group that begins behind it.
    @Test func aReplicaThatBeginsBehindUnnoticedDamageIsCertainWhenItsLogSaysSo() throws {
        for saysSo in [false, true] {
            let device = MemoryLogDevice()
            let log = try Fixture.open(device).log
            try log.append([Fixture.append(1, entries: 1...1)])
            try log.seal()
            zero(device, sectors: 2, 30)
            if saysSo { try log.append([GroupAppend(group: two, isReset: true)]) }
            try log.append([
                GroupAppend(
                    group: two, hardState: hardState(3, vote: nil), entries: [Fixture.entry(1)])
            ])
            try log.seal()
            let (_, groups, report) = try open(device)
            #expect(report.mayLackGroups)
            #expect(groups[two]?.isUntrusted == !saysSo)
            #expect(groups[two]?.lastIndex == LogIndex(saysSo ? 1 : 0))
        }
    }

    @Test func theNextSegmentSettlesEveryDoubt() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        for i in UInt64(1)...40 {
            try log.append([
                Fixture.append(1, term: 1 + i / 4, entries: i...i, bytes: 500),
                GroupAppend(group: two, hardState: hardState(i, vote: i)),
            ])
            try log.sync()
        }
        try log.seal()
        #expect(try device.listSegments().count >= 3)
        device.lose(SegmentNumber(2))
        let (_, groups, report) = try open(device)
        #expect(report.salvaged.map(\.reason) == [.segmentMissing])
        #expect(groups.values.allSatisfy { !$0.isUntrusted && !$0.voteIsUnknown })
        #expect(groups[two]?.hardState == hardState(40, vote: 40))
        let damaged = try #require(groups[one]?.damaged)
        #expect(damaged.count == 1 && groups[one]?.lastIndex == LogIndex(40))
        #expect(groups[one]?.termRuns.count == 11, "terms of lost entries are known")
        #expect(!report.mayLackGroups)
    }

    @Test func aTornTailIsDroppedAndTrustedBesideDamage() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        try log.append([Fixture.append(1, entries: 1...1)])
        try log.sync()
        try log.append([Fixture.append(1, entries: 2...2)])
        try log.sync()
        try log.append([Fixture.append(1, entries: 3...3)])
        device.flipBit(first, byte: 2 * Sector.size + 99, bit: 2)
        // The third batch was never synced: its identifiers did not reach the disk.
        zero(device, sectors: 28)
        let (_, groups, report) = try open(device)
        #expect(groups[one]?.lastIndex == LogIndex(2) && groups[one]?.isUntrusted == false)
        #expect(groups[one]?.damaged == [LogIndex(1)...LogIndex(1)])
        #expect(report.tornTail?.offset == 4 * Sector.size)
    }

    @Test func anUnreadableSectorIsARottenOne() throws {
        let device = try log([
            [Fixture.append(1, entries: 1...1)], [Fixture.append(1, entries: 2...2)],
        ])
        device.makeUnreadable(first, sector: 3)
        #expect(throws: LogError.self) { try Fixture.open(device) }
        let (_, groups, _) = try open(device)
        #expect(groups[one]?.damaged == [LogIndex(2)...LogIndex(2)])
        #expect(device.faultCounts.unreadable > 0)
    }

    @Test func rotThatOnlyAReadMeetsIsNamedAndCanBeRepaired() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        try log.append([Fixture.append(1, entries: 1...9, bytes: 600)])
        try log.sync()
        device.flipBit(first, byte: 6 * Sector.size + 9, bit: 1)
        let lost = try #require(
            try corruption {
                _ = try log.everything(of: one)
            }?.damage.first?.indexes?.lowerBound)
        #expect(lost > LogIndex(1))
        log.noteDamage(of: one, at: lost)
        #expect(log.damaged(of: one) == [lost...lost])
        try log.append([
            GroupAppend(group: one, repaired: [Fixture.entry(lost.rawValue, bytes: 600)])
        ])
        #expect(log.damaged(of: one) == [])
        #expect(try log.everything(of: one) == (1...9).map { Fixture.entry($0, bytes: 600) })
    }

    /// What a failed sync has left in the system's cache is returned, and must survive.
    @Test func whatASalvageReturnsIsDurableEvenAfterAFailedSync() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        try log.append([Fixture.append(1, entries: 1...1)])
        try log.sync()
        try log.append([Fixture.append(1, entries: 2...2)])
        device.fail(.init(.sync))
        #expect(throws: LogError.self) { try log.sync() }
        device.flipBit(first, byte: 2 * Sector.size + 99, bit: 2)
        let shown = try open(device).groups
        #expect(shown[one]?.lastIndex == LogIndex(2))
        device.crash(seed: 1)
        let (again, kept, _) = try open(device)
        #expect(kept == shown)
        #expect(
            try again.entries(of: one, from: LogIndex(2), through: LogIndex(2), maxBytes: 1)
                == [Fixture.entry(2)])
    }

    /// Repaired out of order, into the segment that holds others of the group.
    @Test func entriesRepairedInAnyOrderAreReadInTheirs() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        try log.append([Fixture.append(1, entries: 1...6)])
        for index in [UInt64(5), 2, 4] { log.noteDamage(of: one, at: LogIndex(index)) }
        try log.append([
            GroupAppend(
                group: one, repaired: [Fixture.entry(5), Fixture.entry(2), Fixture.entry(4)])
        ])
        #expect(try log.everything(of: one) == (1...6).map { Fixture.entry($0) })
        try log.sync()
        #expect(try Fixture.open(device).log.everything(of: one).count == 6)
    }

    /// Entry 1 is needed from where it was repaired, entry 2 from where it always was.
    @Test func repairedEntriesDoNotFreeTheSegmentsOfOthers() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device).log
        try log.append([Fixture.append(1, entries: 1...2, bytes: 900)])
        for i in UInt64(1)...40 { try log.append([Fixture.append(2, entries: i...i, bytes: 900)]) }
        log.noteDamage(of: one, at: LogIndex(1))
        try log.append([GroupAppend(group: one, repaired: [Fixture.entry(1, bytes: 900)])])
        try log.append([GroupAppend(group: two, replaceFrom: LogIndex(1))])
        try log.sync()
        #expect(try device.listSegments()[0].number == first)
        #expect(
            try log.everything(of: one) == (1...2).map { Fixture.entry($0, bytes: 900) })
    }

    @Test func aSnapshotsStartThatIsLostIsDistrusted() throws {
        let start = LogStart(
            index: LogIndex(50), term: Term(3), timestamp: .zero, configuration: [1],
            configurationIndex: LogIndex(2), replacesAll: true)
        let device = try log([
            [Fixture.append(1, entries: 1...1)], [GroupAppend(group: one, start: start)],
            [GroupAppend(group: one, entries: [Fixture.entry(51, term: 3)])],
        ])
        device.flipBit(first, byte: 3 * Sector.size + 99, bit: 2)
        let (_, groups, _) = try open(device)
        #expect(groups[one]?.distrust == .startLost)
        #expect(groups[one]?.truncatedThrough == LogIndex(50))
        #expect(groups[one]?.lastIndex == LogIndex(51))
    }

    @Test func whatIsForeignIsNeverSalvaged() throws {
        let device = try log([[Fixture.append(1, entries: 1...1)]])
        let other = LogIdentity(cluster: ClusterID(0xC1), node: NodeID(0xA2))
        #expect(
            throws: LogError.foreign(expected: other, found: Fixture.identity, segment: first)
        ) {
            try ReplicatedLog.open(device: device, identity: other, settings: salvaging)
        }
    }
}
