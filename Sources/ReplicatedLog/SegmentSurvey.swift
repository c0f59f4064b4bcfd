import Primitives

/// What can still be told of one batch, from its head and from the sectors of its identifiers:
/// either says where it stood and how long it was.
struct BatchRemains: Sendable {
    var sequence: UInt64
    var epoch: UInt64
    var durableSequence: UInt64
    var kind: BatchHeader.Kind
    var firstSector: Int
    var dataSectors: Int
    var head: BatchHeader?
    /// By part; `nil` where a part cannot be read.
    var identifiers: [IdentifierSector?]
    /// The sector behind part 0; `nil` when no part can be read.
    var identifiersEnd: Int?
}

/// Every batch that left a trace in a segment, whatever has become of those before it. Each sector
/// can be judged alone and states its batch, so nothing has to be read in order.
struct SegmentSurvey: Sendable {
    let image: SegmentImage
    /// Ascending in sequence, place and epoch.
    private(set) var batches: [BatchRemains] = []
    /// The highest batch that anything in the segment states as synced.
    private(set) var claim: UInt64 = 0
    private(set) var sequenceMax: UInt64 = 0
    private(set) var epochMax: UInt64 = 0
    /// Nothing stands behind the header.
    private(set) var isEmpty = true

    init(_ image: SegmentImage) {
        self.image = image
        var found: [UInt64: BatchRemains] = [:]
        for number in 1..<max(image.sectorCount, 1) {
            if image.isZero(number) { continue }
            isEmpty = false
            if let head = image.head(at: number) {
                add(head, at: number, to: &found)
            } else if let part = image.identifiers(at: number) {
                add(part, at: number, to: &found)
            }
        }
        for batch in found.values.sorted(by: { $0.sequence < $1.sequence }) {
            claim = max(claim, batch.durableSequence)
            sequenceMax = max(sequenceMax, batch.sequence)
            // A batch of a dropped tail whose setting back to zero was lost is of an older epoch
            // than what was written before it since.
            if let last = batches.last,
                batch.epoch < last.epoch || batch.firstSector < last.firstSector + last.dataSectors
            {
                continue
            }
            epochMax = max(epochMax, batch.epoch)
            batches.append(batch)
        }
    }

    private func add(
        _ head: BatchHeader, at sector: Int, to found: inout [UInt64: BatchRemains]
    ) {
        guard sector + head.dataSectors <= image.sectorCount else { return }
        if var known = found[head.sequence], known.epoch >= head.epoch {
            guard known.epoch == head.epoch, known.firstSector == sector,
                known.dataSectors == head.dataSectors,
                known.identifiers.count == Int(head.identifierSectors)
            else { return }
            known.head = head
            found[head.sequence] = known
            return
        }
        found[head.sequence] = BatchRemains(
            sequence: head.sequence, epoch: head.epoch, durableSequence: head.durableSequence,
            kind: head.kind, firstSector: sector, dataSectors: head.dataSectors, head: head,
            identifiers: Array(repeating: nil, count: Int(head.identifierSectors)))
    }

    private func add(
        _ part: IdentifierSector, at sector: Int, to found: inout [UInt64: BatchRemains]
    ) {
        let first = Int(part.batchSector)
        let count = Int(part.batchSectors)
        let end = sector + Int(part.part) + 1
        guard first >= 1, count >= 1, first + count <= end - Int(part.parts) else { return }
        var batch = BatchRemains(
            sequence: part.sequence, epoch: part.epoch, durableSequence: part.durableSequence,
            kind: part.kind, firstSector: first, dataSectors: count,
            identifiers: Array(repeating: nil, count: Int(part.parts)), identifiersEnd: end)
        if let known = found[part.sequence], known.epoch >= part.epoch {
            guard known.epoch == part.epoch, known.firstSector == first,
                known.dataSectors == count, known.identifiers.count == Int(part.parts),
                known.identifiersEnd ?? end == end
            else { return }
            batch = known
            batch.identifiersEnd = end
        }
        batch.identifiers[Int(part.part)] = part
        found[part.sequence] = batch
    }
}

// MARK: - Records

extension SegmentSurvey {
    enum Record {
        case intact(GroupID, IndexChange)
        /// The content is lost, the identifier stands.
        case lost(RecordIdentifier)
        /// One or more records were here, and nothing says which.
        case unknown
    }

    struct Reading {
        /// In the order of the batch.
        var records: [Record] = []
        /// Sectors of the batch or its identifiers that are not as they were written.
        var lostSectors: [Int] = []
        /// Whether one of them is neither zero nor as it was written.
        var isRotten = false
        var isWhole: Bool { lostSectors.isEmpty }
    }

    func read(_ batch: BatchRemains) -> Reading {
        var reading = Reading()
        var good = Array(repeating: true, count: batch.dataSectors)
        let tag = Sector.tag(of: batch.sequence)
        for k in 0..<batch.dataSectors {
            let number = batch.firstSector + k
            let role: Sector.Role = k == 0 ? .batchHead : .batchContinuation
            if number < image.sectorCount, image.state(number) == .written(role, sequenceTag: tag),
                k > 0 || batch.head != nil
            {
                continue
            }
            good[k] = false
            note(number, &reading)
        }
        for (part, sector) in batch.identifiers.enumerated() where sector == nil {
            if let end = batch.identifiersEnd {
                note(end - 1 - part, &reading)
            } else {
                // Where it stood is not known, so neither is whether it is zero.
                reading.lostSectors.append(batch.firstSector)
                reading.isRotten = true
            }
        }
        walk(batch, good: good, into: &reading)
        return reading
    }

    private func note(_ number: Int, _ reading: inout Reading) {
        reading.lostSectors.append(number)
        if number >= image.sectorCount || !image.isZero(number) { reading.isRotten = true }
    }

    private func walk(_ batch: BatchRemains, good: [Bool], into reading: inout Reading) {
        let last = min(batch.firstSector + batch.dataSectors, image.sectorCount)
        let content = image.content(min(batch.firstSector, last)..<last)
        let isReadable = { (range: Range<Int>) in
            range.upperBound <= content.count
                && good[
                    range.lowerBound / Sector.contentSize...(range.upperBound - 1)
                        / Sector.contentSize
                ].allSatisfy { $0 }
        }
        let identifiers = batch.identifiers.compactMap { $0 }.flatMap(\.identifiers)
        let lastPart = batch.identifiers.last ?? nil
        let end =
            batch.head.map { Int($0.contentBytes) }
            ?? lastPart.map {
                $0.identifiers.last.map { $0.offset + $0.length } ?? BatchHeader.size
            }
        var next = BatchHeader.size
        content.withUnsafeBytes { raw in
            for identifier in identifiers {
                readUnnamed(next..<max(next, identifier.offset), raw, batch, isReadable, &reading)
                let range = identifier.offset..<identifier.offset + max(identifier.length, 1)
                if isReadable(range),
                    let header = RecordHeader(UnsafeRawBufferPointer(rebasing: raw[range])),
                    RecordIdentifier(header, offset: identifier.offset) == identifier,
                    let change = change(header, raw, batch, at: identifier.offset)
                {
                    reading.records.append(.intact(header.group, change))
                } else {
                    reading.records.append(.lost(identifier))
                    if reading.isWhole { reading.lostSectors.append(batch.firstSector) }
                }
                next = max(next, range.upperBound)
            }
            if let end {
                readUnnamed(next..<max(next, end), raw, batch, isReadable, &reading)
            } else {
                reading.records.append(.unknown)
            }
        }
    }

    /// Records whose identifiers are lost follow each other without a gap: they can be read up to
    /// the first that is not intact.
    private func readUnnamed(
        _ range: Range<Int>, _ raw: UnsafeRawBufferPointer, _ batch: BatchRemains,
        _ isReadable: (Range<Int>) -> Bool, _ reading: inout Reading
    ) {
        var next = range.lowerBound
        while next < range.upperBound {
            let fixed = next..<next + RecordHeader.size
            guard fixed.upperBound <= range.upperBound, isReadable(fixed) else { break }
            let length = Int(raw.integer(at: next + 4, as: UInt32.self))
            guard length >= RecordHeader.size, next + length <= range.upperBound,
                isReadable(next..<next + length),
                let header = RecordHeader(
                    UnsafeRawBufferPointer(rebasing: raw[next..<next + length])),
                let change = change(header, raw, batch, at: next)
            else { break }
            reading.records.append(.intact(header.group, change))
            next += length
        }
        if next < range.upperBound { reading.records.append(.unknown) }
    }

    private func change(
        _ header: RecordHeader, _ raw: UnsafeRawBufferPointer, _ batch: BatchRemains, at offset: Int
    ) -> IndexChange? {
        image.change(
            header,
            record: UnsafeRawBufferPointer(rebasing: raw[offset..<offset + header.length]),
            offset: offset, firstSector: batch.firstSector)
    }
}
