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

    /// The segments that are read as a log; the first one's checkpoint stands for what was before.
    private(set) var headers: [SegmentHeader] = []
    /// The segments before those: they were salvaged, and hold entries.
    private(set) var salvaged: [SegmentNumber] = []
    private(set) var groups: [GroupID: GroupIndex] = [:]
    private(set) var mayLackGroups = false
    /// As `GroupTable.cleared`.
    private(set) var cleared: Set<GroupID> = []
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
    /// A segment that a crash left behind before its predecessor said that it goes on there, or
    /// before its checkpoint stood for a salvaged log.
    private(set) var discarded: SegmentNumber?
    private var catalogues: [GroupID: EntryCatalogue] = [:]
    /// What the first checkpoint said was damaged already.
    private var knownDamage: [GroupID: [ClosedRange<LogIndex>]] = [:]

    init(device: any LogDevice, identity: LogIdentity, settings: LogSettings) {
        self.device = device
        self.identity = identity
        self.settings = settings
    }

    mutating func read() throws(LogError) {
        try readHeaders()
        for number in salvaged { try catalogue(number) }
        var position = 0
        while position < headers.count {
            let isLast = try scan(position)
            position += 1
            if isLast { break }
        }
        try checkEntries()
    }

    /// Entries that no record was found for, but for those that were known to be lost.
    private func checkEntries() throws(LogError) {
        var damage: [LogCorruption.Damage] = []
        for (id, group) in groups.sorted(by: { $0.key < $1.key }) where group.damagedCount > 0 {
            let known = knownDamage[id] ?? []
            for range in group.damaged
            where !known.contains(where: {
                $0.contains(range.lowerBound) && $0.contains(range.upperBound)
            }) {
                damage.append(.init(group: id, indexes: range))
            }
        }
        if damage.isEmpty { return }
        throw .corruption(
            LogCorruption(
                reason: .entriesMissing, segment: headers[0].number, offset: 0, damage: damage))
    }

    /// What an earlier salvage left to be repaired, `nil` when there is nothing.
    var pendingRepair: LogCorruption? {
        var damage: [LogCorruption.Damage] = []
        for (id, group) in groups.sorted(by: { $0.key < $1.key }) where !group.isIntact {
            for range in group.damaged { damage.append(.init(group: id, indexes: range)) }
            if group.damagedCount == 0 { damage.append(.init(group: id, indexes: nil)) }
        }
        guard let first = headers.first, mayLackGroups || !damage.isEmpty else { return nil }
        return LogCorruption(
            reason: .repairPending, segment: first.number, offset: 0, damage: damage)
    }

    /// Finds the segments that make up the log: all, or those from the last that begins anew.
    private mutating func readHeaders() throws(LogError) {
        var listed: [LogDeviceSegment]
        do { listed = try device.listSegments() } catch { throw .device(error) }
        var start = restart(in: listed)
        if let found = start, found == listed.count - 1,
            try isUnfinished(restart: listed[found])
        {
            discarded = listed.removeLast().number
            report.discardedSegment = discarded
            start = restart(in: listed)
        }
        salvaged = listed[..<(start ?? 0)].map(\.number)
        for found in listed[(start ?? 0)...] {
            if let last = headers.last, found.number != last.number.next {
                throw .corruption(
                    LogCorruption(reason: .segmentMissing, segment: last.number.next, offset: 0))
            }
            try readHeader(found)
        }
    }

    /// The last segment that says that the log begins anew with it.
    private func restart(in listed: [LogDeviceSegment]) -> Int? {
        listed.lastIndex { found in
            guard found.bytes >= Sector.size,
                let sector = try? bytes(of: found.number, sectors: 0..<1),
                case .success(let header) = sector.withUnsafeBytes({ SegmentHeader.read($0) })
            else { return false }
            return header.restarts && header.number == found.number && header.identity == identity
        }
    }

    /// Whether a crash came before the checkpoint of a segment that begins anew was durable: all
    /// that it stands for is still in the segments before it.
    private func isUnfinished(restart found: LogDeviceSegment) throws(LogError) -> Bool {
        let image = try LenientReader(device: device, identity: identity).image(of: found)
        return SegmentSurvey(image).isUnfinishedRestart
    }

    private mutating func readHeader(_ found: LogDeviceSegment) throws(LogError) {
        guard found.bytes >= Sector.size else {
            throw .corruption(
                LogCorruption(reason: .segmentShort, segment: found.number, offset: found.bytes))
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
            throw .foreign(expected: identity, found: header.identity, segment: found.number)
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

    /// Notes where the entries of a salvaged segment stand. Whether any is missing is for the
    /// checkpoint of the first segment behind it to say.
    private mutating func catalogue(_ number: SegmentNumber) throws(LogError) {
        let reader = LenientReader(device: device, identity: identity)
        let survey = SegmentSurvey(try reader.image(of: number))
        report.segments += 1
        for batch in survey.batches {
            for case .intact(let group, let change) in survey.read(batch).records {
                switch change {
                case .entry(let place), .repaired(let place):
                    catalogues[group, default: EntryCatalogue()].note(place)
                case .reset, .start, .hardState, .replaceFrom, .peer, .trusted, .standing: break
                }
            }
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
        if position == 0 { mayLackGroups = header.mayLackGroups }
        let image = SegmentImage(
            header.number,
            bytes: try bytes(of: header.number, sectors: 0..<header.bytes / Sector.size),
            identity: identity)
        report.segments += 1
        dataEnd = 1
        identifiersStart = image.sectorCount
        lacksCheckpoint = header.number > SegmentNumber(1) || header.restarts
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
                    reason: .syncedSectorLost, segment: image.number,
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
            discarded = headers.removeLast().number
            report.discardedSegment = discarded
        }
        noteRemains(image)
    }

    private mutating func noteRemains(_ image: SegmentImage) {
        for sector in dataEnd..<identifiersStart {
            if image.isZero(sector) { continue }
            if let last = remains.last, last.upperBound == sector {
                remains[remains.count - 1] = last.lowerBound..<sector + 1
            } else {
                remains.append(sector..<sector + 1)
            }
        }
        if !remains.isEmpty {
            report.tornTail = .init(
                segment: image.number, offset: dataEnd * Sector.size,
                droppedBytes: remains.reduce(0) { $0 + $1.count } * Sector.size)
        }
    }

    private mutating func replay(
        _ batch: SegmentImage.Batch, in header: SegmentHeader, oldest: Bool
    ) throws(LogError) {
        let isFirst = dataEnd == 1
        let opened = batch.header.kind == .opened
        var first: BatchHeader.Kind?
        if isFirst, header.restarts {
            first = .restart
        } else if isFirst, header.number > SegmentNumber(1) {
            first = .checkpoint
        }
        let isCheckpoint = batch.header.kind == .checkpoint || batch.header.kind == .restart
        guard batch.header.epoch == (opened ? epoch + 1 : epoch),
            batch.header.durableSequence >= durableSequence,
            isCheckpoint ? batch.header.kind == first : first == nil
        else { throw contradiction(header, sector: batch.firstSector) }
        if batch.header.kind == .complete { mayLackGroups = false }
        for change in batch.changes {
            switch change.change {
            case .standing(let standing) where oldest && isFirst:
                groups[change.group] = GroupIndex(
                    standing, entries: &catalogues[change.group, default: EntryCatalogue()])
                knownDamage[change.group] = standing.damaged
            case .standing where !isCheckpoint, .standing where groups[change.group] == nil:
                throw contradiction(header, sector: batch.firstSector)
            case .reset:
                groups[change.group] = nil
                cleared.insert(change.group)
            default:
                if groups[change.group] == nil {
                    let wasCleared = cleared.remove(change.group) != nil
                    groups[change.group] = GroupIndex(isNew: wasCleared || !mayLackGroups)
                }
                guard groups[change.group]!.apply(change.change) else {
                    throw contradiction(header, sector: batch.firstSector)
                }
            }
        }
        if isCheckpoint, batch.changes.count != groups.count {
            throw contradiction(header, sector: batch.firstSector)
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
