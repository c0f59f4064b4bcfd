import Foundation
import Testing

/// What a manifest cannot state. Each finding names the place and what to use in its place.
@Suite struct HygieneTests {
    let repository = Repository()

    @Test func everyTargetStandsInARing() throws {
        let targets = try repository.targets()
        #expect(targets.count > 10, "the sources are not where they should be")
        for target in targets {
            #expect(Rings.all.contains(target), "\(target): give it a ring in Rings.swift")
        }
    }

    @Test func importsGoDownwardsOnly() throws {
        var files = 0
        for target in try repository.targets() {
            for file in try repository.swiftFiles(ofTarget: target) {
                files += 1
                report(Rules.imports(of: file.path, in: target, file.text))
            }
        }
        #expect(files > 50)
    }

    @Test func thePureRingIsPure() throws {
        for target in Rings.pure.keys.sorted() {
            let files = try repository.swiftFiles(ofTarget: target)
            #expect(!files.isEmpty, "\(target) has no sources")
            for file in files { report(Rules.purity(of: file.path, file.text)) }
        }
    }

    @Test func nothingIsLeftOver() throws {
        let files = try everything()
        #expect(files.count > 100)
        for file in files {
            report(Rules.leftovers(of: file.path, file.text))
            let name = file.path.split(separator: "/").last
            #expect(name != "Empty.swift", "\(file.path): a target without sources has no place")
        }
    }

    @Test func noPathOfSomebodysMachineIsCommitted() throws {
        let own = repository.root.deletingLastPathComponent().path()
        var places = ["/home/", "/Users/", "/root/"]
        let everybodys: Set = ["/", "/tmp/", "/var/tmp/", "/usr/src/", "/opt/", "/srv/"]
        if !everybodys.contains(own) { places.append(own) }
        for file in try everything() where !file.path.hasPrefix("Tests/HygieneTests/") {
            let temporary = file.path.hasPrefix("Sources/") ? ["/tmp/"] : []
            report(
                Rules.absolutePaths(of: file.path, file.text, places: places + temporary))
        }
    }

    private func everything() throws -> [Repository.File] {
        let extensions: Set = ["swift", "md", "sh", "py", "h", "c", "cc", "proto", "json", "yml"]
        return try ["Sources", "Tests", "Cluster", "Benchmarks", "docs"].flatMap {
            try repository.files(below: $0, extensions: extensions)
        }
    }

    private func report(_ findings: [Finding]) {
        for finding in findings { Issue.record("\(finding.description)") }
    }
}

/// The rules must bite: each is shown an offence and something close to it that is allowed.
@Suite struct RuleTests {
    @Test(arguments: [
        ("Consensus", "import Foundation", false),
        ("Consensus", "@preconcurrency import struct Foundation.Data", false),
        ("Consensus", "package import NIOCore", false),
        ("Consensus", "import ReplicatedLog", false),
        ("Consensus", "import Primitives", true),
        ("Consensus", "import Synchronization", true),
        ("Consensus", "// import Foundation", true),
        ("Consensus", "let text = \"\"\"\nimport Foundation\n\"\"\"", true),
        ("RecordModel", "import RecordStore", false),
        ("RecordStore", "import RecordModel", true),
        ("RPC", "import WireProtocol", false),
        ("RPC", "import RecordModel", false),
        ("RPC", "import NIOCore", true),
        ("NodeRuntime", "import CRocksDB", false),
        ("RocksDBEngine", "import CRocksDB", true),
        ("RocksDBEngine", "import COpenSSL", false),
        ("SnapshotArchive", "import COpenSSL", true),
        ("SnapshotArchive", "import CZstd", true),
        ("spinectl", "import CZstd", false),
        ("NodeRuntime", "import FHIRServer", false),
        ("NodeRuntime", "import RocksDBEngine", true),
        ("spined", "import NodeRuntime", true),
        ("FHIRServer", "import spined", false),
    ])
    func importRule(target: String, text: String, allowed: Bool) {
        #expect(Rules.imports(of: "File.swift", in: target, text).isEmpty == allowed)
    }

    @Test(arguments: [
        ("let now = Date()", false),
        ("let updated: Date", false),
        ("let lastUpdate = 1", true),
        ("func dateOf() {}", true),
        ("let x = Int.random(in: 0...9)", false),
        ("let x = Int.random(in: 0...9, using: &generator)", true),
        ("let x = Int.random(\n    in: (1 + 2)...9,\n    using: &generator)", true),
        ("let x = list.shuffled()", false),
        ("let x = list.randomElement()", false),
        ("var generator = SystemRandomNumberGenerator()", false),
        ("var generator = SeededGenerator(seed: 1)", true),
        ("func load() async {}", false),
        ("let value = await load()", false),
        ("final class A: @unchecked Sendable {}", false),
        ("let a = try! load()", false),
        ("let a = try load()", true),
        ("print(a)", false),
        ("let fingerprint = 1", true),
        ("/* await /* nested */ Date() */ let a = 1", true),
        ("let a = \"await Date() \\\" print\"", true),
    ])
    func purityRule(text: String, allowed: Bool) {
        #expect(Rules.purity(of: "File.swift", text).isEmpty == allowed)
    }

    @Test func aFindingSaysWhereAndWhatInstead() {
        let findings = Rules.purity(of: "A.swift", "let a = 1\n\nlet b = Date()\n")
        #expect(
            findings.map(\.description)
                == ["A.swift:3: Date: use HybridTimestamp, given as an argument"])
        for ban in Ban.pure + Ban.leftovers { #expect(!ban.instead.isEmpty) }
    }

    @Test func leftoverRule() {
        for ban in Ban.leftovers {
            #expect(!Rules.leftovers(of: "A.md", "a\n// \(ban.word): later").isEmpty)
            #expect(Rules.leftovers(of: "A.md", "a\nx\(ban.word)x").isEmpty)
        }
    }

    @Test func pathRule() {
        let places = ["/home/"]
        #expect(!Rules.absolutePaths(of: "A.md", "cd /home/me/x", places: places).isEmpty)
        #expect(Rules.absolutePaths(of: "A.md", "cd Sources/home", places: places).isEmpty)
    }
}
