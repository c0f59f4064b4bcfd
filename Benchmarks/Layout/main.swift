import Foundation
import Primitives
import RocksDBEngine
import StorageEngine

// Compares three places for a record's value, on RocksDB as the store opens it. Times are CPU of
// the whole process, RocksDB's background threads included, so that a busy machine does not show.
//
//     swift run -c release layoutbench [RECORDS] [VALUE_BYTES] [DIRECTORY]

let arguments = CommandLine.arguments.dropFirst().map { $0 }
let records = arguments.first.flatMap { Int($0) } ?? 800_000
let valueBytes = arguments.dropFirst().first.flatMap { Int($0) } ?? 1_000
let folder = arguments.dropFirst(2).first ?? NSTemporaryDirectory() + "layoutbench"
let overwrites = records / 4
let putsPerBatch = 100
let largeRecords = 20
let largeRewrites = 400

func cpuSeconds() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
}

/// CPU of the work and of the merging that it leaves behind.
func measured(_ engine: RocksDBEngine, settles: Bool, _ body: () throws -> Void) throws -> Double {
    let start = cpuSeconds()
    try body()
    if settles {
        try engine.flush()
        while engine.isCompacting { Thread.sleep(forTimeInterval: 0.1) }
    }
    return cpuSeconds() - start
}

func row(_ name: String, _ value: String) { print("| \(name) | \(value) |") }
func text(_ value: Double) -> String { String(format: "%.1f", value) }

print("seed 1; \(records) records of \(valueBytes) bytes in random order, \(overwrites) put again")
for layout in Layout.allCases {
    try? FileManager.default.removeItem(atPath: folder)
    try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let engine = try RocksDBEngine.open(directory: folder + "/state")
    let rows = LayoutRows(layout: layout, engine: engine)
    var workload = Workload(seed: 1, valueBytes: valueBytes)
    var revision: UInt64 = 2
    let order = workload.shuffled(records) + workload.shuffled(records).prefix(overwrites)
    print("\n| values in \(layout.rawValue) | |\n|---|---|")

    let drawing = try measured(engine, settles: false) {
        var other = workload
        for _ in order { _ = other.value() }
    }
    let loading = try measured(engine, settles: true) {
        for start in stride(from: 0, to: order.count, by: putsPerBatch) {
            let numbers = order[start..<min(start + putsPerBatch, order.count)]
            // A batch that spans the end of the load may hold a key twice.
            let unique = Set(numbers).count == numbers.count ? [numbers] : numbers.map { [$0][...] }
            for part in unique {
                try rows.put(
                    part.map { (Workload.key($0), workload.value()) }, first: revision)
                revision += UInt64(part.count)
            }
        }
    }
    row("put, µs of CPU", text((loading - drawing) * 1e6 / Double(order.count)))
    let raw = Double(order.count * valueBytes)
    row("bytes on disk / bytes of values", text(Double(engine.diskBytes) / raw * 100) + " %")

    let view = try engine.makeReadView()
    let scans = 2_000
    let scanning = try measured(engine, settles: false) {
        for _ in 0..<scans {
            _ = try rows.scan(
                from: Workload.key(workload.pick(records - 100)), limit: 100, view)
        }
    }
    row("scan of 100 keys, µs", text(scanning * 1e6 / Double(scans)))
    let counting = try measured(engine, settles: false) {
        let count = try rows.count(view)
        precondition(count == records, "counted \(count) of \(records)")
    }
    row("count, µs for each key", String(format: "%.3f", counting * 1e6 / Double(records)))
    var events = 0
    let catching = try measured(engine, settles: false) { events = try rows.catchUp(view).events }
    row("catch-up of \(events) events, s", text(catching))

    var large = Workload(seed: 2, valueBytes: 1 << 20)
    let values = (0..<4).map { _ in large.value() }
    let rewriting = try measured(engine, settles: true) {
        for number in 0..<largeRewrites {
            let key = Bytes("Binary/\(number % largeRecords)".utf8)
            try rows.put([(key, values[number % values.count])], first: revision)
            revision += 1
        }
    }
    row(
        "put of 1 MiB over 1 MiB, ms",
        String(format: "%.2f", rewriting * 1e3 / Double(largeRewrites)))
    try engine.close()
}
