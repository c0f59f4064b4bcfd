import Primitives
import RecordModel

/// Why a manifest could not be decoded.
enum ManifestProblem: Error, Equatable {
    case unsupportedVersion(UInt64)
    case malformed(String)
}

extension Manifest {
    // MARK: Writing

    /// The bytes of `manifest.json`.
    var encoded: Bytes {
        object([
            ("format", .string(Self.format)),
            ("formatVersion", .integer(Self.formatVersion)),
            ("created", json(created)),
            ("clusterId", .string(clusterID.description)),
            ("productVersion", .string(productVersion)),
            ("sealing", .null),
            ("previous", .null),
            ("keyspaces", .array(keyspaces.map(json))),
            ("totals", json(totals)),
        ]).text
    }

    /// Upper bound of what one pack adds to the manifest.
    static func encodedBytesMax(_ pack: Pack) -> Int {
        512 + 2 * (pack.firstKey.count + pack.lastKey.count)
    }

    private struct Totals: Equatable {
        var keyspaces: UInt64
        var packs: UInt64
        var rowCount: UInt64
        var bytes: UInt64
        var uncompressedBytes: UInt64
    }

    /// Sums cannot overflow: `init(decoding:)` bounds every addend.
    private var totals: Totals {
        Totals(
            keyspaces: UInt64(keyspaces.count),
            packs: keyspaces.reduce(0) { $0 + UInt64($1.packs.count) },
            rowCount: keyspaces.reduce(0) { $0 + $1.rowCount },
            bytes: keyspaces.reduce(0) { $0 + $1.bytes },
            uncompressedBytes: keyspaces.reduce(0) { $0 + $1.uncompressedBytes })
    }

    private func object(_ fields: [(String, JSONText)]) -> JSONText {
        .object(fields.map { JSONText.Field(name: $0.0, value: $0.1) })
    }

    private func json(_ timestamp: HybridTimestamp) -> JSONText {
        object([
            ("microseconds", .integer(timestamp.microseconds)),
            ("logical", .integer(UInt64(timestamp.logical))),
        ])
    }

    private func json(_ keyspace: Keyspace) -> JSONText {
        object([
            ("name", .string(keyspace.name)),
            ("revision", .integer(UInt64(keyspace.revision.rawValue))),
            ("compactRevision", .integer(UInt64(keyspace.compactRevision.rawValue))),
            ("timestamp", json(keyspace.timestamp)),
            ("rowCount", .integer(keyspace.rowCount)),
            ("digest", .string(keyspace.digest.description)),
            ("packs", .array(keyspace.packs.map(json))),
        ])
    }

    private func json(_ pack: Pack) -> JSONText {
        object([
            ("sha256", .string(pack.digest.description)),
            ("bytes", .integer(pack.bytes)),
            ("uncompressedBytes", .integer(pack.uncompressedBytes)),
            ("rowCount", .integer(pack.rowCount)),
            ("firstKey", .string(Hex.encode(pack.firstKey))),
            ("lastKey", .string(Hex.encode(pack.lastKey))),
        ])
    }

    private func json(_ totals: Totals) -> JSONText {
        object([
            ("keyspaces", .integer(totals.keyspaces)),
            ("packs", .integer(totals.packs)),
            ("rowCount", .integer(totals.rowCount)),
            ("bytes", .integer(totals.bytes)),
            ("uncompressedBytes", .integer(totals.uncompressedBytes)),
        ])
    }

    // MARK: Reading

    /// Strict: every field once, none unknown, every value within the limits, sums that agree.
    init(decoding bytes: Bytes) throws(ManifestProblem) {
        let text: JSONText
        do {
            text = try JSONText(bytes)
        } catch {
            throw .malformed("not JSON of this format at byte \(error.offset): \(error.reason)")
        }
        // Only what says that this is a manifest, and of which version, is read before the
        // version is known: later ones may have other fields.
        let (format, version) = try ManifestFields.formatAndVersion(text)
        guard format == Self.format else { throw .malformed("format is not \(Self.format)") }
        guard version == Self.formatVersion else {
            if version > Self.formatVersion { throw .unsupportedVersion(version) }
            throw .malformed("formatVersion \(version) does not exist")
        }
        var fields = try ManifestFields(text, "manifest")
        _ = try fields.string("format")
        _ = try fields.integer("formatVersion")
        created = try Self.timestamp(try fields.value("created"), "created")
        clusterID = ClusterID(try fields.hexInteger("clusterId"))
        productVersion = try fields.string("productVersion")
        guard productVersion.utf8.count <= ArchiveLimits.productVersionBytesMax else {
            throw .malformed("productVersion is too long")
        }
        try fields.null("sealing")
        try fields.null("previous")
        keyspaces = []
        let stated = try fields.array("keyspaces")
        guard stated.count <= ArchiveLimits.keyspacesMax else {
            throw .malformed(
                "\(stated.count) keyspaces, the limit is \(ArchiveLimits.keyspacesMax)")
        }
        for value in stated {
            let keyspace = try Self.keyspace(value)
            guard !keyspaces.contains(where: { $0.name == keyspace.name }) else {
                throw .malformed("keyspace \(keyspace.name) is there twice")
            }
            keyspaces.append(keyspace)
        }
        let statedTotals = try Self.totals(try fields.value("totals"))
        try fields.end()
        guard statedTotals == totals else {
            throw .malformed("the totals are not those of the keyspaces")
        }
    }

    private static func timestamp(
        _ value: JSONText, _ place: String
    ) throws(ManifestProblem) -> HybridTimestamp {
        var fields = try ManifestFields(value, place)
        let microseconds = try fields.integer("microseconds")
        let logical = try fields.integer("logical", max: UInt64(UInt32.max))
        try fields.end()
        return HybridTimestamp(microseconds: microseconds, logical: UInt32(logical))
    }

    private static func keyspace(_ value: JSONText) throws(ManifestProblem) -> Keyspace {
        var fields = try ManifestFields(value, "keyspace")
        let name = try fields.string("name")
        guard isKeyspaceName(name) else { throw .malformed("a keyspace's name is not one") }
        fields.place = "keyspace \(name)"
        let revisionMax = UInt64(Int64.max)
        let revision = try fields.integer("revision", max: revisionMax)
        let compactRevision = try fields.integer("compactRevision", max: revision)
        let timestamp = try timestamp(try fields.value("timestamp"), "keyspace \(name): timestamp")
        let rowCount = try fields.integer("rowCount")
        guard let digest = LogicalDigest(bytes: try fields.hex("digest")) else {
            throw .malformed("keyspace \(name): digest is not 32 hexadecimal digits")
        }
        var packs: [Pack] = []
        for value in try fields.array("packs") {
            packs.append(try pack(value, "keyspace \(name): pack \(packs.count)"))
        }
        try fields.end()
        let inPacks = packs.reduce(0) { $0 + $1.rowCount }
        guard inPacks == rowCount else {
            throw .malformed("keyspace \(name): rowCount \(rowCount), its packs hold \(inPacks)")
        }
        return Keyspace(
            name: name, revision: Revision(Int64(revision)),
            compactRevision: Revision(Int64(compactRevision)), timestamp: timestamp,
            rowCount: rowCount, digest: digest, packs: packs)
    }

    private static func pack(
        _ value: JSONText, _ place: String
    ) throws(ManifestProblem) -> Pack {
        var fields = try ManifestFields(value, place)
        guard let digest = SHA256Digest(hex: try fields.string("sha256")) else {
            throw .malformed("\(place): sha256 is not 64 lower-case hexadecimal digits")
        }
        let bytes = try fields.integer("bytes", max: UInt64(ArchiveLimits.packFileBytesMax))
        let uncompressedBytes = try fields.integer(
            "uncompressedBytes", max: UInt64(ArchiveLimits.packUncompressedBytesMax))
        // A row has at least one byte.
        let rowCount = try fields.integer("rowCount", min: 1, max: uncompressedBytes)
        let firstKey = try fields.hex("firstKey")
        let lastKey = try fields.hex("lastKey")
        try fields.end()
        return Pack(
            digest: digest, bytes: bytes, uncompressedBytes: uncompressedBytes,
            rowCount: rowCount, firstKey: firstKey, lastKey: lastKey)
    }

    private static func totals(_ value: JSONText) throws(ManifestProblem) -> Totals {
        var fields = try ManifestFields(value, "totals")
        let totals = Totals(
            keyspaces: try fields.integer("keyspaces"), packs: try fields.integer("packs"),
            rowCount: try fields.integer("rowCount"), bytes: try fields.integer("bytes"),
            uncompressedBytes: try fields.integer("uncompressedBytes"))
        try fields.end()
        return totals
    }

    /// Lower-case letters, digits, `.`, `_` and `-`, within the limit.
    static func isKeyspaceName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= ArchiveLimits.keyspaceNameBytesMax
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}
