import Primitives

/// The unit in which the log is written, checksummed and judged: what a device writes whole or not
/// at all. InnoDB's redo log has blocks of the same size and for the same reason.
///
/// | Offset | Bytes | Field |
/// |---|---|---|
/// | 0 | 504 | content |
/// | 504 | 4 | tag: role in the top 8 bits, below it the low 24 bits of the batch's sequence |
/// | 508 | 4 | CRC-32C of cluster, node, segment, sector number (not stored) and bytes 0–507 |
package enum Sector {
    /// Bytes of a sector on the device.
    package static let size = 512
    /// Bytes of a sector that a batch can fill.
    package static let contentSize = 504

    static let tagOffset = 504
    /// Of the tag's top byte: integers are little-endian.
    static let roleOffset = 507
    static let checksumOffset = 508
    static let sequenceMask: UInt32 = 0xFF_FFFF

    /// What a sector is for. It stands outside the content, so that no client's bytes can pose as a
    /// batch. Three bits or more are set in each, so that one flipped bit makes no written sector
    /// zero.
    package enum Role: UInt8, Hashable, Sendable {
        case segmentHeader = 0xC1
        case batchHead = 0xC2
        case batchContinuation = 0xC4
        case identifiers = 0xC8
    }

    /// What a sector read back is found to be.
    package enum State: Hashable, Sendable {
        /// Nothing but zeroes: never written, or written and lost.
        case zero
        /// As it was written here, by this log.
        case written(Role, sequenceTag: UInt32)
        /// Neither. A device that keeps its obligations tears no sector, so this is rot, a
        /// misdirected write, or a sector of another log.
        case rotten
    }

    /// Sectors that `count` bytes of content fill.
    static func count(forContent count: Int) -> Int {
        (count + contentSize - 1) / contentSize
    }

    static func tag(of sequence: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: sequence) & sequenceMask
    }

    static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset + 64 <= bytes.count {
            let part = bytes.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            if part != .zero { return false }
            offset += 64
        }
        while offset < bytes.count {
            if bytes[offset] != 0 { return false }
            offset += 1
        }
        return true
    }
}

/// Seals and judges the sectors of one segment.
struct SectorCodec: Sendable {
    /// The checksum's state after the bytes that all sectors of the segment share.
    private let prefix: CRC32C

    /// - Parameter identity: whose log it is; `nil` for the segment header alone, which must be
    ///   readable before the segment's owner and number are known.
    init(identity: LogIdentity?, segment: SegmentNumber) {
        var writer = ByteWriter(reserving: 24)
        writer.write(identity?.cluster.rawValue ?? 0)
        writer.write(identity?.node.rawValue ?? 0)
        writer.write(identity == nil ? 0 : segment.rawValue)
        var crc = CRC32C()
        crc.update(writer.bytes)
        prefix = crc
    }

    private func checksum(_ sector: UnsafeRawBufferPointer, number: UInt32) -> UInt32 {
        var crc = prefix
        withUnsafeBytes(of: number.littleEndian) { crc.update($0) }
        crc.update(UnsafeRawBufferPointer(rebasing: sector[..<Sector.checksumOffset]))
        return crc.value
    }

    /// Fills in the tag and checksum of a sector whose content stands.
    func seal(
        _ sector: UnsafeMutableRawBufferPointer, number: UInt32, role: Sector.Role,
        sequence: UInt64
    ) {
        let tag = UInt32(role.rawValue) << 24 | Sector.tag(of: sequence)
        sector.store(tag, at: Sector.tagOffset)
        sector.store(
            checksum(UnsafeRawBufferPointer(sector), number: number), at: Sector.checksumOffset)
    }

    func state(of sector: UnsafeRawBufferPointer, number: UInt32) -> Sector.State {
        if Sector.isZero(sector) { return .zero }
        let stored: UInt32 = sector.integer(at: Sector.checksumOffset)
        guard stored == checksum(sector, number: number) else { return .rotten }
        let tag: UInt32 = sector.integer(at: Sector.tagOffset)
        guard let role = Sector.Role(rawValue: UInt8(tag >> 24)) else { return .rotten }
        return .written(role, sequenceTag: tag & Sector.sequenceMask)
    }

    /// Turns the contiguous content of a batch into its sectors, in place and from the end, so that
    /// no content is overwritten before it has moved.
    func sealBatch(_ buffer: inout Bytes, firstSector: UInt32, sequence: UInt64) {
        let contentBytes = buffer.count
        let sectors = Sector.count(forContent: contentBytes)
        buffer.append(
            contentsOf: repeatElement(0, count: sectors * Sector.size - contentBytes))
        buffer.withUnsafeMutableBytes { raw in
            for k in stride(from: sectors - 1, through: 0, by: -1) {
                let from = k * Sector.contentSize
                let count = min(Sector.contentSize, contentBytes - from)
                let sector = UnsafeMutableRawBufferPointer(
                    rebasing: raw[k * Sector.size..<(k + 1) * Sector.size])
                sector.baseAddress!.copyMemory(
                    from: raw.baseAddress! + from, byteCount: count)
                UnsafeMutableRawBufferPointer(rebasing: sector[count...])
                    .initializeMemory(as: UInt8.self, repeating: 0)
                seal(
                    sector, number: firstSector + UInt32(k),
                    role: k == 0 ? .batchHead : .batchContinuation, sequence: sequence)
            }
        }
    }

    /// The contiguous content of consecutive sectors.
    static func content(of sectors: UnsafeRawBufferPointer) -> Bytes {
        precondition(sectors.count % Sector.size == 0, "\(sectors.count) bytes of sectors")
        let count = sectors.count / Sector.size
        return Bytes(unsafeUninitializedCapacity: count * Sector.contentSize) { target, used in
            let base = UnsafeMutableRawPointer(target.baseAddress!)
            for k in 0..<count {
                (base + k * Sector.contentSize).copyMemory(
                    from: sectors.baseAddress! + k * Sector.size, byteCount: Sector.contentSize)
            }
            used = count * Sector.contentSize
        }
    }
}

extension UnsafeMutableRawBufferPointer {
    func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
}

extension UnsafeRawBufferPointer {
    func integer<T: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as type: T.Type = T.self
    ) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}
