import Foundation
import Primitives

/// Damage that needs to know how the file is built, and damage to the directory as a whole.
extension DamageCase {
    static func manifest(_ corpus: CorpusDirectories) -> [DamageCase] {
        func edit(
            _ damage: String, base: Base = .closed, _ change: @escaping (inout Bytes) -> Void
        ) -> DamageCase {
            DamageCase(subject: "MANIFEST", damage: damage, base: base) {
                try $0.edit($0.file("MANIFEST"), change)
            }
        }
        var cases = [
            DamageCase(subject: "MANIFEST", damage: "older version of itself") {
                let name = try $0.file("MANIFEST")
                try $0.write(name, Directory(path: corpus.afterPhase5).bytes(name))
            },
            DamageCase(subject: "MANIFEST", damage: "that of an earlier start") {
                let earlier = Directory(path: corpus.earlier)
                try $0.write($0.file("MANIFEST"), earlier.bytes(earlier.file("MANIFEST")))
            },
            DamageCase(
                subject: "MANIFEST", damage: "sync fails",
                fault: { _ in Fault(call: .sync, name: "MANIFEST") }),
        ]
        // The last records, whole.
        for records in 1...2 {
            cases.append(
                edit("last records missing") {
                    $0.removeLast($0.count - ManifestFile($0).ends.dropLast(records).last!)
                })
            cases.append(
                edit("zeroed from a record on") {
                    let ends = ManifestFile($0).ends
                    $0.zero(ends[ends.count - records - 1]..<$0.count)
                })
        }
        // The length of the last record that adds a table: a longer record seems to be torn.
        for bit in 0..<16 {
            cases.append(
                edit("one bit of a record's length") {
                    let start = ManifestFile($0).ends.dropLast(2).last!
                    $0[start + 4 + bit / 8] ^= 1 << UInt8(bit % 8)
                })
        }
        cases.append(edit("first 512 bytes zeroed") { $0.zero(0..<512) })
        // In the middle of the first block of 32 KiB: RocksDB takes zeros for the end of a block.
        let place = 8192
        for bytes in [512, 4096] {
            cases.append(
                edit("\(bytes) bytes zeroed, long MANIFEST", base: .longManifest) {
                    $0.zero(place..<place + bytes)
                })
            cases.append(
                edit("\(bytes) bytes zeroed from a record on, long MANIFEST", base: .longManifest) {
                    let start = ManifestFile($0).ends.first { $0 >= place }!
                    $0.zero(start..<start + bytes)
                })
        }
        return cases
    }

    static func log() -> [DamageCase] {
        [
            DamageCase(subject: "write-ahead log", damage: "missing") {
                try $0.remove($0.file(".log"))
            },
            DamageCase(subject: "write-ahead log", damage: "a directory in its place") {
                try $0.makeDirectory($0.file(".log"))
            },
            DamageCase(subject: "write-ahead log", damage: "512 zeros") {
                try $0.write($0.file(".log"), Bytes(repeating: 0, count: 512))
            },
            DamageCase(subject: "write-ahead log", damage: "512 bytes of noise") {
                var generator = SeededGenerator(seed: 1)
                try $0.write(
                    $0.file(".log"),
                    (0..<512).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
            },
            DamageCase(subject: "write-ahead log", damage: "that of another store") {
                try $0.write($0.file(".log"), foreignLog)
            },
            DamageCase(subject: "write-ahead log", damage: "one more, of another store") {
                try $0.write("999999.log", foreignLog)
            },
        ]
    }

    /// One batch that writes an old value over a key of the corpus.
    private static var foreignLog: Bytes {
        let (key, value) = (Corpus.key(7), Corpus.value(7, phase: 1))
        // Sequence number, number of operations, a put.
        var batch: Bytes = [0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
        batch += [UInt8(key.count)] + key + [UInt8(value.count)] + value
        return ManifestFile.record(batch)
    }

    static func directory(_ corpus: CorpusDirectories) -> [DamageCase] {
        func replace(_ directory: Directory, with path: String) throws {
            for name in try directory.files { try directory.remove(name) }
            let source = Directory(path: path)
            for name in try source.files { try directory.write(name, source.bytes(name)) }
        }
        return [
            DamageCase(subject: "directory", damage: "as it was two flushes ago") {
                try replace($0, with: corpus.afterPhase5)
            },
            DamageCase(subject: "directory", damage: "as it was before the last start") {
                try replace($0, with: corpus.earlier)
            },
            DamageCase(subject: "directory", damage: "empty") {
                for name in try $0.files { try $0.remove(name) }
            },
        ]
    }
}

/// A MANIFEST, or another file of RocksDB's log format: blocks of 32 KiB of records, each with a
/// masked CRC-32C, a length and a type.
struct ManifestFile {
    /// Where each whole record ends.
    private(set) var ends: [Int] = []

    private static let headerBytes = 7
    private static let blockBytes = 32 << 10

    init(_ bytes: Bytes) {
        var at = 0
        while at + Self.headerBytes <= bytes.count {
            let left = Self.blockBytes - at % Self.blockBytes
            if left < Self.headerBytes {
                at += left
                continue
            }
            at += Self.headerBytes + Int(bytes[at + 4]) + Int(bytes[at + 5]) << 8
            ends.append(at)
        }
    }

    /// A record in one piece. Its checksum is of the type and the contents, rotated and shifted.
    static func record(_ contents: Bytes) -> Bytes {
        let crc = CRC32C.checksum([1] + contents)
        let masked = (crc >> 15 | crc << 17) &+ 0xA282_EAD8
        let header = [
            masked, masked >> 8, masked >> 16, masked >> 24, UInt32(contents.count),
            UInt32(contents.count) >> 8, 1,
        ]
        return header.map { UInt8(truncatingIfNeeded: $0) } + contents
    }
}
