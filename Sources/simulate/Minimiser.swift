import Foundation
import Simulation

/// A failing run made smaller: fault classes are taken away one by one as long as it still fails, and
/// then it is cut off behind the event at which it does.
struct Minimiser {
    let command: CommandLineOptions
    let seed: UInt64
    /// Attempts at most: each is a run.
    private static let attemptsMax = 60

    init(_ command: CommandLineOptions, seed: UInt64) {
        self.command = command
        self.seed = seed
    }

    func run() -> (faults: FaultSet, steps: Int?) {
        var faults = command.faults
        guard var steps = failingEvent(faults, steps: command.steps) else {
            return (faults, command.steps)
        }
        var attempts = 0
        for fault in faults.classes where attempts < Self.attemptsMax {
            var fewer = faults
            fewer.remove(fault)
            attempts += 1
            if let found = failingEvent(fewer, steps: command.steps) {
                faults = fewer
                steps = found
            }
        }
        // A crash has no event; its run ends by itself.
        return (faults, steps > 0 ? steps : command.steps)
    }

    /// The event at which the run fails; 0 when the process ends before it can tell; nil when it
    /// does not fail.
    private func failingEvent(_ faults: FaultSet, steps: Int?) -> Int? {
        var words = ["--worker", "--seeds", "1"]
        words += command.arguments(seed: seed, faults: faults, steps: steps)
        var found: RunLine?
        _ = Child.run(words, started: { _ in }) { line in
            if let run = RunLine(line) { found = run }
        }
        guard let found else { return 0 }
        return found.isClean ? nil : found.events
    }
}
