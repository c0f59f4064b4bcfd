import Primitives
import Testing

@testable import ReplicatedLog

/// Harm to bytes that were synced: never silent.
@Suite struct RotTests {
    let one = GroupID(1)
    let two = GroupID(2)
    let first = SegmentNumber(1)

    /// A log of a few batches, all synced, the last one with nothing behind it that says so.
    private func smallLog(sealed: Bool = false) throws -> (MemoryLogDevice, [LogEntry]) {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        try log.append([
            GroupAppend(
                group: one, hardState: HardState(term: Term(1), vote: ReplicaID(2)),
                entries: [Fixture.entry(1), Fixture.entry(2, bytes: 700)])
        ])
        try log.sync()
        // A sector that holds one set bit is one flip away from a lost one, but for its tag.
        var sparse = Fixture.entry(3)
        sparse.payload = .command(Bytes(repeating: 0, count: 1200) + [1])
        try log.append([
            GroupAppend(group: one, entries: [sparse]),
            Fixture.append(2, entries: 1...16, bytes: 3),
        ])
        try log.sync()
        if sealed { try log.seal() }
        let everything = try log.everything(of: one) + log.everything(of: two)
        return (device, everything)
    }

    private func read(_ device: MemoryLogDevice) throws -> ([LogEntry], RecoveryReport) {
        let (log, groups, report) = try Fixture.open(device)
        if groups[one]?.hardState != HardState(term: Term(1), vote: ReplicaID(2)) {
            return ([], report)
        }
        return (try log.everything(of: one) + log.everything(of: two), report)
    }

    private func writtenSectors(_ device: MemoryLogDevice) -> [Int] {
        let bytes = device.contents(of: first)
        return (0..<bytes.count / Sector.size).filter { sector in
            bytes[sector * Sector.size..<(sector + 1) * Sector.size].contains { $0 != 0 }
        }
    }

    /// In each byte one bit, unless there is time for all of them.
    @Test func everyFlippedBitIsCorruptionOrHarmless() throws {
        let (device, everything) = try smallLog()
        let written = writtenSectors(device)
        #expect(written.count >= 12)
        var corrupt = 0
        for byte in 0..<device.contents(of: first).count {
            let isWritten = written.contains(byte / Sector.size)
            for bit in isWritten && isThorough ? 0..<8 : byte % 8..<byte % 8 + 1 {
                let hurt = device.copy()
                hurt.flipBit(first, byte: byte, bit: bit)
                let before = hurt.contents(of: first)
                var outcome: ([LogEntry], RecoveryReport)?
                let corruption = try corruption { outcome = try read(hurt) }
                if let corruption {
                    corrupt += 1
                    let sector = byte / Sector.size * Sector.size
                    try #require(
                        corruption.offset == sector && hurt.contents(of: first) == before,
                        "bit \(bit) of byte \(byte): \(corruption)")
                } else {
                    try #require(
                        !isWritten && outcome?.0 == everything,
                        "bit \(bit) of byte \(byte) went unnoticed")
                }
            }
        }
        #expect(corrupt >= written.count * Sector.size * (isThorough ? 8 : 1))
    }

    @Test func everyTruncationIsCorruption() throws {
        let (device, _) = try smallLog()
        for length in 0..<device.contents(of: first).count {
            let hurt = device.copy()
            hurt.truncate(first, bytes: length)
            let corruption = try corruption { _ = try read(hurt) }
            try #require(corruption?.reason == .segmentShort, "\(length) bytes")
        }
    }

    @Test func everyLostSectorOfAProvenBatchIsCorruption() throws {
        let (device, _) = try smallLog(sealed: true)
        let written = writtenSectors(device)
        let bytes = device.contents(of: first).count / Sector.size
        for sector in written {
            let hurt = device.copy()
            hurt.overwrite(
                first, at: sector * Sector.size, Bytes(repeating: 0, count: Sector.size))
            // The seal itself has nothing behind it; losing it loses nothing.
            let isSeal =
                sector == written.last { $0 < bytes / 2 }
                || sector == written.first { $0 > bytes / 2 }
            var found: [LogEntry] = []
            let corruption = try corruption { found = try read(hurt).0 }
            if isSeal {
                #expect(corruption == nil && found.count == 19, "sector \(sector)")
            } else {
                #expect(
                    corruption?.reason == (sector == 0 ? .segmentHeader : .syncedSectorLost),
                    "sector \(sector)")
                #expect(corruption?.offset == sector * Sector.size)
            }
        }
    }

    /// The limit that the format's document states: a lost sector of the very last sync looks like
    /// a torn one. Everything before that sync is still there.
    @Test func aLostSectorOfTheLastSyncLooksTorn() throws {
        let (device, everything) = try smallLog()
        let written = writtenSectors(device)
        let sector = written.last { $0 < 16 }!
        device.overwrite(
            first, at: sector * Sector.size, Bytes(repeating: 0, count: Sector.size))
        let (found, report) = try read(device)
        #expect(report.tornTail != nil)
        #expect(found == Array(everything[..<2]))
    }

    @Test func corruptionNamesGroupsAndIndexes() throws {
        let (device, _) = try smallLog()
        // Sector 3 is the second of the first batch of records: entry 2 of group 1 fills it.
        device.flipBit(first, byte: 3 * Sector.size + 100, bit: 3)
        let expected = LogCorruption(
            reason: .sectorRotten, segment: first, offset: 3 * Sector.size,
            damage: [.init(group: one, indexes: LogIndex(2)...LogIndex(2))])
        #expect(throws: LogError.corruption(expected)) { try Fixture.open(device) }
        // Its first sector holds the hard state and the first entries too.
        device.flipBit(first, byte: 2 * Sector.size + 100, bit: 3)
        let corruption = try corruption { _ = try Fixture.open(device) }
        #expect(corruption?.offset == 2 * Sector.size)
        #expect(
            corruption?.damage == [.init(group: one, indexes: LogIndex(1)...LogIndex(2))])
    }

    @Test func aRottenIdentifierNamesWhatItIdentified() throws {
        let (device, _) = try smallLog()
        let sectors = device.contents(of: first).count / Sector.size
        // From the end: the opening, three records of the first batch, then 17 in two parts.
        device.flipBit(first, byte: (sectors - 4) * Sector.size + 60, bit: 0)
        let corruption = try corruption { _ = try Fixture.open(device) }
        #expect(corruption?.reason == .sectorRotten)
        #expect(corruption?.offset == (sectors - 4) * Sector.size)
        #expect(
            corruption?.damage == [.init(group: two, indexes: LogIndex(14)...LogIndex(16))])
    }

    @Test func aReadChecksWhatItReads() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        try log.append([Fixture.append(1, entries: 1...9)])
        try log.sync()
        #expect(try log.everything(of: one).count == 9)
        device.flipBit(first, byte: 3 * Sector.size + 9, bit: 1)
        let corruption = try corruption { _ = try log.everything(of: one) }
        #expect(corruption?.offset == 3 * Sector.size)
        #expect(corruption?.damage.map(\.group) == [one])
    }

    @Test func aSectorWrittenToTheWrongPlaceIsNoticed() throws {
        let (device, _) = try smallLog()
        let bytes = device.contents(of: first)
        device.overwrite(
            first, at: 3 * Sector.size, Bytes(bytes[2 * Sector.size..<3 * Sector.size]))
        let corruption = try corruption { _ = try Fixture.open(device) }
        #expect(corruption?.reason == .sectorRotten && corruption?.offset == 3 * Sector.size)
    }

    // MARK: - Segments

    private func longLog() throws -> MemoryLogDevice {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        for i in UInt64(1)...60 {
            try log.append([Fixture.append(1, entries: i...i, bytes: 900)])
            try log.sync()
        }
        return device
    }

    @Test func everyMissingSegmentIsCorruption() throws {
        let device = try longLog()
        let segments = try device.listSegments().map(\.number)
        #expect(segments.count >= 4)
        for segment in segments {
            let hurt = device.copy()
            hurt.lose(segment)
            let corruption = try corruption { _ = try Fixture.open(hurt) }
            let expected: LogCorruption.Reason =
                segment == first ? .entriesMissing : .segmentMissing
            #expect(corruption?.reason == expected, "segment \(segment)")
        }
    }

    @Test func aSegmentInTheWrongPlaceIsCorruption() throws {
        let device = try longLog()
        device.overwrite(SegmentNumber(3), at: 0, device.contents(of: SegmentNumber(2)))
        #expect(throws: LogError.self) { try Fixture.open(device) }
    }

    @Test func aLostTailOfAnEarlierSegmentIsCorruption() throws {
        let device = try longLog()
        let second = SegmentNumber(2)
        var bytes = device.contents(of: second)
        // Everything behind the header, as if the segment had never been written.
        for i in Sector.size..<bytes.count { bytes[i] = 0 }
        device.overwrite(second, at: 0, bytes)
        let corruption = try corruption { _ = try Fixture.open(device) }
        #expect(corruption?.segment == second)
        #expect(corruption?.reason == .syncedSectorLost)
    }
}
