import Primitives
import RecordModel
import StorageEngine

/// How far this replica has removed what compaction hides: the one row of table `removal`, written
/// in the batch that removes. Belongs to the replica alone: no snapshot, recovery point or digest
/// holds it, because replicas remove at their own pace (docs/formats/record-tables.md).
///
/// Invariants:
/// 1. `through` never falls, and is at most the floor of the shard.
/// 2. Rows of `revisions` below `place` are gone, and with them what they superseded.
/// 3. While `place` is at `through` nothing is left to remove up to `through`.
struct RemovalState: Hashable, Sendable {
    static let formatVersion: UInt8 = 1

    /// Reads at this revision and above have been spared, those below are no longer possible.
    var through = Revision.none
    /// The change to look at next.
    var place = Place(revision: .none, subRevision: 0)

    struct Place: Hashable, Sendable {
        var revision: Revision
        var subRevision: UInt32
    }

    static func load(
        from view: any ReadView, _ group: GroupID
    ) throws(RecordStoreError) -> RemovalState {
        let row = KeyLayout.removal(group)
        let raw = try storage { () throws(StorageError) in try view.value(for: row) }
        guard let raw else { return RemovalState() }
        do {
            return try RemovalState(raw, row)
        } catch {
            throw .corruptRow(table: "removal", error)
        }
    }

    func encode(_ group: GroupID) -> Bytes {
        var writer = ByteWriter(reserving: 24)
        writer.write(Self.formatVersion)
        writer.writeVarint(UInt64(bitPattern: through.rawValue))
        writer.writeVarint(UInt64(bitPattern: place.revision.rawValue))
        writer.writeVarint(UInt64(place.subRevision))
        var crc = CRC32C()
        crc.update(KeyLayout.removal(group))
        crc.update(writer.bytes)
        writer.write(crc.value)
        return writer.bytes
    }

    private init(_ raw: Bytes, _ row: Bytes) throws(DecodingFailure) {
        guard raw.count > 4 else { throw .truncated(field: "checksum", offset: raw.count) }
        let end = raw.count - 4
        var crc = CRC32C()
        crc.update(row)
        crc.update(raw[..<end])
        var tail = ByteReader(raw[end...])
        guard try tail.read(UInt32.self, "checksum") == crc.value else {
            throw .invalid(field: "checksum", offset: end)
        }
        var reader = ByteReader(raw[..<end])
        let version = try reader.read(UInt8.self, "version")
        guard version == Self.formatVersion else { throw .unsupportedVersion(UInt64(version)) }
        through = Revision(Int64(bitPattern: try reader.readVarint("through")))
        let revision = Revision(Int64(bitPattern: try reader.readVarint("place.revision")))
        let at = reader.offset
        guard let sub = UInt32(exactly: try reader.readVarint("place.subRevision")) else {
            throw .invalid(field: "place.subRevision", offset: at)
        }
        place = Place(revision: revision, subRevision: sub)
        try reader.expectEnd()
    }

    init() {}
}

/// What one step of removal does at most, so that it holds up nothing: etcd's
/// `--experimental-compaction-batch-limit` is the model of the first.
package struct RemovalLimits: Hashable, Sendable {
    /// Rows of `revisions` that a step looks at; it deletes up to three rows for each.
    package var changes = 1_000
    /// Bytes of keys that a step deletes, give or take one change: keys may be long.
    package var keyBytes = 1 << 20

    package init() {}
}

/// What a step of removal has done.
package struct RemovalProgress: Hashable, Sendable {
    /// Rows deleted by the step.
    package var rowsRemoved: Int
    /// Everything that is hidden from reads at this revision is gone.
    package var through: Revision
    /// Where removal stops at present: the lowest of floor, retention and holds.
    package var target: Revision
    /// The compaction floor that the step found.
    package var floor: Revision
    package var isDone: Bool { through >= target }

    package init(rowsRemoved: Int, through: Revision, target: Revision, floor: Revision) {
        self.rowsRemoved = rowsRemoved
        self.through = through
        self.target = target
        self.floor = floor
    }
}
