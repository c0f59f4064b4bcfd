import Primitives
import ReplicatedLog

/// A sector of a log.
struct DiskSector: Hashable, Comparable {
    var segment: SegmentNumber
    var number: Int

    static func < (a: Self, b: Self) -> Bool {
        (a.segment, a.number) < (b.segment, b.number)
    }
}

/// Where the records of an intact log stand on its device: read from the identifiers, as
/// `docs/formats/log-segment.md` describes them, by a reader that shares nothing with the log's own.
struct DiskMap {
    struct Record {
        /// As in the format: 1 entry, 2 hard state, 4 group start, 6 repaired, 9 standing.
        var kind: UInt8
        var group: GroupID
        var index: LogIndex
        var term: Term
        var sequence: UInt64
        /// Place in its batch's content.
        var offset: Int
        var sectors: [DiskSector]
        var identifiers: DiskSector

        var isEntry: Bool { kind == 1 || kind == 6 }
    }

    /// In the order in which they were written.
    private(set) var records: [Record] = []
    private(set) var segments: [SegmentNumber] = []

    private static let sectorBytes = 512
    private static let contentBytes = 504
    private static let identifiersRole: UInt8 = 0xC8

    init(_ device: MemoryLogDevice) {
        guard let listed = try? device.listSegments() else { return }
        for segment in listed {
            segments.append(segment.number)
            let bytes = device.contents(of: segment.number)
            for number in 1..<segment.bytes / Self.sectorBytes {
                let start = number * Self.sectorBytes
                guard bytes[start + 507] == Self.identifiersRole else { continue }
                read(bytes, at: start, DiskSector(segment: segment.number, number: number))
            }
        }
        records.sort { ($0.sequence, $0.offset) < ($1.sequence, $1.offset) }
    }

    private mutating func read(_ bytes: Bytes, at start: Int, _ sector: DiskSector) {
        func integer(_ offset: Int, _ count: Int) -> UInt64 {
            (0..<count).reduce(0) { $0 | UInt64(bytes[start + offset + $1]) << (8 * UInt64($1)) }
        }
        let first = Int(integer(24, 4))
        for i in 0..<Int(integer(36, 2)) {
            let at = 40 + 32 * i
            let offset = Int(integer(at + 24, 4))
            let last = offset + Int(integer(at + 28, 4)) - 1
            let held = offset / Self.contentBytes...last / Self.contentBytes
            records.append(
                Record(
                    kind: bytes[start + at], group: GroupID(UInt32(integer(at + 4, 4))),
                    index: LogIndex(integer(at + 8, 8)), term: Term(integer(at + 16, 8)),
                    sequence: integer(0, 8), offset: offset,
                    sectors: held.map {
                        DiskSector(segment: sector.segment, number: first + $0)
                    }, identifiers: sector))
        }
    }

    /// The record that holds the entry now.
    func entry(_ group: GroupID, _ index: LogIndex, _ term: Term) -> Record? {
        records.last {
            $0.isEntry && $0.group == group && $0.index == index && $0.term == term
        }
    }

    func last(_ kinds: [UInt8], of group: GroupID) -> Record? {
        records.last { kinds.contains($0.kind) && $0.group == group }
    }
}
