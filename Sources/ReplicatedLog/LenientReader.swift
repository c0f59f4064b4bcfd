import Primitives

/// Reads segments that may be damaged: what the device cannot read is as good as rotten.
struct LenientReader: Sendable {
    let device: any LogDevice
    let identity: LogIdentity

    /// The error number with which devices say that a sector is unreadable: `EIO`.
    static let unreadable: Int32 = 5

    func image(of number: SegmentNumber) throws(LogError) -> SegmentImage {
        let listed: [LogDeviceSegment]
        do { listed = try device.listSegments() } catch { throw .device(error) }
        guard let found = listed.first(where: { $0.number == number }) else {
            throw .corruption(
                LogCorruption(reason: .segmentMissing, segment: number, offset: 0))
        }
        return try image(of: found)
    }

    /// All sectors of a segment. When its header says that it was longer, what is cut off is
    /// unreadable.
    func image(of found: LogDeviceSegment) throws(LogError) -> SegmentImage {
        let sectors = found.bytes / Sector.size
        var bytes = Bytes(repeating: 0, count: sectors * Sector.size)
        var unreadable: Set<Int> = []
        let device = device
        let outcome = bytes.withUnsafeMutableBytes { raw in
            Result { () throws(LogDeviceError) in
                do throws(LogDeviceError) {
                    if sectors > 0 { try device.read(found.number, at: 0, into: raw) }
                    return
                } catch {
                    guard error.errorNumber == Self.unreadable else { throw error }
                }
                for sector in 0..<sectors {
                    let offset = sector * Sector.size
                    do throws(LogDeviceError) {
                        try device.read(
                            found.number, at: offset,
                            into: UnsafeMutableRawBufferPointer(
                                rebasing: raw[offset..<offset + Sector.size]))
                    } catch {
                        guard error.errorNumber == Self.unreadable else { throw error }
                        unreadable.insert(sector)
                    }
                }
            }
        }
        if case .failure(let error) = outcome { throw .device(error) }
        let image = SegmentImage(
            found.number, bytes: bytes, identity: identity, unreadable: unreadable)
        guard let header = try image.header(), header.bytes > found.bytes,
            header.bytes <= Int(UInt32.max), header.bytes % Sector.size == 0
        else { return image }
        bytes.append(contentsOf: repeatElement(0, count: header.bytes - bytes.count))
        for sector in sectors..<header.bytes / Sector.size { unreadable.insert(sector) }
        return SegmentImage(
            found.number, bytes: bytes, identity: identity, unreadable: unreadable)
    }
}

extension SegmentImage {
    /// `nil` when the first sector is not the header of this segment.
    func header() throws(LogError) -> SegmentHeader? {
        guard sectorCount > 0, !unreadable.contains(0) else { return nil }
        switch withSector(0, { SegmentHeader.read($0) }) {
        case .success(let header): return header.number == number ? header : nil
        case .failure(.notAHeader): return nil
        case .failure(.unsupportedVersion(let version)):
            throw .unsupportedVersion(version, segment: number)
        }
    }
}

extension SegmentSurvey {
    /// Of a segment that begins anew and is the last: whether its checkpoint was never synced. Its
    /// first batch is not whole, nothing says that it was durable, and what is there of it is zero
    /// or as it was written.
    var isUnfinishedRestart: Bool {
        guard let first = batches.first else {
            return (1..<max(image.sectorCount, 1)).allSatisfy { image.state($0) != .rotten }
        }
        let reading = read(first)
        if reading.isWhole, first.firstSector == 1 { return false }
        return claim < first.sequence && !reading.isRotten
            && (first.firstSector == 1 || image.isZero(1))
    }
}
