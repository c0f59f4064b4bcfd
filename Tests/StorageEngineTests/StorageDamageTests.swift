import Foundation
import Testing

/// What becomes of damaged RocksDB directories is what docs/formats/storage-damage.md says: the set
/// of outcomes of each damage, not how often each comes.
@Suite struct StorageDamageTests {
    private static let corpus = "storage-damage --seed 1 --rounds 4"

    @Test func damageHasTheDocumentedOutcomes() throws {
        let documented = try rows(of: page)
        #expect(documented.count > 70)
        let found = rows(of: try output(of: Self.corpus))
        let names = Set(documented.keys).union(found.keys).sorted()
        for name in names {
            #expect(
                found[name] == documented[name],
                "\(name), from \(Self.corpus); with --reports it says what was met")
        }
    }

    /// What the node relies on: nothing that damage can do ends the process, and no state that is
    /// not one of the past is taken for sound.
    @Test func nothingDocumentedIsWorseThanAnOlderState() throws {
        let outcomes = try rows(of: page).values.reduce(Set()) { $0.union($1) }
        let silent = outcomes.filter { $0.contains("silent") || $0.contains("ended") }
        #expect(silent == ["**silent: older state**"])
    }

    private var page: String {
        get throws {
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
            let path = root.appendingPathComponent("docs/formats/storage-damage.md")
            return try String(contentsOf: path, encoding: .utf8)
        }
    }

    /// The outcomes of each row of the table, by its file and its damage.
    private func rows(of text: String) -> [String: Set<String>] {
        var rows: [String: Set<String>] = [:]
        for line in text.split(separator: "\n") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard line.hasPrefix("|"), cells.count == 4, Int(cells[2]) != nil else { continue }
            let outcomes = cells[3].split(separator: ";").map {
                $0.replacing(#/\(\d+\)/#, with: "").trimmingCharacters(in: .whitespaces)
            }
            rows["\(cells[0]), \(cells[1])"] = Set(outcomes)
        }
        return rows
    }

    /// Of an executable that is built beside the tests.
    private func output(of command: String) throws -> String {
        let words = command.split(separator: " ").map(String.init)
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let process = Process()
        process.executableURL = tests.deletingLastPathComponent().appendingPathComponent(words[0])
        process.arguments = Array(words.dropFirst())
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return String(decoding: data, as: UTF8.self)
    }
}
