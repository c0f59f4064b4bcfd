import Simulation

/// What all runs came to.
struct Totals {
    private var runs = 0
    private var events = 0
    private var virtualTime: UInt64 = 0
    private var operations = 0
    private var undecided = 0
    private var faults: [String: Int] = [:]
    private var paths: [String: Int] = [:]

    mutating func add(_ run: RunLine) {
        runs += 1
        events += run.events
        virtualTime += run.virtualTime
        operations += run.operations.invoked
        undecided += run.undecided
        faults.merge(run.faults, uniquingKeysWith: +)
        paths.merge(run.paths, uniquingKeysWith: +)
    }

    func line(seconds: Double, failures: Int) -> String {
        let hours = Double(virtualTime) / 3_600_000_000
        let perMinute = Int(Double(events) / max(seconds, 0.001) * 60)
        func list(_ counts: [String: Int]) -> String {
            counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(
                separator: ", ")
        }
        let missing = RarePath.allCases.map(\.rawValue).filter { paths[$0] == nil }
        return """
            totals: \(runs) runs, \(failures) failed, \((hours * 1000).rounded() / 1000) virtual \
            hours, \(events) events, \(perMinute) events per minute, \(operations) operations, \
            \(undecided) undecided histories; faults: \(list(faults)); paths: \(list(paths)); \
            never reached: \(missing.isEmpty ? "none" : missing.joined(separator: ", "))
            """
    }
}
