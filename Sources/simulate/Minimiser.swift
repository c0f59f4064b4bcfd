import Foundation
import Simulation

/// A failing run made smaller: fault classes are taken away one by one as long as it still fails, and
/// then it is cut off behind the event at which it does.
struct Minimiser {
    let command: CommandLineOptions
    let seed: UInt64
    /// Attempts at most: each is a run.
    private static let attemptsMax = 60
    private static let secondsMax = 120.0

    init(_ command: CommandLineOptions, seed: UInt64) {
        self.command = command
        self.seed = seed
    }

    func run() -> (faults: FaultSet, steps: Int?) {
        var faults = command.faults
        guard let whole = failure(faults, steps: command.steps) else {
            return (faults, command.steps)
        }
        var steps = whole.event
        let deadline = Date().addingTimeInterval(Self.secondsMax)
        var attempts = 0
        for fault in faults.classes where attempts < Self.attemptsMax && Date() < deadline {
            var fewer = faults
            fewer.remove(fault)
            attempts += 1
            if let found = failure(fewer, steps: command.steps), found.kind == whole.kind {
                faults = fewer
                steps = found.event
            }
        }
        // A crash has no event; its run ends by itself.
        return (faults, steps > 0 ? steps : command.steps)
    }

    private struct Failure {
        /// 0 when the process ends before it can tell.
        var event: Int
        /// What failed, without the numbers.
        var kind: String
    }

    /// nil when the run is clean.
    private func failure(_ faults: FaultSet, steps: Int?) -> Failure? {
        var words = ["--worker", "--seeds", "1"]
        words += command.arguments(seed: seed, faults: faults, steps: steps)
        var found: RunLine?
        var crash = LastWords()
        let ending = Child.run(words) { line in
            if let run = RunLine(line) { found = run } else { crash.heard(line) }
        }
        guard let found else { return Failure(event: 0, kind: Self.kind(crash.text(ending))) }
        return found.isClean ? nil : Failure(event: found.events, kind: Self.kind(found.failure))
    }

    /// The words of a failure until its details begin.
    private static func kind(_ failure: String) -> String {
        let words = failure.split(separator: " ").filter { word in
            !word.contains(where: \.isNumber) && word.allSatisfy { $0.isASCII }
        }
        return words.prefix(6).joined(separator: " ")
    }
}
