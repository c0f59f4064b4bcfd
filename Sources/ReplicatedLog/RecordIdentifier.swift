import Primitives

/// What a record is and where it stands in its batch: the second copy of its identity, kept at the
/// other end of the segment.
///
/// | Offset | Bytes | Field |
/// |---|---|---|
/// | 0 | 1 | record kind |
/// | 1 | 1 | detail |
/// | 2 | 2 | zero |
/// | 4 | 4 | group |
/// | 8 | 8 | index |
/// | 16 | 8 | term |
/// | 24 | 4 | offset of the record in the batch's content |
/// | 28 | 4 | length of the record |
struct RecordIdentifier: Hashable, Sendable {
    static let size = 32

    var kind: RecordHeader.Kind
    var detail: UInt8
    var group: GroupID
    var index: LogIndex
    var term: Term
    var offset: Int
    var length: Int
}

/// One sector of a batch's identifiers. Part 0 stands last on the device, part 1 before it: the
/// identifiers of a segment grow from its end towards its beginning.
///
/// | Offset | Bytes | Field |
/// |---|---|---|
/// | 0 | 8 | sequence of the batch |
/// | 8 | 8 | epoch |
/// | 16 | 8 | durable sequence |
/// | 24 | 4 | sector at which the batch begins |
/// | 28 | 4 | sectors of the batch |
/// | 32 | 2 | part, from 0 |
/// | 34 | 2 | parts |
/// | 36 | 2 | identifiers in this part, at most 14 |
/// | 38 | 1 | kind of the batch |
/// | 39 | 1 | zero |
/// | 40 | | identifiers, 32 bytes each |
struct IdentifierSector: Hashable, Sendable {
    static let headerSize = 40
    static let capacity = (Sector.contentSize - headerSize) / RecordIdentifier.size

    var sequence: UInt64
    var epoch: UInt64
    var durableSequence: UInt64
    var batchSector: UInt32
    var batchSectors: UInt32
    var part: UInt16
    var parts: UInt16
    var kind: BatchHeader.Kind
    var identifiers: [RecordIdentifier]

    /// Sectors for the identifiers of `count` records: one even when there are none.
    static func count(forRecords count: Int) -> Int {
        max(1, (count + capacity - 1) / capacity)
    }

    /// Fills a zeroed sector's content.
    func store(into raw: UnsafeMutableRawBufferPointer) {
        raw.store(sequence, at: 0)
        raw.store(epoch, at: 8)
        raw.store(durableSequence, at: 16)
        raw.store(batchSector, at: 24)
        raw.store(batchSectors, at: 28)
        raw.store(part, at: 32)
        raw.store(parts, at: 34)
        raw.store(UInt16(identifiers.count), at: 36)
        raw.store(UInt16(kind.rawValue), at: 38)
        var offset = Self.headerSize
        for identifier in identifiers {
            raw.store(
                UInt32(identifier.kind.rawValue) | UInt32(identifier.detail) << 8, at: offset)
            raw.store(identifier.group.rawValue, at: offset + 4)
            raw.store(identifier.index.rawValue, at: offset + 8)
            raw.store(identifier.term.rawValue, at: offset + 16)
            raw.store(UInt32(identifier.offset), at: offset + 24)
            raw.store(UInt32(identifier.length), at: offset + 28)
            offset += RecordIdentifier.size
        }
    }

    /// `nil` when the bytes are no identifier sector.
    init?(_ raw: UnsafeRawBufferPointer) {
        let count = Int(raw.integer(at: 36, as: UInt16.self))
        guard count <= Self.capacity,
            let batchKind = UInt8(exactly: raw.integer(at: 38, as: UInt16.self)),
            let batchKind = BatchHeader.Kind(rawValue: batchKind)
        else { return nil }
        var identifiers: [RecordIdentifier] = []
        identifiers.reserveCapacity(count)
        for i in 0..<count {
            let offset = Self.headerSize + i * RecordIdentifier.size
            guard let word = UInt16(exactly: raw.integer(at: offset, as: UInt32.self)),
                let kind = RecordHeader.Kind(rawValue: UInt8(word & 0xFF))
            else { return nil }
            identifiers.append(
                RecordIdentifier(
                    kind: kind, detail: UInt8(word >> 8),
                    group: GroupID(raw.integer(at: offset + 4)),
                    index: LogIndex(raw.integer(at: offset + 8)),
                    term: Term(raw.integer(at: offset + 16)),
                    offset: Int(raw.integer(at: offset + 24, as: UInt32.self)),
                    length: Int(raw.integer(at: offset + 28, as: UInt32.self))))
        }
        self.init(
            sequence: raw.integer(at: 0), epoch: raw.integer(at: 8),
            durableSequence: raw.integer(at: 16), batchSector: raw.integer(at: 24),
            batchSectors: raw.integer(at: 28), part: raw.integer(at: 32),
            parts: raw.integer(at: 34), kind: batchKind, identifiers: identifiers)
        guard part < parts, durableSequence < sequence else { return nil }
    }

    init(
        sequence: UInt64, epoch: UInt64, durableSequence: UInt64, batchSector: UInt32,
        batchSectors: UInt32, part: UInt16, parts: UInt16, kind: BatchHeader.Kind,
        identifiers: [RecordIdentifier]
    ) {
        self.sequence = sequence
        self.epoch = epoch
        self.durableSequence = durableSequence
        self.batchSector = batchSector
        self.batchSectors = batchSectors
        self.part = part
        self.parts = parts
        self.kind = kind
        self.identifiers = identifiers
    }
}
