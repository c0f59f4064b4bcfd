import Primitives

/// The fixed part of a record, before its payload.
///
/// | Offset | Bytes | Field |
/// |---|---|---|
/// | 0 | 4 | CRC-32C of the record from offset 4 to its end |
/// | 4 | 4 | length of the record in bytes, payload included |
/// | 8 | 1 | kind |
/// | 9 | 1 | record format, 1 |
/// | 10 | 2 | semantics level |
/// | 12 | 4 | group |
/// | 16 | 8 | term |
/// | 24 | 8 | index |
/// | 32 | 8 | timestamp, microseconds |
/// | 40 | 4 | timestamp, logical |
/// | 44 | 1 | detail (`RecordDetail`) |
/// | 45 | 3 | zero |
struct RecordHeader: Hashable, Sendable {
    static let size = 48
    static let format: UInt8 = 1

    enum Kind: UInt8, Hashable, Sendable {
        /// An entry of the group's log.
        case entry = 1
        /// Term and vote; `index` is the commit index. The payload is the vote's `ReplicaID`, or
        /// empty when there is none.
        case hardState = 2
        /// Entries from `index` on are gone.
        case replaceFrom = 3
        /// Entries up to `index` are gone; `term` and timestamp are those of entry `index`. The
        /// payload is the group's last index and last term from then on, the index of the
        /// configuration in force, 8 bytes each, and that configuration.
        case groupStart = 4
        /// Another replica's last term and index; the payload is its `ReplicaID` and incarnation.
        case peer = 5
        /// An entry that takes the place of a damaged one with the same index and term.
        case repaired = 6
        /// All that was known of the group is forgotten.
        case reset = 7
        /// The group's distrust has ended.
        case trusted = 8
        /// In checkpoints: all that is known of the group but its entries (`GroupStanding`).
        /// `index` and `term` are those of its last entry, the stamp that of its start.
        case standing = 9

        var isEntry: Bool { self == .entry || self == .repaired }
    }

    var length: Int
    var kind: Kind
    var semantics: SemanticsLevel = SemanticsLevel(0)
    var group: GroupID
    var term: Term
    var index: LogIndex
    var timestamp: HybridTimestamp = .zero
    var detail: UInt8 = 0
}

extension RecordHeader {
    /// Everything but the checksum, which covers what follows as well.
    func store(into raw: UnsafeMutableRawBufferPointer) {
        raw.store(UInt32(0), at: 0)
        raw.store(UInt32(length), at: 4)
        raw.store(kind.rawValue, at: 8)
        raw.store(Self.format, at: 9)
        raw.store(semantics.rawValue, at: 10)
        raw.store(group.rawValue, at: 12)
        raw.store(term.rawValue, at: 16)
        raw.store(index.rawValue, at: 24)
        raw.store(timestamp.microseconds, at: 32)
        raw.store(timestamp.logical, at: 40)
        raw.store(UInt32(detail), at: 44)
    }

    /// Reads the record that `raw` begins with; `nil` when it does not hold a whole, intact one.
    init?(_ raw: UnsafeRawBufferPointer) {
        guard raw.count >= Self.size else { return nil }
        let length = Int(raw.integer(at: 4, as: UInt32.self))
        guard length >= Self.size, length <= raw.count,
            let kind = Kind(rawValue: raw[8]), raw[9] == Self.format,
            let detail = UInt8(exactly: raw.integer(at: 44, as: UInt32.self)),
            raw.integer(at: 0)
                == CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[4..<length]))
        else { return nil }
        self.init(
            length: length, kind: kind, semantics: SemanticsLevel(raw.integer(at: 10)),
            group: GroupID(raw.integer(at: 12)), term: Term(raw.integer(at: 16)),
            index: LogIndex(raw.integer(at: 24)),
            timestamp: HybridTimestamp(
                microseconds: raw.integer(at: 32), logical: raw.integer(at: 40)),
            detail: detail)
    }
}

/// What a record's detail says, by kind. It stands in the identifier too, so that a damaged record
/// leaves as little open as possible. An entry's is its `PayloadKind`.
enum RecordDetail {
    /// Of a hard state: there is a vote.
    static let hasVote: UInt8 = 1
    /// Of a group start: the whole log is replaced.
    static let replacesAll: UInt8 = 1
}

/// How `LogEntry.Payload` stands in a record.
enum PayloadKind {
    static let empty: UInt8 = 0
    static let command: UInt8 = 1
    static let configuration: UInt8 = 2

    static func of(_ payload: LogEntry.Payload) -> UInt8 {
        switch payload {
        case .empty: empty
        case .command: command
        case .configuration: configuration
        }
    }

    /// `nil` when the format has no such payload.
    static func payload(_ kind: UInt8, _ bytes: UnsafeRawBufferPointer) -> LogEntry.Payload? {
        switch kind {
        case empty: bytes.isEmpty ? .empty : nil
        case command: .command(Bytes(bytes))
        case configuration: .configuration(Bytes(bytes))
        default: nil
        }
    }
}

extension LogEntry {
    /// The entry of a record whose header has been read; `nil` when the record is not an entry.
    init?(_ header: RecordHeader, record raw: UnsafeRawBufferPointer) {
        guard header.kind.isEntry,
            let payload = PayloadKind.payload(
                header.detail,
                UnsafeRawBufferPointer(rebasing: raw[RecordHeader.size..<header.length]))
        else { return nil }
        self.init(
            term: header.term, index: header.index, timestamp: header.timestamp,
            semantics: header.semantics, payload: payload)
    }
}
