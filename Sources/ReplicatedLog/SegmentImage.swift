import Primitives

/// One segment read whole, for recovery.
struct SegmentImage: Sendable {
    let number: SegmentNumber
    let bytes: Bytes
    let codec: SectorCodec
    /// Sectors that the device cannot read: as good as rotten.
    let unreadable: Set<Int>

    init(
        _ number: SegmentNumber, bytes: Bytes, identity: LogIdentity, unreadable: Set<Int> = []
    ) {
        self.number = number
        self.bytes = bytes
        self.unreadable = unreadable
        codec = SectorCodec(identity: identity, segment: number)
    }

    var sectorCount: Int { bytes.count / Sector.size }

    /// A batch whose every sector, and every sector of its identifiers, is as it was written.
    struct Batch {
        var header: BatchHeader
        var firstSector: Int
        var identifiersStart: Int
        var changes: [BatchEncoder.Change]
        var dataEnd: Int { firstSector + header.dataSectors }
    }

    /// Where the next batch is expected and what it must say.
    struct Cursor {
        var dataEnd: Int
        var identifiersStart: Int
        var sequence: UInt64
        var hasRoom: Bool { dataEnd + 2 <= identifiersStart }
    }

    enum Reading {
        case whole(Batch)
        /// A sector is missing or rotten: `SegmentImage.judge` says which.
        case incomplete
        /// All sectors stand, but do not agree with each other.
        case contradiction
    }

    func withSector<R>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        bytes.withUnsafeBytes { raw in
            body(
                UnsafeRawBufferPointer(
                    rebasing: raw[number * Sector.size..<(number + 1) * Sector.size]))
        }
    }

    func isZero(_ number: Int) -> Bool {
        !unreadable.contains(number) && withSector(number) { Sector.isZero($0) }
    }

    func state(_ number: Int) -> Sector.State {
        if unreadable.contains(number) { return .rotten }
        return withSector(number) { codec.state(of: $0, number: UInt32(number)) }
    }

    /// The batch head in a sector, when one of this log stands there.
    func head(at number: Int) -> BatchHeader? {
        guard case .written(.batchHead, let tag) = state(number),
            let header = withSector(number, { BatchHeader($0) }),
            Sector.tag(of: header.sequence) == tag
        else { return nil }
        return header
    }

    func identifiers(at number: Int) -> IdentifierSector? {
        guard case .written(.identifiers, let tag) = state(number),
            let sector = withSector(number, { IdentifierSector($0) }),
            Sector.tag(of: sector.sequence) == tag
        else { return nil }
        return sector
    }

    func content(_ sectors: Range<Int>) -> Bytes {
        bytes.withUnsafeBytes { raw in
            SectorCodec.content(
                of: UnsafeRawBufferPointer(
                    rebasing: raw[
                        sectors.lowerBound * Sector.size..<sectors.upperBound * Sector.size]))
        }
    }

    func readBatch(at cursor: Cursor) -> Reading {
        guard cursor.hasRoom, let header = head(at: cursor.dataEnd) else { return .incomplete }
        guard header.sequence == cursor.sequence else { return .contradiction }
        let parts = Int(header.identifierSectors)
        let dataEnd = cursor.dataEnd + header.dataSectors
        guard dataEnd + parts <= cursor.identifiersStart else { return .contradiction }
        let tag = Sector.tag(of: header.sequence)
        for sector in cursor.dataEnd + 1..<dataEnd {
            let state = state(sector)
            guard state == .written(.batchContinuation, sequenceTag: tag) else {
                return state == .zero || state == .rotten ? .incomplete : .contradiction
            }
        }
        var identifiers: [RecordIdentifier] = []
        for part in 0..<parts {
            let number = cursor.identifiersStart - 1 - part
            guard let sector = self.identifiers(at: number) else {
                let state = state(number)
                return state == .zero || state == .rotten ? .incomplete : .contradiction
            }
            guard sector.sequence == header.sequence, sector.epoch == header.epoch,
                sector.durableSequence == header.durableSequence,
                sector.batchSector == UInt32(cursor.dataEnd),
                sector.batchSectors == UInt32(header.dataSectors),
                sector.part == UInt16(part), sector.parts == UInt16(parts),
                sector.kind == header.kind
            else { return .contradiction }
            identifiers += sector.identifiers
        }
        guard
            let changes = changes(
                header, content: content(cursor.dataEnd..<dataEnd), identifiers: identifiers,
                firstSector: cursor.dataEnd)
        else { return .contradiction }
        return .whole(
            Batch(
                header: header, firstSector: cursor.dataEnd,
                identifiersStart: cursor.identifiersStart - parts, changes: changes))
    }

    /// What the batch's records change; `nil` when they and their identifiers are not the same.
    private func changes(
        _ header: BatchHeader, content: Bytes, identifiers: [RecordIdentifier], firstSector: Int
    ) -> [BatchEncoder.Change]? {
        guard header.recordCount == UInt32(identifiers.count) else { return nil }
        return content.withUnsafeBytes { whole in
            let raw = UnsafeRawBufferPointer(rebasing: whole[..<Int(header.contentBytes)])
            var changes: [BatchEncoder.Change] = []
            changes.reserveCapacity(identifiers.count)
            var offset = BatchHeader.size
            for identifier in identifiers {
                let record = UnsafeRawBufferPointer(rebasing: raw[offset...])
                guard let header = RecordHeader(record),
                    identifier == RecordIdentifier(header, offset: offset),
                    let change = change(
                        header, record: record, offset: offset, firstSector: firstSector)
                else { return nil }
                changes.append(.init(group: header.group, change: change))
                offset += header.length
            }
            return offset == raw.count ? changes : nil
        }
    }

    /// What a record changes; `nil` when its payload is not one of its kind.
    func change(
        _ record: RecordHeader, record raw: UnsafeRawBufferPointer, offset: Int, firstSector: Int
    ) -> IndexChange? {
        let payload = UnsafeRawBufferPointer(rebasing: raw[RecordHeader.size..<record.length])
        switch record.kind {
        case .entry, .repaired:
            let location = EntryLocation(
                segment: 0, offset: UInt32(offset), length: UInt32(record.length))
            let place = EntryPlace(
                index: record.index, term: record.term,
                isConfiguration: record.detail == PayloadKind.configuration,
                location: location.placed(in: number, at: UInt32(firstSector)))
            return record.kind == .entry ? .entry(place) : .repaired(place)
        case .hardState:
            guard payload.isEmpty || payload.count == 8 else { return nil }
            return .hardState(
                HardState(
                    term: record.term,
                    vote: payload.isEmpty ? nil : ReplicaID(payload.integer(at: 0)),
                    commitIndex: record.index))
        case .replaceFrom:
            return payload.isEmpty ? .replaceFrom(record.index) : nil
        case .groupStart:
            guard payload.count >= 24 else { return nil }
            let start = LogStart(
                index: record.index, term: record.term, timestamp: record.timestamp,
                configuration: Bytes(payload[24...]),
                configurationIndex: LogIndex(payload.integer(at: 16)),
                replacesAll: record.detail == RecordDetail.replacesAll)
            return .start(
                start, lastIndex: LogIndex(payload.integer(at: 0)),
                lastTerm: Term(payload.integer(at: 8)))
        case .peer:
            guard payload.count == 24 else { return nil }
            return .peer(
                PeerRecord(
                    replica: ReplicaID(payload.integer(at: 0)),
                    incarnation: payload.integer(at: 8), term: Term(payload.integer(at: 16)),
                    lastIndex: record.index, lastTerm: record.term))
        case .reset: return payload.isEmpty ? .reset : nil
        case .trusted: return payload.isEmpty ? .trusted : nil
        case .standing: return GroupStanding(record, payload: payload).map { .standing($0) }
        }
    }
}

extension RecordIdentifier {
    init(_ header: RecordHeader, offset: Int) {
        self.init(
            kind: header.kind, detail: header.detail, group: header.group, index: header.index,
            term: header.term, offset: offset, length: header.length)
    }
}
