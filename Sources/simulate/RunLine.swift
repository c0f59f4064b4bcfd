import Foundation
import Simulation

/// What a child says of one run, as one line, and reads back.
struct RunLine {
    var seed: UInt64
    var isClean: Bool
    var digest: UInt64
    var events: Int
    var virtualTime: UInt64
    var undecided: Int
    var operations: OperationCounts
    var faults: [String: Int]
    var paths: [String: Int]
    var failure: String

    init(_ report: Report) {
        seed = report.options.seed
        isClean = report.isClean
        digest = report.digest
        events = report.events
        virtualTime = report.virtualTime
        undecided = report.undecided.count
        operations = report.operations
        faults = Dictionary(uniqueKeysWithValues: report.faults.map { ($0.key.rawValue, $0.value) })
        paths = Dictionary(uniqueKeysWithValues: report.paths.map { ($0.key.rawValue, $0.value) })
        failure = (report.failures.first ?? "").replacingOccurrences(of: "\n", with: " | ")
    }

    private static func pack(_ counts: [String: Int]) -> String {
        counts.isEmpty
            ? "-"
            : counts.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                .joined(separator: ",")
    }

    private static func unpack(_ text: Substring) -> [String: Int] {
        var counts: [String: Int] = [:]
        if text == "-" { return counts }
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=")
            if pair.count == 2, let count = Int(pair[1]) { counts[String(pair[0])] = count }
        }
        return counts
    }

    var text: String {
        let counts = [operations.invoked, operations.answered, operations.refused]
            .map(String.init).joined(separator: ",")
        return [
            "run", "\(seed)", isClean ? "clean" : "FAILED", String(digest, radix: 16), "\(events)",
            "\(virtualTime)", "\(undecided)", counts, "\(operations.unknown)", Self.pack(faults),
            Self.pack(paths), failure.isEmpty ? "-" : failure,
        ].joined(separator: "\t")
    }

    init?(_ text: String) {
        let parts = text.split(separator: "\t", omittingEmptySubsequences: false)
        guard parts.count == 12, parts[0] == "run", let seed = UInt64(parts[1]),
            let digest = UInt64(parts[3], radix: 16), let events = Int(parts[4]),
            let virtualTime = UInt64(parts[5]), let undecided = Int(parts[6])
        else { return nil }
        self.seed = seed
        isClean = parts[2] == "clean"
        self.digest = digest
        self.events = events
        self.virtualTime = virtualTime
        self.undecided = undecided
        let counts = parts[7].split(separator: ",").compactMap { Int($0) }
        guard counts.count == 3 else { return nil }
        operations = OperationCounts()
        operations.invoked = counts[0]
        operations.answered = counts[1]
        operations.refused = counts[2]
        operations.unknown = Int(parts[8]) ?? 0
        faults = Self.unpack(parts[9])
        paths = Self.unpack(parts[10])
        failure = String(parts[11])
    }
}

/// Seeds in turn, each announced before it runs; ends at the first failure.
func runWorker(_ command: CommandLineOptions) -> Int32 {
    if command.isCommitted { return runCommitted(command) }
    let deadline = command.minutes.map { Date().addingTimeInterval($0 * 60) }
    var seed = command.seed ?? 1
    var left = command.seeds ?? .max
    while left > 0, deadline.map({ Date() < $0 }) ?? true {
        say("begin\t\(seed)")
        command.stumble?.happen()
        let report = Simulation.run(command.simulation(seed: seed))
        say(RunLine(report).text)
        guard writeTraces(of: report, command), report.isClean else { return 1 }
        seed &+= command.stride
        left -= 1
    }
    return 0
}

/// A part of the committed list: every n-th, from `--seed` on, which counts places here.
private func runCommitted(_ command: CommandLineOptions) -> Int32 {
    for (place, seed) in CommittedSeeds.list.enumerated()
    where UInt64(place) % command.stride == command.seed ?? 0 {
        say("begin\t\(seed)")
        let report = Simulation.run(command.simulation(seed: seed))
        say(RunLine(report).text)
        if !report.isClean { return 1 }
    }
    return 0
}

/// One seed here, with its trace: all of it when asked for, else its end when it fails.
func runOne(_ command: CommandLineOptions) -> Int32 {
    var options = command.simulation(seed: command.seed ?? 1)
    command.stumble?.happen()
    options.traceLines = command.tracesText ? 100_000_000 : 60
    let report = Simulation.run(options)
    if command.tracesText || !report.isClean { for line in report.trace { say(line) } }
    for failure in report.failures { say("FAILURE \(failure)") }
    say(RunLine(report).text)
    guard writeTraces(of: report, command) else { return 1 }
    return report.isClean ? 0 : 1
}

func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
