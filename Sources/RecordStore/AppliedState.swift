import Primitives
import RecordModel

/// What a shard knows about itself: the one row of table `applied` that is written with every
/// batch, so that data and applied index never part (docs/formats/record-tables.md).
struct AppliedState: Hashable, Sendable {
    var keyspace: KeyspaceID
    var appliedIndex = LogIndex.zero
    var appliedTerm = Term.zero
    var revision = Revision.initial
    /// `Revision.none`: nothing has been compacted.
    var compactRevision = Revision.none
    /// Of all entries applied and all rows restored.
    var newestTimestamp = HybridTimestamp.zero
    var digest = EffectDigest()
    /// The configuration in force at `appliedIndex` and its entry, as it stands there; zero and empty
    /// when none has been applied. With it the state stands for every entry up to there, should the
    /// log lose one.
    var configurationIndex = LogIndex.zero
    var configuration: Bytes = []
    var restore: RestoreState?

    /// Reads and writes are refused with it while a restore has begun and not been activated.
    var refusal: CommandRefusal? {
        guard let restore, restore.progress.phase != .active else { return nil }
        return .restoring(restoreID: restore.progress.restoreID)
    }
}

/// A restore, from its begin on.
struct RestoreState: Hashable, Sendable {
    var progress: RestoreProgress
    /// What the archive says, taken on by the finish.
    var revision: Revision
    var compactRevision: Revision
    var newestTimestamp = HybridTimestamp.zero
    /// The row taken last, which the next must follow.
    var last: Position?

    struct Position: Hashable, Sendable {
        var key: Bytes
        var modRevision: Revision
        var subRevision: UInt32
        var timestamp: HybridTimestamp
        /// Zero after a deletion.
        var createRevision: Revision
        var version: Int64
    }
}

extension AppliedState {
    static let formatVersion: UInt8 = 2

    func encode(group: GroupID) -> Bytes {
        var writer = ByteWriter(reserving: 96)
        writer.write(Self.formatVersion)
        writer.write(keyspace.rawValue)
        writer.writeVarint(appliedIndex.rawValue)
        writer.writeVarint(appliedTerm.rawValue)
        writer.writeVarint(UInt64(bitPattern: revision.rawValue))
        writer.writeVarint(UInt64(bitPattern: compactRevision.rawValue))
        writer.writeTimestamp(newestTimestamp)
        writer.write(digest.value)
        writer.writeVarint(configurationIndex.rawValue)
        writer.writeLengthPrefixed(configuration)
        writer.write(restore?.progress.phase.rawValue ?? 0)
        if let restore { restore.encode(into: &writer) }
        var crc = CRC32C()
        crc.update(KeyLayout.applied(group))
        crc.update(writer.bytes)
        writer.write(crc.value)
        return writer.bytes
    }

    init(decoding raw: Bytes, group: GroupID) throws(RecordStoreError) {
        do {
            try self.init(raw, group)
        } catch {
            throw .corruptRow(table: "applied", error)
        }
    }

    private init(_ raw: Bytes, _ group: GroupID) throws(DecodingFailure) {
        guard raw.count > 4 else { throw .truncated(field: "checksum", offset: raw.count) }
        let end = raw.count - 4
        var crc = CRC32C()
        crc.update(KeyLayout.applied(group))
        crc.update(raw[..<end])
        var tail = ByteReader(raw[end...])
        guard try tail.read(UInt32.self, "checksum") == crc.value else {
            throw .invalid(field: "checksum", offset: end)
        }
        var reader = ByteReader(raw[..<end])
        let version = try reader.read(UInt8.self, "version")
        guard version == Self.formatVersion else { throw .unsupportedVersion(UInt64(version)) }
        keyspace = KeyspaceID(try reader.read(UInt32.self, "keyspace"))
        appliedIndex = LogIndex(try reader.readVarint("appliedIndex"))
        appliedTerm = Term(try reader.readVarint("appliedTerm"))
        revision = try reader.readRevision("revision")
        compactRevision = try reader.readRevision("compactRevision")
        newestTimestamp = try reader.readTimestamp("newestTimestamp")
        digest = EffectDigest(value: try reader.read(UInt64.self, "digest"))
        configurationIndex = LogIndex(try reader.readVarint("configurationIndex"))
        configuration = Bytes(try reader.readLengthPrefixed("configuration"))
        let at = reader.offset
        guard let phase = RestoreProgress.Phase(rawValue: try reader.read(UInt8.self, "phase"))
        else { throw .invalid(field: "phase", offset: at) }
        if phase != .none { restore = try RestoreState(phase: phase, decoding: &reader) }
        try reader.expectEnd()
    }
}

extension RestoreState {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.writeLengthPrefixed(progress.restoreID.utf8)
        writer.writeVarint(progress.nextSequence)
        writer.writeVarint(progress.rowCount)
        writer.writeRaw(progress.digest.bytes)
        writer.writeVarint(UInt64(bitPattern: revision.rawValue))
        writer.writeVarint(UInt64(bitPattern: compactRevision.rawValue))
        writer.writeTimestamp(newestTimestamp)
        writer.write(last != nil)
        guard let last else { return }
        writer.writeLengthPrefixed(last.key)
        writer.writeVarint(UInt64(bitPattern: last.modRevision.rawValue))
        writer.writeVarint(UInt64(last.subRevision))
        writer.writeTimestamp(last.timestamp)
        writer.writeVarint(UInt64(bitPattern: last.createRevision.rawValue))
        writer.writeVarint(UInt64(bitPattern: last.version))
    }

    fileprivate init(
        phase: RestoreProgress.Phase, decoding reader: inout ByteReader
    ) throws(DecodingFailure) {
        let at = reader.offset
        let idBytes = try reader.readLengthPrefixed("restoreID")
        guard let restoreID = String(validating: idBytes, as: UTF8.self) else {
            throw .invalid(field: "restoreID", offset: at)
        }
        let nextSequence = try reader.readVarint("nextSequence")
        let rowCount = try reader.readVarint("rowCount")
        let digestOffset = reader.offset
        let digestBytes = Bytes(try reader.readRaw(count: 16, "restore.digest"))
        guard let digest = LogicalDigest(bytes: digestBytes) else {
            throw .invalid(field: "restore.digest", offset: digestOffset)
        }
        self.init(
            progress: RestoreProgress(
                phase: phase, restoreID: restoreID, nextSequence: nextSequence,
                rowCount: rowCount, digest: digest),
            revision: try reader.readRevision("restore.revision"),
            compactRevision: try reader.readRevision("restore.compactRevision"),
            newestTimestamp: try reader.readTimestamp("restore.newestTimestamp"))
        guard try reader.readBool("restore.hasLast") else { return }
        last = Position(
            key: Bytes(try reader.readLengthPrefixed("last.key")),
            modRevision: try reader.readRevision("last.modRevision"),
            subRevision: UInt32(truncatingIfNeeded: try reader.readVarint("last.subRevision")),
            timestamp: try reader.readTimestamp("last.timestamp"),
            createRevision: try reader.readRevision("last.createRevision"),
            version: Int64(bitPattern: try reader.readVarint("last.version")))
    }
}

extension ByteWriter {
    fileprivate mutating func writeTimestamp(_ timestamp: HybridTimestamp) {
        writeVarint(timestamp.microseconds)
        writeVarint(UInt64(timestamp.logical))
    }
}

extension ByteReader {
    fileprivate mutating func readRevision(
        _ field: StaticStringName
    ) throws(DecodingFailure) -> Revision {
        Revision(Int64(bitPattern: try readVarint(field)))
    }

    fileprivate mutating func readTimestamp(
        _ field: StaticStringName
    ) throws(DecodingFailure) -> HybridTimestamp {
        HybridTimestamp(
            microseconds: try readVarint(field),
            logical: UInt32(truncatingIfNeeded: try readVarint(field)))
    }
}
