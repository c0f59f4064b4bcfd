import Primitives

/// A pack: a header, then one zstd frame of whole rows (docs/formats/recovery-point.md, "Pack").
struct PackFile: Equatable {
    static let magic = Bytes("SPINEPAK".utf8)
    static let formatVersion: UInt16 = 1
    /// Fields before the keyspace's name.
    static let fixedHeaderBytes = 52

    enum Sealing: UInt8 {
        case clearText = 0
    }

    enum Compression: UInt8 {
        case zstandard = 1
    }

    var keyspace: String
    /// Place among the keyspace's packs, from 0.
    var sequence: UInt64
    var rowCount: UInt64
    /// Whole rows, one after another.
    var rows: Bytes

    init(keyspace: String, sequence: UInt64, rowCount: UInt64, rows: Bytes) {
        self.keyspace = keyspace
        self.sequence = sequence
        self.rowCount = rowCount
        self.rows = rows
    }

    // MARK: Writing

    func encoded() throws(ArchiveError) -> Bytes {
        let name = Bytes(keyspace.utf8)
        precondition(
            !name.isEmpty && name.count <= ArchiveLimits.keyspaceNameBytesMax,
            "keyspace name of \(name.count) bytes")
        precondition(
            rows.count <= ArchiveLimits.packUncompressedBytesMax, "pack of \(rows.count) bytes")
        let frame = try Zstandard.compress(rows)
        let headerBytes = Self.fixedHeaderBytes + name.count + 4
        var writer = ByteWriter(reserving: headerBytes + frame.count)
        writer.writeRaw(Self.magic)
        writer.write(Self.formatVersion)
        writer.write(UInt16(headerBytes))
        writer.write(Sealing.clearText.rawValue)
        writer.write(Compression.zstandard.rawValue)
        writer.write(UInt16(name.count))
        writer.write(sequence)
        writer.write(rowCount)
        writer.write(UInt64(rows.count))
        writer.write(UInt64(frame.count))
        writer.write(CRC32C.checksum(rows))
        writer.writeRaw(name)
        writer.write(CRC32C.checksum(writer.bytes))
        writer.writeRaw(frame)
        return writer.bytes
    }

    // MARK: Reading

    enum Problem: Error, Equatable, CustomStringConvertible {
        case malformed(String)
        case unsupportedVersion(UInt64)
        /// The pack is whole, and another than the one that the manifest has in this place.
        case misplaced(String)

        var description: String {
            switch self {
            case .malformed(let reason), .misplaced(let reason): reason
            case .unsupportedVersion(let found):
                "pack of format version \(found); this program reads version "
                    + "\(PackFile.formatVersion): use a newer one"
            }
        }
    }

    /// Decodes a file whose SHA-256 has been found to be the entry's.
    ///
    /// - Parameters:
    ///   - entry: what the manifest says of it; its sizes are within the limits.
    ///   - sequence: where in the keyspace the manifest has it.
    init(
        _ file: Bytes, entry: Manifest.Pack, keyspace: String, sequence: UInt64
    ) throws(Problem) {
        let header: Header
        do throws(DecodingFailure) {
            header = try Header(file)
        } catch .unsupportedVersion(let version) {
            throw .unsupportedVersion(version)
        } catch {
            throw .malformed("pack header: \(error)")
        }
        guard header.keyspace == keyspace else {
            throw .misplaced(
                "pack of keyspace \(header.keyspace), listed in keyspace \(keyspace)")
        }
        guard header.sequence == sequence else {
            throw .misplaced(
                "pack \(header.sequence) of keyspace \(keyspace), listed as pack \(sequence)")
        }
        guard header.rowCount == entry.rowCount else {
            throw .malformed(
                "the header states \(header.rowCount) rows, the manifest \(entry.rowCount)")
        }
        guard header.uncompressedBytes == entry.uncompressedBytes else {
            throw .malformed(
                "the header states \(header.uncompressedBytes) bytes of rows, the manifest "
                    + "\(entry.uncompressedBytes)")
        }
        switch Zstandard.decompress(
            file[header.bytes...], size: Int(header.uncompressedBytes))
        {
        case .success(let rows): self.rows = rows
        case .failure(let problem): throw .malformed("compressed rows: \(problem.reason)")
        }
        guard CRC32C.checksum(rows) == header.rowsChecksum else {
            throw .malformed("the rows' checksum does not match")
        }
        self.keyspace = keyspace
        self.sequence = sequence
        rowCount = header.rowCount
    }

    private struct Header {
        var bytes: Int
        var keyspace: String
        var sequence: UInt64
        var rowCount: UInt64
        /// At most `ArchiveLimits.packUncompressedBytesMax`.
        var uncompressedBytes: UInt64
        var rowsChecksum: UInt32

        init(_ file: Bytes) throws(DecodingFailure) {
            var reader = ByteReader(file)
            guard try reader.readRaw(count: 8, "magic").elementsEqual(PackFile.magic) else {
                throw .invalid(field: "magic", offset: 0)
            }
            let version = try reader.read(UInt16.self, "format version")
            guard version == PackFile.formatVersion else {
                throw .unsupportedVersion(UInt64(version))
            }
            bytes = Int(try reader.read(UInt16.self, "header bytes"))
            guard Sealing(rawValue: try reader.read(UInt8.self, "sealing")) != nil else {
                throw .invalid(field: "sealing", offset: 12)
            }
            guard Compression(rawValue: try reader.read(UInt8.self, "compression")) != nil else {
                throw .invalid(field: "compression", offset: 13)
            }
            let nameBytes = Int(try reader.read(UInt16.self, "keyspace name bytes"))
            guard bytes == PackFile.fixedHeaderBytes + nameBytes + 4 else {
                throw .invalid(field: "header bytes", offset: 10)
            }
            sequence = try reader.read(UInt64.self, "sequence")
            rowCount = try reader.read(UInt64.self, "row count")
            uncompressedBytes = try reader.read(UInt64.self, "uncompressed bytes")
            guard uncompressedBytes <= UInt64(ArchiveLimits.packUncompressedBytesMax) else {
                throw .invalid(field: "uncompressed bytes", offset: 32)
            }
            let compressedBytes = try reader.read(UInt64.self, "compressed bytes")
            rowsChecksum = try reader.read(UInt32.self, "rows checksum")
            let name = try reader.readRaw(count: nameBytes, "keyspace name")
            keyspace = String(decoding: name, as: UTF8.self)
            let end = reader.offset
            guard try reader.read(UInt32.self, "header checksum") == CRC32C.checksum(file[..<end])
            else { throw .invalid(field: "header checksum", offset: end) }
            guard compressedBytes == UInt64(reader.remaining) else {
                throw .invalid(field: "compressed bytes", offset: 40)
            }
        }
    }
}
