import Simulation
import Testing

/// Traces for etcd-io/raft's trace validation: what `docs/formats/trace.md` promises of them.
@Suite struct TraceTests {
    static let seeds: [UInt64] = [1, 2, 3, 4, 5, 6]

    static func run(_ seed: UInt64) -> Report {
        Simulation.run(
            SimulationOptions(
                seed: seed, cycles: 1, eventsMax: 12_000, isCutOff: true, isTraced: true))
    }

    static let reports = seeds.map { (seed: $0, report: run($0)) }

    @Test("Every line keeps to the schema, and follows from the lines before it", arguments: seeds)
    func linesAreOfTheModel(seed: UInt64) throws {
        print("seed \(seed)")
        let schema = try TraceSchema()
        let report = Self.reports.first { $0.seed == seed }!.report
        #expect(report.failures == [])
        #expect(report.groupTraces.count == 3)
        for trace in report.groupTraces {
            for line in trace.lines { try schema.check(line) }
            try TraceModel.follow(TraceLine.read(trace.lines))
            #expect(trace.text.split(separator: "\n").count == trace.lines.count)
        }
    }

    @Test func theSeedsReachEveryEvent() throws {
        var seen: Set<String> = []
        var restarts = 0
        for (seed, report) in Self.reports {
            print("seed \(seed)")
            for trace in report.groupTraces {
                let lines = try TraceLine.read(trace.lines)
                for line in lines { seen.insert(line.event.name) }
                restarts +=
                    lines.count { $0.event.name == "InitState" }
                    - lines[0].event.conf[0].count
            }
        }
        let all = Set(try TraceSchema().events.keys)
        #expect(seen == all)
        #expect(restarts > 0)
    }

    @Test func theSameSeedGivesTheSameTrace() {
        let first = Self.reports[2].report.groupTraces.map(\.text)
        #expect(first == Self.run(3).groupTraces.map(\.text))
        #expect(first[0].count > 100_000)
    }

    @Test func anUntracedRunHasNoTrace() {
        let report = Simulation.run(
            SimulationOptions(seed: 1, cycles: 1, eventsMax: 2_000, isCutOff: true))
        #expect(report.groupTraces.isEmpty)
    }

    @Test func aTracedRunKeepsToTheFaultsThatCanBeSaid() {
        let sayable: Set<FaultClass> = [
            .loss, .delay, .reordering, .partition, .oneWay, .partialPartition, .kill, .power,
            .pause, .slowDisk, .skew, .clockJump, .drift,
        ]
        for (seed, report) in Self.reports {
            #expect(Set(report.faults.keys).isSubset(of: sayable), "seed \(seed)")
            #expect(report.paths[.snapshotInstalled] == nil && report.paths[.hibernated] == nil)
        }
    }
}
