import Primitives

/// Collects the records of one batch in one buffer that is used again for the next.
struct BatchEncoder: Sendable {
    /// A record's effect on the index. Where an entry stands is known only once the batch has its
    /// place: until then its location holds the offset in the batch's content.
    struct Change: Sendable {
        var group: GroupID
        var change: IndexChange
    }

    private var content = Bytes()
    private var identifiers: [RecordIdentifier] = []
    private(set) var changes: [Change] = []

    var isEmpty: Bool { identifiers.isEmpty }
    var recordCount: Int { identifiers.count }
    var contentBytes: Int { max(content.count, BatchHeader.size) }
    var dataSectors: Int { Sector.count(forContent: contentBytes) }
    var identifierSectors: Int { IdentifierSector.count(forRecords: identifiers.count) }

    mutating func removeAll() {
        // One huge batch must not hold its memory for good.
        content.removeAll(keepingCapacity: content.capacity <= 4 * LogLimits.batchBytesTarget)
        identifiers.removeAll(keepingCapacity: true)
        changes.removeAll(keepingCapacity: true)
    }

    mutating func add(_ entry: LogEntry, isRepair: Bool = false, group: GroupID) {
        let header = RecordHeader(
            length: RecordHeader.size + entry.payloadBytes, kind: isRepair ? .repaired : .entry,
            semantics: entry.semantics, group: group, term: entry.term, index: entry.index,
            timestamp: entry.timestamp, detail: PayloadKind.of(entry.payload))
        let place = EntryPlace(
            index: entry.index, term: entry.term,
            isConfiguration: header.detail == PayloadKind.configuration,
            location: EntryLocation(
                segment: 0, offset: UInt32(contentBytes), length: UInt32(header.length)))
        switch entry.payload {
        case .empty: add(header, payload: [])
        case .command(let bytes), .configuration(let bytes): add(header, payload: bytes)
        }
        note(isRepair ? .repaired(place) : .entry(place), group)
    }

    mutating func add(_ state: HardState, group: GroupID) {
        var payload = ByteWriter()
        if let vote = state.vote { payload.write(vote.rawValue) }
        let header = RecordHeader(
            length: RecordHeader.size + payload.count, kind: .hardState, group: group,
            term: state.term, index: state.commitIndex,
            detail: state.vote == nil ? 0 : RecordDetail.hasVote)
        add(header, payload: payload.bytes)
        note(.hardState(state), group)
    }

    mutating func add(replaceFrom index: LogIndex, group: GroupID) {
        let header = RecordHeader(
            length: RecordHeader.size, kind: .replaceFrom, group: group, term: .zero,
            index: index)
        add(header, payload: [])
        note(.replaceFrom(index), group)
    }

    /// - Parameter last: the group's last entry from then on.
    mutating func add(_ start: LogStart, last: (index: LogIndex, term: Term), group: GroupID) {
        var payload = ByteWriter()
        payload.write(last.index.rawValue)
        payload.write(last.term.rawValue)
        payload.write(start.configurationIndex.rawValue)
        payload.writeRaw(start.configuration)
        let header = RecordHeader(
            length: RecordHeader.size + payload.count, kind: .groupStart, group: group,
            term: start.term, index: start.index, timestamp: start.timestamp,
            detail: start.replacesAll ? RecordDetail.replacesAll : 0)
        add(header, payload: payload.bytes)
        note(.start(start, lastIndex: last.index, lastTerm: last.term), group)
    }

    mutating func add(_ peer: PeerRecord, group: GroupID) {
        var payload = ByteWriter()
        payload.write(peer.replica.rawValue)
        payload.write(peer.incarnation)
        payload.write(peer.term.rawValue)
        let header = RecordHeader(
            length: RecordHeader.size + payload.count, kind: .peer, group: group,
            term: peer.lastTerm, index: peer.lastIndex)
        add(header, payload: payload.bytes)
        note(.peer(peer), group)
    }

    mutating func addReset(of group: GroupID) {
        add(
            RecordHeader(
                length: RecordHeader.size, kind: .reset, group: group, term: .zero, index: .zero),
            payload: [])
        note(.reset, group)
    }

    mutating func addTrust(in group: GroupID) {
        add(
            RecordHeader(
                length: RecordHeader.size, kind: .trusted, group: group, term: .zero,
                index: .zero),
            payload: [])
        note(.trusted, group)
    }

    mutating func add(_ standing: GroupStanding, group: GroupID) {
        let payload = standing.encoded()
        add(
            RecordHeader(
                length: RecordHeader.size + payload.count, kind: .standing, group: group,
                term: standing.lastTerm, index: standing.last,
                timestamp: standing.start.timestamp),
            payload: payload)
        note(.standing(standing), group)
    }

    private mutating func note(_ change: IndexChange, _ group: GroupID) {
        changes.append(Change(group: group, change: change))
    }

    private mutating func add(_ header: RecordHeader, payload: Bytes) {
        reserveHeader()
        let offset = content.count
        identifiers.append(
            RecordIdentifier(header, offset: offset))
        withUnsafeTemporaryAllocation(byteCount: RecordHeader.size, alignment: 8) { raw in
            header.store(into: raw)
            content.append(contentsOf: raw)
        }
        content.append(contentsOf: payload)
        content.withUnsafeMutableBytes { raw in
            let record = UnsafeMutableRawBufferPointer(rebasing: raw[offset...])
            let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: record[4...]))
            record.store(checksum, at: 0)
        }
    }

    private mutating func reserveHeader() {
        guard content.isEmpty else { return }
        content.append(contentsOf: repeatElement(0, count: BatchHeader.size))
    }

    /// Where a batch goes and what it states about the log.
    struct Placement: Sendable {
        var kind: BatchHeader.Kind
        var sequence: UInt64
        var epoch: UInt64
        var durableSequence: UInt64
        var firstSector: UInt32
        /// One past the last sector of the batch's identifiers.
        var identifiersEnd: UInt32
    }

    /// Gives the batch its place and lends its sectors, and those of its identifiers in ascending
    /// order, to `body`. The records are used up.
    mutating func withSealed<Result, Failure: Error>(
        _ placement: Placement, codec: SectorCodec,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        reserveHeader()
        let header = BatchHeader(
            sequence: placement.sequence, epoch: placement.epoch,
            durableSequence: placement.durableSequence, contentBytes: UInt32(content.count),
            recordCount: UInt32(identifiers.count),
            identifierSectors: UInt32(identifierSectors), kind: placement.kind)
        content.withUnsafeMutableBytes { header.store(into: $0) }
        let batchSectors = dataSectors
        codec.sealBatch(
            &content, firstSector: placement.firstSector, sequence: placement.sequence)
        let apart = sealedIdentifiers(placement, batchSectors: batchSectors, codec: codec)
        // `Array.withUnsafeBytes` does not pass typed errors on, `Result` carries them over.
        let result = content.withUnsafeBytes { data in
            apart.withUnsafeBytes { identifiers in
                Swift.Result { () throws(Failure) in try body(data, identifiers) }
            }
        }
        return try result.get()
    }

    private func sealedIdentifiers(
        _ placement: Placement, batchSectors: Int, codec: SectorCodec
    ) -> Bytes {
        let parts = identifierSectors
        var sectors = Bytes(repeating: 0, count: parts * Sector.size)
        sectors.withUnsafeMutableBytes { raw in
            for part in 0..<parts {
                let first = part * IdentifierSector.capacity
                let some = identifiers[
                    first..<min(first + IdentifierSector.capacity, identifiers.count)]
                let position = parts - 1 - part
                let sector = UnsafeMutableRawBufferPointer(
                    rebasing: raw[position * Sector.size..<(position + 1) * Sector.size])
                IdentifierSector(
                    sequence: placement.sequence, epoch: placement.epoch,
                    durableSequence: placement.durableSequence,
                    batchSector: placement.firstSector, batchSectors: UInt32(batchSectors),
                    part: UInt16(part), parts: UInt16(parts), kind: placement.kind,
                    identifiers: Array(some)
                ).store(into: sector)
                codec.seal(
                    sector, number: placement.identifiersEnd - 1 - UInt32(part),
                    role: .identifiers, sequence: placement.sequence)
            }
        }
        return sectors
    }
}

extension EntryLocation {
    /// The place in a segment of a byte of a batch's content.
    static func byteOffset(ofContent offset: Int, inBatchAt firstSector: UInt32) -> Int {
        (Int(firstSector) + offset / Sector.contentSize) * Sector.size
            + offset % Sector.contentSize
    }

    /// The location once the batch has its place.
    func placed(in segment: SegmentNumber, at firstSector: UInt32) -> EntryLocation {
        EntryLocation(
            segment: UInt32(segment.rawValue),
            offset: UInt32(Self.byteOffset(ofContent: Int(offset), inBatchAt: firstSector)),
            length: length)
    }

    var firstSector: Int { Int(offset) / Sector.size }

    /// The sector that holds the record's last byte.
    var lastSector: Int {
        firstSector + (Int(offset) % Sector.size + Int(length) - 1) / Sector.contentSize
    }
}
