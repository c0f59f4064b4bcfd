import Primitives

/// The first bytes of a batch's content: what one `append` wrote, or a mark of the log itself.
///
/// | Offset | Bytes | Field |
/// |---|---|---|
/// | 0 | 8 | sequence: 1 for the log's first batch, then without a gap |
/// | 8 | 8 | epoch: how many times the log had been opened |
/// | 16 | 8 | durable sequence: every batch up to this one had been synced |
/// | 24 | 4 | content bytes of the batch, this header included |
/// | 28 | 4 | number of records |
/// | 32 | 4 | number of identifier sectors |
/// | 36 | 1 | kind |
/// | 37 | 3 | zero |
struct BatchHeader: Hashable, Sendable {
    static let size = 40

    enum Kind: UInt8, Hashable, Sendable {
        /// Records of groups.
        case records = 1
        /// The log was opened. Its epoch is one above the batch before.
        case opened = 2
        /// Nothing but proof that all before it was synced.
        case seal = 3
        /// The last batch of a segment that has a successor.
        case continued = 4
        /// The first batch of every segment but the log's first: all that is known of every
        /// group but its entries, so that the segments before it hold entries only.
        case checkpoint = 5
        /// The checkpoint of a segment with which the log begins anew, after what was before it
        /// had been salvaged.
        case restart = 6
        /// Every group of this node is in the log: none has been forgotten.
        case complete = 7
    }

    var sequence: UInt64
    var epoch: UInt64
    var durableSequence: UInt64
    var contentBytes: UInt32
    var recordCount: UInt32
    var identifierSectors: UInt32
    var kind: Kind

    var dataSectors: Int { Sector.count(forContent: Int(contentBytes)) }
}

extension BatchHeader {
    func store(into raw: UnsafeMutableRawBufferPointer) {
        raw.store(sequence, at: 0)
        raw.store(epoch, at: 8)
        raw.store(durableSequence, at: 16)
        raw.store(contentBytes, at: 24)
        raw.store(recordCount, at: 28)
        raw.store(identifierSectors, at: 32)
        raw.store(UInt32(kind.rawValue), at: 36)
    }

    /// `nil` when the bytes are no batch header.
    init?(_ raw: UnsafeRawBufferPointer) {
        guard raw.count >= Self.size,
            let kindByte = UInt8(exactly: raw.integer(at: 36, as: UInt32.self)),
            let kind = Kind(rawValue: kindByte)
        else { return nil }
        self.init(
            sequence: raw.integer(at: 0), epoch: raw.integer(at: 8),
            durableSequence: raw.integer(at: 16), contentBytes: raw.integer(at: 24),
            recordCount: raw.integer(at: 28), identifierSectors: raw.integer(at: 32), kind: kind)
        guard contentBytes >= UInt32(Self.size), identifierSectors >= 1,
            durableSequence < sequence
        else { return nil }
    }
}
