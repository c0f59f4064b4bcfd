import Primitives

/// The content of a segment's first sector. It reaches the device together with the segment
/// (`LogDevice.create`), so a segment without a valid one is corrupt, never unfinished.
///
/// | Offset | Bytes | Field |
/// |---|---|---|
/// | 0 | 8 | magic, `SPINELOG` in ASCII |
/// | 8 | 2 | format version, 2 |
/// | 10 | 2 | sector size, 512 |
/// | 12 | 4 | flags: 1 the log begins anew here, 2 groups may have been forgotten |
/// | 16 | 8 | segment number |
/// | 24 | 8 | segment size in bytes |
/// | 32 | 8 | cluster |
/// | 40 | 8 | node |
/// | 48 | 8 | epoch in which the segment was created |
/// | 56 | 8 | sequence of the segment's first batch |
/// | 64 | 8 | durable sequence: every batch up to this one had been synced |
package struct SegmentHeader: Hashable, Sendable {
    package static let version: UInt16 = 2
    private static let restartsFlag: UInt32 = 1
    private static let lacksFlag: UInt32 = 2
    static let magic: [UInt8] = Array("SPINELOG".utf8)

    package var number: SegmentNumber
    package var bytes: Int
    package var identity: LogIdentity
    package var epoch: UInt64
    package var firstSequence: UInt64
    package var durableSequence: UInt64
    /// The segments before this one may be damaged: its checkpoint stands for what they held.
    package var restarts: Bool
    /// Groups may have been in the log that are not in it any more.
    package var mayLackGroups: Bool

    package init(
        number: SegmentNumber, bytes: Int, identity: LogIdentity, epoch: UInt64,
        firstSequence: UInt64, durableSequence: UInt64, restarts: Bool = false,
        mayLackGroups: Bool = false
    ) {
        self.number = number
        self.bytes = bytes
        self.identity = identity
        self.epoch = epoch
        self.firstSequence = firstSequence
        self.durableSequence = durableSequence
        self.restarts = restarts
        self.mayLackGroups = mayLackGroups
    }

    /// The sealed sector.
    package func encoded() -> Bytes {
        var writer = ByteWriter(reserving: Sector.size)
        writer.writeRaw(Self.magic)
        writer.write(Self.version)
        writer.write(UInt16(Sector.size))
        writer.write((restarts ? Self.restartsFlag : 0) | (mayLackGroups ? Self.lacksFlag : 0))
        writer.write(number.rawValue)
        writer.write(UInt64(bytes))
        writer.write(identity.cluster.rawValue)
        writer.write(identity.node.rawValue)
        writer.write(epoch)
        writer.write(firstSequence)
        writer.write(durableSequence)
        var sector = writer.bytes
        sector.append(contentsOf: repeatElement(0, count: Sector.size - sector.count))
        sector.withUnsafeMutableBytes {
            SectorCodec(identity: nil, segment: number)
                .seal($0, number: 0, role: .segmentHeader, sequence: 0)
        }
        return sector
    }

    enum Failure: Error { case notAHeader, unsupportedVersion(UInt16) }

    static func read(_ sector: UnsafeRawBufferPointer) -> Result<SegmentHeader, Failure> {
        let codec = SectorCodec(identity: nil, segment: SegmentNumber(0))
        guard sector.count == Sector.size,
            codec.state(of: sector, number: 0) == .written(.segmentHeader, sequenceTag: 0),
            sector.prefix(8).elementsEqual(magic)
        else { return .failure(.notAHeader) }
        let found: UInt16 = sector.integer(at: 8)
        guard found == version else { return .failure(.unsupportedVersion(found)) }
        let flags: UInt32 = sector.integer(at: 12)
        guard sector.integer(at: 10, as: UInt16.self) == UInt16(Sector.size),
            flags <= restartsFlag | lacksFlag,
            let bytes = Int(exactly: sector.integer(at: 24, as: UInt64.self))
        else { return .failure(.notAHeader) }
        let header = SegmentHeader(
            number: SegmentNumber(sector.integer(at: 16)), bytes: bytes,
            identity: LogIdentity(
                cluster: ClusterID(sector.integer(at: 32)), node: NodeID(sector.integer(at: 40))),
            epoch: sector.integer(at: 48), firstSequence: sector.integer(at: 56),
            durableSequence: sector.integer(at: 64), restarts: flags & restartsFlag != 0,
            mayLackGroups: flags & lacksFlag != 0)
        return .success(header)
    }
}
