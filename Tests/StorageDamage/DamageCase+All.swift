import Foundation
import Primitives

/// Each kind of file, and each kind of damage to it.
extension DamageCase {
    /// - Parameter rounds: how often damage is done that has a place in the file.
    static func all(seed: UInt64, rounds: Int, corpus: CorpusDirectories) throws -> [DamageCase] {
        var generator = SeededGenerator(seed: seed)
        var cases = [
            DamageCase(subject: "none", damage: "closed store"),
            DamageCase(subject: "none", damage: "store after a crash", base: .crashed),
            DamageCase(subject: "none", damage: "long MANIFEST", base: .longManifest),
        ]
        cases += tableParts(rounds: rounds, using: &generator)
        cases += tableFiles(using: &generator)
        for (subject, pattern) in [
            ("MANIFEST", "MANIFEST"), ("CURRENT", "CURRENT"), ("IDENTITY", "IDENTITY"),
            ("OPTIONS", "OPTIONS"),
        ] {
            cases += wholeFile(subject, pattern)
            cases += places(subject, pattern, rounds: rounds, using: &generator)
        }
        cases += manifest(corpus)
        cases += [
            DamageCase(subject: "CURRENT", damage: "older version of itself") {
                try $0.write(
                    "CURRENT", Directory(path: corpus.earlier).bytes("CURRENT"))
            }
        ]
        cases += log() + directory(corpus)
        return cases
    }

    /// Damage in each part of a table: of the last level, and the newest of level 0.
    private static func tableParts(
        rounds: Int, using generator: inout SeededGenerator
    ) -> [DamageCase] {
        var cases: [DamageCase] = []
        for part in TableFile.Part.allCases {
            if part.isSmall { cases += manyBits(of: part) }
            for round in 0..<rounds where !part.isSmall {
                // A table of the last level has no deletions left.
                let level0 = part == .rangeDeletions || round % 2 == 1
                let base: Base = round % 3 == 2 && level0 ? .crashed : .closed
                let place = generator.next()
                let bit = UInt8(1) << UInt8(generator.next() % 8)
                let subject = "table, \(part.rawValue)"
                cases.append(
                    DamageCase(subject: subject, damage: "one bit", base: base) {
                        let (name, range) = try $0.part(part, level0: level0)
                        let at = range.lowerBound + Int(place % UInt64(range.count))
                        try $0.edit(name) { $0[at] ^= bit }
                    })
                cases.append(
                    DamageCase(subject: subject, damage: "zeroed, 512 bytes at most", base: base) {
                        var (name, range) = try $0.part(part, level0: level0)
                        if part == .data {
                            let start = Int(place % UInt64(range.count)) / 512 * 512
                            range = range.lowerBound + start..<range.upperBound
                        }
                        try $0.edit(name) { $0.zero(range.prefix(512)) }
                    })
                guard part == .data else { continue }
                cases.append(
                    DamageCase(
                        subject: subject, damage: "cannot be read", base: base,
                        fault: {
                            let (name, range) = try $0.part(part, level0: level0)
                            let from = range.lowerBound + Int(place % UInt64(range.count))
                            return Fault(call: .read, name: name, offsets: from..<from + 1)
                        }))
            }
        }
        return cases
    }

    private static func manyBits(of part: TableFile.Part) -> [DamageCase] {
        // Of the handles (two offsets of two bytes, two sizes of one or two) every third bit.
        stride(from: 0, to: part == .handles ? 7 * 8 : 8, by: part == .handles ? 3 : 1).map { bit in
            DamageCase(subject: "table, \(part.rawValue)", damage: "one bit") {
                let (name, range) = try $0.part(part, level0: part != .handles)
                try $0.edit(name) {
                    $0[range.lowerBound + bit / 8 % range.count] ^= 1 << UInt8(bit % 8)
                }
            }
        }
    }

    private static func tableFiles(using generator: inout SeededGenerator) -> [DamageCase] {
        var cases = wholeFile("table", ".sst")
        cases += [
            DamageCase(subject: "table", damage: "4096 bytes zeroed") {
                try $0.edit($0.tables[0]) { $0.zero(4096..<8192) }
            },
            DamageCase(subject: "table", damage: "all zeroed") {
                try $0.edit($0.tables[0]) { $0.zero($0.indices) }
            },
            DamageCase(subject: "table", damage: "too long") {
                try $0.edit($0.tables[0]) { $0 += [0, 0, 0] }
            },
            DamageCase(subject: "table", damage: "another table of the store") {
                let tables = try $0.tables
                try $0.write(tables[1], $0.bytes(tables[2]))
            },
            DamageCase(subject: "table", damage: "two exchanged") {
                let tables = try $0.tables
                let (one, other) = (try $0.bytes(tables[1]), try $0.bytes(tables[2]))
                try $0.write(tables[1], other)
                try $0.write(tables[2], one)
            },
            DamageCase(subject: "table", damage: "all missing") {
                for table in try $0.tables { try $0.remove(table) }
            },
            DamageCase(subject: "table", damage: "one more, in no MANIFEST") {
                try $0.write("999999.sst", $0.bytes($0.tables[1]))
            },
            DamageCase(
                subject: "table", damage: "sync fails",
                fault: { _ in Fault(call: .sync, name: ".sst") }),
        ]
        return cases
    }

    private static func wholeFile(_ subject: String, _ pattern: String) -> [DamageCase] {
        func cut(_ damage: String, _ left: @escaping (Int) -> Int) -> DamageCase {
            DamageCase(subject: subject, damage: damage) {
                let name = try $0.file(pattern)
                try $0.edit(name) { $0.removeLast($0.count - left($0.count)) }
            }
        }
        return [
            cut("cut to nothing") { _ in 0 },
            cut("cut to half") { $0 / 2 },
            cut("last 3 bytes missing") { $0 - 3 },
            DamageCase(subject: subject, damage: "missing") {
                try $0.remove($0.file(pattern))
            },
            DamageCase(subject: subject, damage: "a directory in its place") {
                try $0.makeDirectory($0.file(pattern))
            },
            DamageCase(
                subject: subject, damage: "cannot be read",
                fault: { Fault(call: .read, name: try $0.file(pattern)) }),
        ]
    }

    private static func places(
        _ subject: String, _ pattern: String, rounds: Int, using generator: inout SeededGenerator
    ) -> [DamageCase] {
        (0..<2 * rounds).map { _ in
            let place = generator.next()
            let bit = UInt8(1) << UInt8(generator.next() % 8)
            return DamageCase(subject: subject, damage: "one bit") {
                let name = try $0.file(pattern)
                try $0.edit(name) { $0[Int(place % UInt64($0.count))] ^= bit }
            }
        } + [
            DamageCase(subject: subject, damage: "all zeroed") {
                let name = try $0.file(pattern)
                try $0.edit(name) { $0.zero($0.indices) }
            }
        ]
    }
}

extension Array where Element == UInt8 {
    mutating func zero(_ range: Range<Int>) {
        for i in range.clamped(to: indices) { self[i] = 0 }
    }
}
