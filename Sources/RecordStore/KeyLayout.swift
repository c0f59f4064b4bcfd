import Primitives
import RecordModel

/// The leading byte of each key in the engine (DESIGN, decision 8). The numbers are on disk; those
/// without a use yet are taken so that they are not given away.
package enum Table: UInt8, Sendable, CaseIterable {
    case current = 0x01
    case history = 0x02
    case revisions = 0x03
    case index = 0x04
    case leases = 0x05
    case leaseKeys = 0x06
    case sessions = 0x07
    case policy = 0x08
    case holds = 0x09
    case applied = 0x0A
    case removal = 0x0B
}

/// Half-open bounds over keys of the engine.
struct RawRange: Hashable, Sendable {
    var lower: Bytes
    var upper: Bytes
    var isEmpty: Bool { !lower.lexicographicallyPrecedes(upper) }
}

/// Where one shard's rows are (docs/formats/record-tables.md).
struct KeyLayout: Hashable, Sendable {
    let group: GroupID
    let keyspace: KeyspaceID
    /// Owner of `revisions` and `index` rows. One segment a group, until a shard can split.
    var segment: UInt32 { group.rawValue }

    /// Bytes before the encoded key: the table and the keyspace or segment.
    static let prefixBytes = 5

    func prefix(_ table: Table, _ owner: UInt32, reserving extra: Int = 0) -> Bytes {
        var key: Bytes = []
        key.reserveCapacity(Self.prefixBytes + extra)
        key.append(table.rawValue)
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
            key.append(UInt8(truncatingIfNeeded: owner >> shift))
        }
        return key
    }

    static func appendBigEndian<T: FixedWidthInteger>(_ value: T, to key: inout Bytes) {
        withUnsafeBytes(of: value.bigEndian) { key.append(contentsOf: $0) }
    }

    // MARK: Applied

    static func applied(_ group: GroupID) -> Bytes {
        KeyLayout(group: group, keyspace: .system).prefix(.applied, group.rawValue)
    }

    static func removal(_ group: GroupID) -> Bytes {
        KeyLayout(group: group, keyspace: .system).prefix(.removal, group.rawValue)
    }

    // MARK: Whole tables

    /// All rows of the shard but its rows of `applied` and `removal`.
    var dataRanges: [RawRange] {
        [currentRange, historyRange, revisionsRange, indexRange, leasesRange, leaseKeysRange]
    }
    var currentRange: RawRange { all(.current, keyspace.rawValue) }
    var historyRange: RawRange { all(.history, keyspace.rawValue) }
    var revisionsRange: RawRange { all(.revisions, segment) }
    var indexRange: RawRange { all(.index, segment) }

    func all(_ table: Table, _ owner: UInt32) -> RawRange {
        let lower = prefix(table, owner)
        guard let upper = lower.prefixSuccessor else {
            preconditionFailure("table byte \(table.rawValue) leaves no key above it")
        }
        return RawRange(lower: lower, upper: upper)
    }

    // MARK: Current

    func current(_ key: Bytes) -> Bytes {
        var raw = prefix(.current, keyspace.rawValue, reserving: key.count + 8)
        OrderedBytes.append(key, to: &raw)
        return raw
    }

    func current(in range: KeyRange) -> RawRange {
        switch range.end {
        case .single:
            let raw = current(range.lower)
            return RawRange(lower: raw, upper: raw + [0])
        case .before(let upper):
            return RawRange(lower: current(range.lower), upper: current(upper))
        case .unbounded:
            return RawRange(lower: current(range.lower), upper: currentRange.upper)
        }
    }

    /// The record's key, from a key of `current`.
    func key(ofCurrent raw: Bytes) throws(RecordStoreError) -> Bytes {
        var offset = Self.prefixBytes
        guard let key = OrderedBytes.read(raw, at: &offset), offset == raw.count else {
            throw .corruptRow(table: "current", nil)
        }
        return key
    }

    // MARK: History

    func history(_ key: Bytes, _ revision: Revision, _ subRevision: UInt32) -> Bytes {
        var raw = prefix(.history, keyspace.rawValue, reserving: key.count + 20)
        OrderedBytes.append(key, to: &raw)
        Self.appendBigEndian(revision.rawValue, to: &raw)
        Self.appendBigEndian(subRevision, to: &raw)
        return raw
    }

    /// All versions of one key.
    func history(of key: Bytes) -> RawRange {
        var lower = prefix(.history, keyspace.rawValue, reserving: key.count + 20)
        OrderedBytes.append(key, to: &lower)
        var upper = lower
        upper[upper.count - 1] += 1
        return RawRange(lower: lower, upper: upper)
    }

    func history(in range: KeyRange) -> RawRange {
        let lower = history(of: range.lower)
        switch range.end {
        case .single: return lower
        case .before(let upper):
            return RawRange(lower: lower.lower, upper: history(of: upper).lower)
        case .unbounded: return RawRange(lower: lower.lower, upper: historyRange.upper)
        }
    }

    func parse(
        history raw: Bytes
    ) throws(RecordStoreError) -> (key: Bytes, revision: Revision, subRevision: UInt32) {
        var offset = Self.prefixBytes
        guard let key = OrderedBytes.read(raw, at: &offset), raw.count == offset + 12 else {
            throw .corruptRow(table: "history", nil)
        }
        let revision = raw[offset..<offset + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let subRevision = raw[(offset + 8)...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return (key, Revision(Int64(bitPattern: revision)), subRevision)
    }

    // MARK: Revisions

    func revisions(_ revision: Revision, _ subRevision: UInt32) -> Bytes {
        var raw = prefix(.revisions, segment, reserving: 12)
        Self.appendBigEndian(revision.rawValue, to: &raw)
        Self.appendBigEndian(subRevision, to: &raw)
        return raw
    }

    func parse(
        revisions raw: Bytes
    ) throws(RecordStoreError) -> (revision: Revision, subRevision: UInt32) {
        guard raw.count == Self.prefixBytes + 12 else {
            throw .corruptRow(table: "revisions", nil)
        }
        let middle = Self.prefixBytes + 8
        let revision = raw[Self.prefixBytes..<middle].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let subRevision = raw[middle...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return (Revision(Int64(bitPattern: revision)), subRevision)
    }

    // MARK: Index

    func index(_ term: IndexTerm, _ key: Bytes) -> Bytes {
        var raw = prefix(
            .index, segment, reserving: term.name.count + term.value.count + key.count + 8)
        OrderedBytes.append(term.name, to: &raw)
        OrderedBytes.append(term.value, to: &raw)
        OrderedBytes.append(key, to: &raw)
        return raw
    }

    /// The index rows of the terms that match.
    func index(_ match: TermMatch) -> RawRange {
        var name = prefix(.index, segment, reserving: match.name.count + 40)
        OrderedBytes.append(match.name, to: &name)
        switch match.values {
        case .exact(let value):
            var lower = name
            OrderedBytes.append(value, to: &lower)
            return RawRange(lower: lower, upper: Self.successor(lower))
        case .prefix(let value):
            var lower = name
            OrderedBytes.appendUnterminated(value, to: &lower)
            return RawRange(lower: lower, upper: Self.successor(lower))
        case .range(let from, let to):
            var lower = name
            if let from { OrderedBytes.append(from, to: &lower) }
            guard let to else { return RawRange(lower: lower, upper: Self.successor(name)) }
            var upper = name
            OrderedBytes.append(to, to: &upper)
            return RawRange(lower: lower, upper: upper)
        }
    }

    /// The term's value and the record's key, from a key of `index`.
    func parse(index raw: Bytes) throws(RecordStoreError) -> (value: Bytes, key: Bytes) {
        var offset = Self.prefixBytes
        guard OrderedBytes.read(raw, at: &offset) != nil,
            let value = OrderedBytes.read(raw, at: &offset),
            let key = OrderedBytes.read(raw, at: &offset), offset == raw.count
        else { throw .corruptRow(table: "index", nil) }
        return (value, key)
    }

    private static func successor(_ prefix: Bytes) -> Bytes {
        guard let upper = prefix.prefixSuccessor else {
            preconditionFailure("a key of table byte \(prefix[0]) leaves no key above it")
        }
        return upper
    }
}
