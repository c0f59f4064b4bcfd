import Primitives
import ReplicatedLog

/// What befalls sectors of a log beneath it: drawn once, so that it strikes a copy first and then the
/// disk, or a copy on which the log has gone on.
struct LogStrike {
    enum Blow {
        /// The write never took place.
        case lost
        case flippedBit(byte: Int, bit: Int)
        /// Another sector's content took its place.
        case overwritten(Bytes)
        case unreadable
    }

    let segment: SegmentNumber
    let blows: [(sector: Int, blow: Blow)]

    /// Of one that holds something: nil where there is none.
    init?(_ deed: FaultClass, on device: MemoryLogDevice, chance: inout Chance) {
        let segments: [LogDeviceSegment]
        do throws(LogDeviceError) {
            segments = try device.listSegments()
        } catch {
            return nil
        }
        guard !segments.isEmpty else { return nil }
        let struck = chance.pick(segments)
        let contents = device.contents(of: struck.number)
        let written = (0..<struck.bytes / Sector.size).filter { number in
            contents[number * Sector.size..<(number + 1) * Sector.size].contains { $0 != 0 }
        }
        guard written.count > 1 else { return nil }
        // Now and then several sectors that lie together, as a track of a disk does.
        var first = chance.below(written.count)
        // A vote is the newest of what a log holds: of an idle group it lies near the end.
        if chance.below(3) == 0 {
            first = max(0, written.count - 2 - chance.below(min(written.count, 12)))
        }
        let count = chance.below(4) == 0 ? 1 + chance.below(6) : 1
        var blows: [(sector: Int, blow: Blow)] = []
        for sector in written[first..<min(first + count, written.count)] {
            switch deed {
            case .bitRot:
                let byte = chance.below(Sector.size)
                blows.append((sector, .flippedBit(byte: byte, bit: chance.below(8))))
            case .lostWrite: blows.append((sector, .lost))
            case .misdirectedWrite:
                let other = chance.pick(written) * Sector.size
                let content = Bytes(contents[other..<other + Sector.size])
                blows.append((sector, .overwritten(content)))
            case .unreadable: blows.append((sector, .unreadable))
            default: preconditionFailure("\(deed) is no damage to a log")
            }
        }
        segment = struck.number
        self.blows = blows
    }

    func hit(_ device: MemoryLogDevice) {
        for (sector, blow) in blows {
            let start = sector * Sector.size
            switch blow {
            case .lost:
                device.overwrite(segment, at: start, Bytes(repeating: 0, count: Sector.size))
            case .flippedBit(let byte, let bit):
                device.flipBit(segment, byte: start + byte, bit: bit)
            case .overwritten(let content): device.overwrite(segment, at: start, content)
            case .unreadable: device.makeUnreadable(segment, sector: sector)
            }
        }
    }
}
