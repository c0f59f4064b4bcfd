import Primitives

/// Reads records back, verified to the last byte. Any thread.
struct SegmentReader: Sendable {
    let device: any LogDevice
    let identity: LogIdentity

    /// The content of consecutive sectors of one segment.
    func content(
        of segment: SegmentNumber, sectors: ClosedRange<Int>
    ) throws(LogError) -> Bytes {
        let device = device
        var bytes = Bytes(repeating: 0, count: sectors.count * Sector.size)
        let outcome = bytes.withUnsafeMutableBytes { raw in
            Result { () throws(LogDeviceError) in
                try device.read(segment, at: sectors.lowerBound * Sector.size, into: raw)
            }
        }
        if case .failure(let error) = outcome { throw .device(error) }
        let codec = SectorCodec(identity: identity, segment: segment)
        let bad = bytes.withUnsafeBytes { raw in
            sectors.first { number in
                let at = (number - sectors.lowerBound) * Sector.size
                let sector = UnsafeRawBufferPointer(rebasing: raw[at..<at + Sector.size])
                return switch codec.state(of: sector, number: UInt32(number)) {
                case .written(.batchHead, _), .written(.batchContinuation, _): false
                case .written, .zero, .rotten: true
                }
            }
        }
        if let bad {
            throw .corruption(
                LogCorruption(
                    reason: .sectorRotten, segment: segment, offset: bad * Sector.size))
        }
        return bytes.withUnsafeBytes { SectorCodec.content(of: $0) }
    }

    /// The entries at consecutive locations, which must be those that the index says.
    func entries(
        of group: GroupID, from first: LogIndex, terms: [Term], at locations: [EntryLocation]
    ) throws(LogError) -> [LogEntry] {
        var entries: [LogEntry] = []
        entries.reserveCapacity(locations.count)
        var next = 0
        while next < locations.count {
            let span = span(of: locations[next...])
            let segment = SegmentNumber(UInt64(locations[next].segment))
            let sectors =
                locations[span.lowerBound]
                .firstSector...locations[span.upperBound]
                .lastSector
            let content: Bytes
            do {
                content = try self.content(of: segment, sectors: sectors)
            } catch .corruption(var corruption) {
                corruption.damage = [
                    .init(
                        group: group,
                        indexes: first + UInt64(span.lowerBound)...first
                            + UInt64(span.upperBound))
                ]
                throw .corruption(corruption)
            }
            for i in span {
                let index = first + UInt64(i)
                let location = locations[i]
                let entry = content.withUnsafeBytes { raw -> LogEntry? in
                    let at =
                        (location.firstSector - sectors.lowerBound) * Sector.contentSize
                        + Int(location.offset) % Sector.size
                    let record = UnsafeRawBufferPointer(
                        rebasing: raw[at..<at + Int(location.length)])
                    guard let header = RecordHeader(record), header.group == group,
                        header.index == index, header.term == terms[i]
                    else { return nil }
                    return LogEntry(header, record: record)
                }
                guard let entry else {
                    throw .corruption(
                        LogCorruption(
                            reason: .recordMismatch, segment: segment,
                            offset: Int(location.offset),
                            damage: [.init(group: group, indexes: index...index)]))
                }
                entries.append(entry)
            }
            next = span.upperBound + 1
        }
        return entries
    }

    /// The longest run of locations that one read of a bounded size covers. Records of other groups
    /// may stand between them.
    private func span(of locations: ArraySlice<EntryLocation>) -> ClosedRange<Int> {
        let start = locations.startIndex
        var end = start
        while end + 1 < locations.endIndex,
            locations[end + 1].segment == locations[start].segment,
            // Repaired entries may stand anywhere.
            locations[end + 1].offset > locations[end].offset,
            (locations[end + 1].lastSector - locations[start].firstSector + 1) * Sector.size
                <= LogLimits.readBytesTarget
        {
            end += 1
        }
        return start...end
    }
}

// MARK: - Checkpoints

extension SegmentReader {
    /// Whether the segment's header and the checkpoint behind it can be read, with its identifiers.
    /// A device that cannot read them has lost them, too.
    func beginsWhole(_ segment: SegmentNumber) -> Bool {
        guard let first = sectors(of: segment, 0..<1),
            case .success(let header) = first.withUnsafeBytes({ SegmentHeader.read($0) }),
            header.number == segment, header.identity == identity,
            let head = sectors(of: segment, 1..<2),
            let batch = head.withUnsafeBytes({ BatchHeader($0) }),
            batch.kind == .checkpoint || batch.kind == .restart,
            batch.sequence == header.firstSequence
        else { return false }
        let end = header.bytes / Sector.size
        let data = 1..<1 + batch.dataSectors
        let identifiers = end - Int(batch.identifierSectors)..<end
        guard data.upperBound <= identifiers.lowerBound else { return false }
        return areWritten(data, of: segment, batch) && areWritten(identifiers, of: segment, batch)
    }

    private func areWritten(
        _ range: Range<Int>, of segment: SegmentNumber, _ batch: BatchHeader
    ) -> Bool {
        guard let bytes = sectors(of: segment, range) else { return false }
        let codec = SectorCodec(identity: identity, segment: segment)
        let tag = Sector.tag(of: batch.sequence)
        return bytes.withUnsafeBytes { raw in
            range.allSatisfy { number in
                let at = (number - range.lowerBound) * Sector.size
                let sector = UnsafeRawBufferPointer(rebasing: raw[at..<at + Sector.size])
                let role: Sector.Role =
                    number == 1 ? .batchHead : range.contains(1) ? .batchContinuation : .identifiers
                return codec.state(of: sector, number: UInt32(number))
                    == .written(role, sequenceTag: tag)
            }
        }
    }

    private func sectors(of segment: SegmentNumber, _ range: Range<Int>) -> Bytes? {
        let device = device
        var bytes = Bytes(repeating: 0, count: range.count * Sector.size)
        let outcome = bytes.withUnsafeMutableBytes { raw in
            Result { () throws(LogDeviceError) in
                try device.read(segment, at: range.lowerBound * Sector.size, into: raw)
            }
        }
        guard case .success = outcome else { return nil }
        return bytes
    }
}
