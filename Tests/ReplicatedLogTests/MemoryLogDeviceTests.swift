import Primitives
import Testing

@testable import ReplicatedLog

/// The device's faults do what its fault model says, and no more.
@Suite struct MemoryLogDeviceTests {
    let first = SegmentNumber(1)

    private func make(_ segments: UInt64 = 1) throws -> MemoryLogDevice {
        let device = MemoryLogDevice()
        for number in 1...segments {
            try Bytes(repeating: 1, count: Sector.size).withUnsafeBytes {
                try device.create(SegmentNumber(number), bytes: 8 * Sector.size, header: $0)
            }
        }
        return device
    }

    private func write(_ device: MemoryLogDevice, _ sector: Int, _ fill: UInt8) throws {
        try Bytes(repeating: fill, count: Sector.size).withUnsafeBytes {
            try device.write(first, at: sector * Sector.size, $0)
        }
    }

    private func read(
        _ device: MemoryLogDevice, _ sector: Int, of segment: SegmentNumber? = nil
    ) throws -> UInt8 {
        var bytes = Bytes(repeating: 0, count: Sector.size)
        try bytes.withUnsafeMutableBytes {
            try device.read(segment ?? first, at: sector * Sector.size, into: $0)
        }
        #expect(bytes.allSatisfy { $0 == bytes[0] })
        return bytes[0]
    }

    @Test func aCrashLeavesOneOfTheStatesSinceTheLastSync() throws {
        var seen: Set<UInt8> = []
        for seed in UInt64(0)..<60 {
            let device = try make()
            try write(device, 2, 5)
            try device.sync(first)
            try write(device, 2, 6)
            try write(device, 2, 7)
            #expect(try read(device, 2) == 7)
            #expect(device.durableContents(of: first)[2 * Sector.size] == 5)
            device.crash(seed: seed)
            seen.insert(try read(device, 2))
        }
        #expect(seen == [5, 6, 7])
    }

    @Test func aLostWriteIsAcknowledgedAndNeverHappens() throws {
        let device = try make()
        device.loseWrite(after: 1)
        try write(device, 2, 5)
        try write(device, 3, 6)
        try device.sync(first)
        #expect(try read(device, 2) == 5)
        #expect(try read(device, 3) == 0)
        #expect(device.faultCounts.lostWrites == 1)
    }

    @Test func aLostSyncIsCarriedByTheNextHonestOne() throws {
        for honest in [false, true] {
            let device = try make()
            device.loseSync()
            try write(device, 2, 5)
            try device.sync(first)
            if honest { try device.sync(first) }
            // Seeds that keep nothing.
            let found = try (UInt64(0)..<40).map { seed in
                let hurt = device.copy()
                hurt.crash(seed: seed)
                return try read(hurt, 2)
            }
            #expect(found.contains(0) == !honest)
            #expect(device.faultCounts.lostSyncs == 1)
        }
    }

    @Test func aFailedSyncIsNotMadeGoodByTheNext() throws {
        let device = try make()
        try write(device, 2, 5)
        device.fail(.init(.sync))
        #expect(throws: LogDeviceError.self) { try device.sync(first) }
        try device.sync(first)
        #expect(try read(device, 2) == 5)
        let hurt = device.copy()
        hurt.crash(seed: 1)
        #expect(try read(hurt, 2) == 0)
        // Written again, it is carried again.
        try write(device, 2, 5)
        try device.sync(first)
        device.crash(seed: 1)
        #expect(try read(device, 2) == 5)
    }

    @Test func aMisdirectedWriteLandsElsewhere() throws {
        for seed in UInt64(0)..<20 {
            let device = try make(2)
            device.misdirect(seed: seed)
            try write(device, 2, 5)
            var places: [Int] = []
            for segment in UInt64(1)...2 {
                for sector in 0..<8 where try read(device, sector, of: SegmentNumber(segment)) == 5
                { places.append(sector) }
            }
            #expect(places.count == 1 && device.faultCounts.misdirected == 1)
        }
    }

    @Test func anUnreadableSectorIsMendedByAWrite() throws {
        let device = try make()
        device.makeUnreadable(first, sector: 2)
        #expect(try read(device, 1) == 0)
        #expect(throws: LogDeviceError.self) { try read(device, 2) }
        device.crash(seed: 1)
        #expect(throws: LogDeviceError.self) { try read(device, 2) }
        try write(device, 2, 9)
        #expect(try read(device, 2) == 9)
        #expect(device.faultCounts.unreadable == 2)
    }

    @Test func aFullDiskRefusesUntilThereIsRoom() throws {
        let device = try make()
        let noSpace: (any Error) -> Bool = { ($0 as? LogDeviceError)?.errorNumber == 28 }
        device.setFull(true)
        #expect(throws: LogDeviceError.self) { try write(device, 2, 5) }
        #expect(try read(device, 2) == 0)
        device.setFull(false)
        try write(device, 2, 5)
        device.limit(bytes: 12 * Sector.size)
        let header = Bytes(repeating: 1, count: Sector.size)
        func create() throws {
            try header.withUnsafeBytes {
                try device.create(SegmentNumber(2), bytes: 8 * Sector.size, header: $0)
            }
        }
        #expect { try create() } throws: { noSpace($0) }
        try device.remove(first)
        try create()
        #expect(device.faultCounts.noSpace == 2)
    }

    @Test func slownessIsCountedAndAnOldImageComesBack() throws {
        let device = try make()
        device.slow(.sync, units: 30, after: 1, times: 2)
        for _ in 0..<5 { try device.sync(first) }
        #expect(device.takeDelay() == 60 && device.takeDelay() == 0)
        let image = device.copy()
        try write(device, 2, 5)
        try device.sync(first)
        device.rollBack(to: image)
        #expect(try read(device, 2) == 0)
        #expect(device.faultCounts.rolledBack == 1 && device.faultCounts.slow == 2)
    }

    /// What the simulator does by the million.
    @Test func smallSyncsAreCheap() throws {
        let device = MemoryLogDevice()
        let log = try Fixture.open(device, settings: LogSettings(segmentBytes: 64 << 10)).log
        let elapsed = try ContinuousClock().measure {
            for i in UInt64(1)...1_000 {
                try log.append([Fixture.append(1, entries: i...i, bytes: 60)])
                try log.sync()
                if i % 50 == 0 { try log.truncateLog(of: GroupID(1), through: LogIndex(i - 10)) }
            }
        }
        print("1,000 small appends with their syncs: \(elapsed)")
        #expect(try device.listSegments().count < 4)
        #expect(elapsed < .seconds(10))
    }
}
