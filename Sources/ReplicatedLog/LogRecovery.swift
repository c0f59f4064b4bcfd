import Primitives

/// Reads a log back. Nothing is written to the device before all of it has been judged
/// (`LogRecovery+Repair.swift`).
struct LogRecovery: Sendable {
    /// A batch that nothing behind it states as synced.
    struct Unproven: Sendable {
        var sequence: UInt64
        var segment: SegmentNumber
        var data: Range<Int>
        var identifiers: Range<Int>
    }

    let device: any LogDevice
    let identity: LogIdentity
    let settings: LogSettings

    private(set) var headers: [SegmentHeader] = []
    private(set) var groups: [GroupID: GroupIndex] = [:]
    private(set) var report = RecoveryReport()
    /// The last batch read, its epoch, and the last one that something states as synced.
    private(set) var sequence: UInt64 = 0
    private(set) var epoch: UInt64 = 0
    private(set) var durableSequence: UInt64 = 0
    private(set) var unproven: [Unproven] = []
    /// Where the log goes on, in the segment of the last header.
    private(set) var dataEnd = 1
    private(set) var identifiersStart = 1
    /// The sectors behind the log's end that hold something, and how many bytes they are.
    private(set) var remains: [Range<Int>] = []
    /// Whether the last segment still lacks its checkpoint.
    private(set) var lacksCheckpoint = false
    private var unfinished: SegmentHeader?

    init(device: any LogDevice, identity: LogIdentity, settings: LogSettings) {
        self.device = device
        self.identity = identity
        self.settings = settings
    }

    /// A segment that a crash left behind before its predecessor said that it goes on there.
    var discarded: SegmentNumber? { unfinished?.number }

    mutating func read() throws(LogError) {
        try readHeaders()
        var position = 0
        while position < headers.count {
            let isLast = try scan(position)
            position += 1
            if isLast { break }
        }
        for id in groups.keys.sorted() {
            let group = groups[id]!
            if group.base != group.start {
                throw .corruption(
                    LogCorruption(
                        reason: .entriesMissing, segment: headers[0].number, offset: 0,
                        damage: [.init(group: id, indexes: group.start.next...group.base)]))
            }
        }
    }

    private mutating func readHeaders() throws(LogError) {
        let listed: [LogDeviceSegment]
        do { listed = try device.listSegments() } catch { throw .device(error) }
        for (position, found) in listed.enumerated() {
            if position > 0, found.number != listed[position - 1].number.next {
                throw .corruption(
                    LogCorruption(
                        reason: .segmentMissing, segment: listed[position - 1].number.next,
                        offset: 0))
            }
            guard found.bytes >= Sector.size else {
                throw .corruption(
                    LogCorruption(
                        reason: .segmentShort, segment: found.number, offset: found.bytes))
            }
            let sector = try bytes(of: found.number, sectors: 0..<1)
            let header: SegmentHeader
            switch sector.withUnsafeBytes({ SegmentHeader.read($0) }) {
            case .success(let found): header = found
            case .failure(.notAHeader):
                throw .corruption(
                    LogCorruption(reason: .segmentHeader, segment: found.number, offset: 0))
            case .failure(.unsupportedVersion(let version)):
                throw .unsupportedVersion(version, segment: found.number)
            }
            guard header.identity == identity else {
                throw .foreign(
                    expected: identity, found: header.identity, segment: found.number)
            }
            guard header.number == found.number, header.bytes % Sector.size == 0 else {
                throw .corruption(
                    LogCorruption(reason: .contradiction, segment: found.number, offset: 0))
            }
            guard header.bytes == found.bytes else {
                throw .corruption(
                    LogCorruption(
                        reason: header.bytes > found.bytes ? .segmentShort : .contradiction,
                        segment: found.number, offset: min(header.bytes, found.bytes)))
            }
            headers.append(header)
        }
    }

    /// - Returns: whether the log ends in this segment.
    private mutating func scan(_ position: Int) throws(LogError) -> Bool {
        let header = headers[position]
        if position == 0 {
            sequence = header.firstSequence &- 1
            epoch = header.epoch
        }
        guard header.firstSequence == sequence &+ 1, header.epoch == epoch,
            header.durableSequence <= sequence
        else { throw contradiction(header, sector: 0) }
        durableSequence = max(durableSequence, header.durableSequence)
        let image = SegmentImage(
            header: header,
            bytes: try bytes(of: header.number, sectors: 0..<header.bytes / Sector.size),
            codec: SectorCodec(identity: identity, segment: header.number))
        report.segments += 1
        dataEnd = 1
        identifiersStart = image.sectorCount
        lacksCheckpoint = header.number > SegmentNumber(1)
        while true {
            let cursor = SegmentImage.Cursor(
                dataEnd: dataEnd, identifiersStart: identifiersStart, sequence: sequence + 1)
            switch image.readBatch(at: cursor) {
            case .whole(let batch):
                try replay(batch, in: header, oldest: position == 0)
                if batch.header.kind == .continued {
                    if position + 1 == headers.count {
                        throw .corruption(
                            LogCorruption(
                                reason: .segmentMissing, segment: header.number.next, offset: 0))
                    }
                    return false
                }
            case .contradiction:
                throw contradiction(header, sector: dataEnd)
            case .incomplete:
                try judge(image, at: cursor, position: position)
                return true
            }
        }
    }

    /// The segment has no further batch that is whole: is this the end of the log?
    private mutating func judge(
        _ image: SegmentImage, at cursor: SegmentImage.Cursor, position: Int
    ) throws(LogError) {
        var claimed = durableSequence
        for later in headers[(position + 1)...] { claimed = max(claimed, later.durableSequence) }
        if position + 1 < headers.count {
            // A successor that was created, but not yet announced, is the last one and is empty.
            let next = headers[position + 1]
            let isEmpty = try isEmpty(next)
            if position + 2 < headers.count || !isEmpty || !cursor.hasRoom {
                claimed = max(claimed, next.firstSequence &- 1)
            }
        }
        switch image.judge(at: cursor, durable: claimed) {
        case .corrupt(let corruption): throw .corruption(corruption)
        case .end where claimed >= cursor.sequence:
            throw .corruption(
                LogCorruption(
                    reason: .syncedSectorLost, segment: image.header.number,
                    offset: cursor.dataEnd * Sector.size))
        case .end, .torn: break
        }
        durableSequence = max(durableSequence, claimed)
        if headers[0].number > SegmentNumber(1), position == 0, lacksCheckpoint {
            // Segments are removed only once the checkpoint of their successor is durable.
            throw .corruption(
                LogCorruption(
                    reason: .segmentMissing, segment: SegmentNumber(headers[0].number.rawValue - 1),
                    offset: 0))
        }
        if position + 1 < headers.count {
            unfinished = headers.removeLast()
            report.discardedSegment = unfinished?.number
        }
        noteRemains(image)
    }

    private mutating func noteRemains(_ image: SegmentImage) {
        for sector in dataEnd..<identifiersStart {
            if image.withSector(sector, { Sector.isZero($0) }) { continue }
            if let last = remains.last, last.upperBound == sector {
                remains[remains.count - 1] = last.lowerBound..<sector + 1
            } else {
                remains.append(sector..<sector + 1)
            }
        }
        if !remains.isEmpty {
            report.tornTail = .init(
                segment: image.header.number, offset: dataEnd * Sector.size,
                droppedBytes: remains.reduce(0) { $0 + $1.count } * Sector.size)
        }
    }

    private mutating func replay(
        _ batch: SegmentImage.Batch, in header: SegmentHeader, oldest: Bool
    ) throws(LogError) {
        let isFirst = dataEnd == 1
        let opened = batch.header.kind == .opened
        let startsSegment = header.number > SegmentNumber(1) && isFirst
        guard batch.header.epoch == (opened ? epoch + 1 : epoch),
            batch.header.durableSequence >= durableSequence,
            startsSegment == (batch.header.kind == .checkpoint)
        else { throw contradiction(header, sector: batch.firstSector) }
        for change in batch.changes {
            if oldest, isFirst, groups[change.group] == nil,
                case .start(let index, let term, let stamp, let last, let lastTerm) =
                    change.change
            {
                groups[change.group] = GroupIndex(
                    checkpoint: index, term: term, timestamp: stamp, lastIndex: last,
                    lastTerm: lastTerm)
                continue
            }
            guard groups[change.group, default: GroupIndex()].apply(change.change) else {
                throw contradiction(header, sector: batch.firstSector)
            }
        }
        let identifiersEnd = identifiersStart
        sequence = batch.header.sequence
        epoch = batch.header.epoch
        durableSequence = batch.header.durableSequence
        dataEnd = batch.dataEnd
        identifiersStart = batch.identifiersStart
        lacksCheckpoint = false
        unproven.removeAll { $0.sequence <= durableSequence }
        unproven.append(
            Unproven(
                sequence: sequence, segment: header.number,
                data: batch.firstSector..<dataEnd,
                identifiers: identifiersStart..<identifiersEnd))
        report.batches += 1
        report.records += batch.changes.count
    }

    private func contradiction(_ header: SegmentHeader, sector: Int) -> LogError {
        .corruption(
            LogCorruption(
                reason: .contradiction, segment: header.number, offset: sector * Sector.size))
    }

    private func isEmpty(_ header: SegmentHeader) throws(LogError) -> Bool {
        let rest = try bytes(of: header.number, sectors: 1..<header.bytes / Sector.size)
        return rest.withUnsafeBytes { Sector.isZero($0) }
    }

    func bytes(of segment: SegmentNumber, sectors: Range<Int>) throws(LogError) -> Bytes {
        let device = device
        var bytes = Bytes(repeating: 0, count: sectors.count * Sector.size)
        let outcome = bytes.withUnsafeMutableBytes { raw in
            Result { () throws(LogDeviceError) in
                try device.read(segment, at: sectors.lowerBound * Sector.size, into: raw)
            }
        }
        if case .failure(let error) = outcome { throw .device(error) }
        return bytes
    }
}
