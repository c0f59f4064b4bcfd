import Foundation
import Synchronization

/// Makes the corpus, damages a copy of it for each case, probes the copies in another process, and
/// tells what became of them.
struct DamageRun {
    var seed: UInt64
    var rounds: Int

    struct Result {
        var damaged: DamageCase
        var outcomes: Set<Outcome>
        var report: [String]
    }

    func results() throws -> [Result] {
        let root = NSTemporaryDirectory() + "storage-damage-" + UUID().uuidString
        let files = FileManager.default
        try files.createDirectory(atPath: root, withIntermediateDirectories: false)
        defer { try? files.removeItem(atPath: root) }
        let corpus = try CorpusDirectories(in: root)
        let cases = try DamageCase.all(seed: seed, rounds: rounds, corpus: corpus)
        var orders: [Order] = []
        for (number, damaged) in cases.enumerated() {
            let directory = Directory(path: root + "/case-\(number)")
            try files.copyItem(atPath: corpus.path(damaged.base), toPath: directory.path)
            try damaged.change(directory)
            orders.append(
                Order(
                    number: number, directory: directory.path, fault: try damaged.fault(directory)))
        }
        let reports = try probeInParallel(orders)
        return cases.enumerated().map { number, damaged in
            let report = reports[number] ?? []
            return Result(
                damaged: damaged,
                outcomes: Outcome.outcomes(of: report, states: damaged.base.states),
                report: report)
        }
    }

    /// Many at a time: a failed merge of tables makes RocksDB wait for a second.
    private func probeInParallel(_ orders: [Order]) throws -> [Int: [String]] {
        let hands = 24
        let reports = Reports()
        let group = DispatchGroup()
        for hand in 0..<hands {
            let share = stride(from: hand, to: orders.count, by: hands).map { orders[$0] }
            group.enter()
            Thread {
                let report = Swift.Result { try probe(share[...]) }
                reports.all.withLock { $0.append(report) }
                group.leave()
            }.start()
        }
        group.wait()
        return try reports.all.withLock { $0 }.reduce(into: [:]) { all, report in
            try all.merge(report.get()) { one, _ in one }
        }
    }

    /// One process takes all the orders; when it ends early, another one takes what is left.
    private func probe(_ orders: ArraySlice<Order>) throws -> [Int: [String]] {
        var reports: [Int: [String]] = [:]
        var left = orders
        while !left.isEmpty {
            let (lines, ended) = try probeOnce(left)
            var number: Int?
            for line in lines {
                if line.hasPrefix("case ") { number = Int(line.dropFirst(5)) }
                if let number { reports[number, default: []].append(line) }
            }
            guard let last = number else { throw ProbeDoesNotRun(how: ended) }
            if reports[last]?.last != "end" {
                reports[last, default: []].append("ended \(ended)")
            }
            left = left.drop { $0.number <= last }
        }
        return reports
    }

    private func probeOnce(_ orders: ArraySlice<Order>) throws -> ([String], String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["probe"]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let text = orders.map { $0.line + "\n" }.joined()
        // The orders may be more than a pipe holds: they are written while the reports are read.
        let writer = Thread {
            try? input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
            try? input.fileHandleForWriting.close()
        }
        writer.start()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let how =
            process.terminationReason == .uncaughtSignal
            ? "signal \(process.terminationStatus)" : "status \(process.terminationStatus)"
        return (String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init), how)
    }
}

private final class Reports: Sendable {
    let all = Mutex<[Swift.Result<[Int: [String]], any Error>]>([])
}

struct ProbeDoesNotRun: Error {
    var how: String
}

extension CorpusDirectories {
    func path(_ base: DamageCase.Base) -> String {
        switch base {
        case .closed: closed
        case .crashed: crashed
        case .longManifest: longManifest
        }
    }
}

extension DamageCase.Base {
    /// The contents after each flush; the last is what the store should hold.
    var states: [String] {
        switch self {
        case .closed: Corpus.states
        case .crashed: Corpus.states.dropLast()
        case .longManifest: Corpus.partStates
        }
    }
}
