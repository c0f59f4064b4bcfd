import Glibc
import Synchronization

/// A number that only rises. Any thread.
final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    func add(_ amount: Int = 1) { count.wrappingAdd(amount, ordering: .relaxed) }
    var value: Int { count.load(ordering: .relaxed) }
}

/// A number as it is now. Any thread.
final class Gauge: Sendable {
    private let now = Atomic<Int>(0)
    func set(_ value: Int) { now.store(value, ordering: .relaxed) }
    var value: Int { now.load(ordering: .relaxed) }
}

/// Observations in buckets whose bounds double, as etcd's histograms of seconds have them. Any
/// thread.
final class Histogram: Sendable {
    /// Upper bounds in seconds: 0.125 ms doubled up to about 8 s.
    static let bounds: [Double] = (0..<17).map { 0.000125 * Double(1 << $0) }
    private struct State {
        var buckets = [Int](repeating: 0, count: Histogram.bounds.count + 1)
        var sum = 0.0
        var count = 0
    }
    private let state = Mutex(State())

    func observe(nanoseconds: UInt64) {
        let seconds = Double(nanoseconds) / 1e9
        let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
        state.withLock { state in
            state.buckets[bucket] += 1
            state.sum += seconds
            state.count += 1
        }
    }

    /// Prometheus text exposition format 0.0.4.
    func write(name: String, help: String, into text: inout String) {
        let state = state.withLock { $0 }
        text += "# HELP \(name) \(help)\n# TYPE \(name) histogram\n"
        var cumulative = 0
        for (index, bound) in Self.bounds.enumerated() {
            cumulative += state.buckets[index]
            text += "\(name)_bucket{le=\"\(bound)\"} \(cumulative)\n"
        }
        text += "\(name)_bucket{le=\"+Inf\"} \(state.count)\n"
        text += "\(name)_sum \(state.sum)\n\(name)_count \(state.count)\n"
    }
}

/// What a node counts. Names at `/metrics` are etcd's where the meaning is the same.
final class NodeMetrics: Sendable {
    let proposalsFailed = Counter()
    let leaderChanges = Counter()
    let heartbeatDelays = Counter()
    let peerSentBytes = Counter()
    let peerReceivedBytes = Counter()
    let peerFramesDropped = Counter()
    let contractBreaches = Counter()
    let readIndexesServed = Counter()
    let logSync = Histogram()
    let engineCommit = Histogram()
    let clientGRPCReceived = Counter()
    let rowsRemoved = Counter()
    // Set by the consensus thread at the end of each turn.
    let groups = Gauge()
    let groupsAsleep = Gauge()
    let groupsLed = Gauge()
    let groupTicks = Gauge()
    let groupWakes = Gauge()
    let peerBatches = Gauge()
    let raftMessages = Gauge()

    init() {}
}

/// Lines of one metric that is read when asked for.
struct MetricLine {
    var name: String
    var help: String
    var type: String
    /// Labels as they stand between braces, without them; empty for none.
    var samples: [(labels: String, value: String)]

    func write(into text: inout String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        for sample in samples {
            let labels = sample.labels.isEmpty ? "" : "{\(sample.labels)}"
            text += "\(name)\(labels) \(sample.value)\n"
        }
    }
}

/// What the kernel says of this process: the standard process metrics of Prometheus clients.
enum ProcessStatistics {
    static func lines() -> [MetricLine] {
        var lines: [MetricLine] = []
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let cpu =
            Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        lines.append(
            MetricLine(
                name: "process_cpu_seconds_total", help: "User and system CPU time in seconds.",
                type: "counter", samples: [("", "\(cpu)")]))
        if let pages = residentPages() {
            lines.append(
                MetricLine(
                    name: "process_resident_memory_bytes", help: "Resident memory in bytes.",
                    type: "gauge", samples: [("", "\(pages * Int(sysconf(Int32(_SC_PAGESIZE))))")]
                ))
        }
        return lines
    }

    private static func residentPages() -> Int? {
        guard let file = fopen("/proc/self/statm", "r") else { return nil }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 128)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else { return nil }
        let text = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
        let fields = text.split(separator: " ")
        return fields.count > 1 ? Int(fields[1]) : nil
    }
}
