import Foundation
import Simulation

/// Many seeds, in child processes that share nothing, one for each core.
final class Batch: @unchecked Sendable {
    private let command: CommandLineOptions
    private let first: UInt64
    private let lock = NSLock()
    // Under the lock.
    private var totals = Totals()
    private var failures: [Failure] = []
    /// A child ended before its last seed, and no run had failed.
    private var isBroken = false
    private var children: [Process] = []

    struct Failure {
        var seed: UInt64
        var what: String
    }

    init(_ command: CommandLineOptions) {
        self.command = command
        // A fresh batch takes its seeds from the clock; they are printed.
        first =
            command.isCommitted ? 0 : command.seed ?? UInt64(Date().timeIntervalSince1970 * 1000)
    }

    func run() -> Int32 {
        let start = Date()
        let seeds = seedCount
        let cores = command.jobs ?? ProcessInfo.processInfo.activeProcessorCount
        let jobs = min(cores, seeds ?? .max)
        say(
            "simulate: commit \(command.commit), first seed \(first), "
                + "seeds \(seeds.map(String.init) ?? "until the time is up"), jobs \(jobs), "
                + "options: \(command.arguments(seed: first).joined(separator: " "))")
        let group = DispatchGroup()
        for job in 0..<jobs {
            group.enter()
            Thread.detachNewThread { [self] in
                work(job, of: jobs, seeds: seeds)
                group.leave()
            }
        }
        group.wait()
        for failure in failures { explain(failure) }
        say(totals.line(seconds: Date().timeIntervalSince(start), failures: failures.count))
        let missing = command.isCommitted ? totals.missing(but: CommittedSeeds.unreached) : []
        if failures.isEmpty && !missing.isEmpty {
            say("FAILED: the committed seeds do not reach \(missing.joined(separator: ", "))")
        }
        return failures.isEmpty && missing.isEmpty && !isBroken ? 0 : 1
    }

    /// nil: as many as there is time for.
    private var seedCount: Int? {
        if command.isCommitted { return CommittedSeeds.list.count }
        if command.minutes != nil { return command.seeds }
        return command.seeds ?? (command.seed == nil ? 16 : 1)
    }

    private func work(_ job: Int, of jobs: Int, seeds: Int?) {
        var words = ["--worker"] + command.arguments(seed: first &+ UInt64(job))
        words += ["--stride", "\(jobs)"]
        if command.isCommitted {
            words.append("--committed")
        } else if let seeds {
            words += ["--seeds", "\((seeds - job + jobs - 1) / jobs)"]
        }
        if let minutes = command.minutes { words += ["--minutes", "\(minutes)"] }
        var begun: UInt64?
        var hasReported = true
        var lastWords = LastWords()
        let ending = Child.run(
            words, silentSecondsMax: command.silentSecondsMax,
            started: { child in self.adopt(child) }
        ) { line in
            if line.hasPrefix("begin\t"), let seed = UInt64(line.dropFirst(6)) {
                begun = seed
                hasReported = false
                self.announce(seed)
                return
            }
            guard let run = RunLine(line) else {
                lastWords.heard(line)
                say(line)
                return
            }
            hasReported = true
            self.record(run)
        }
        guard ending != .exited(0), !isStopping else { return }
        if !hasReported, let begun {
            fail(Failure(seed: begun, what: lastWords.text(ending)))
        } else {
            lock.withLock { isBroken = true }
            say("FAILED: before its last seed, \(lastWords.text(ending))")
        }
    }

    private func adopt(_ child: Process) {
        lock.withLock { children.append(child) }
    }

    private var isStopping: Bool { lock.withLock { !failures.isEmpty } }

    private func record(_ run: RunLine) {
        lock.withLock { totals.add(run) }
        let undecided = run.undecided > 0 ? ", \(run.undecided) undecided histories" : ""
        say(
            "seed \(run.seed): \(run.isClean ? "clean" : "FAILED"), "
                + "digest \(String(run.digest, radix: 16)), \(run.events) events, "
                + "\(run.virtualTime / 1_000_000) s, \(run.operations.invoked) operations"
                + undecided)
        if !run.isClean { fail(Failure(seed: run.seed, what: run.failure)) }
    }

    /// Before it runs: whatever becomes of the process, the run can be repeated.
    private func announce(_ seed: UInt64) {
        let options = command.arguments(seed: seed).dropFirst(2).joined(separator: " ")
        say(
            "seed \(seed) commit \(command.commit) options "
                + "\(options.isEmpty ? "by default" : options)")
    }

    /// The first failure ends the batch: what is wrong once is looked into before it is found again.
    private func fail(_ failure: Failure) {
        let others = lock.withLock {
            failures.append(failure)
            return children
        }
        for child in others where child.isRunning { child.terminate() }
    }

    private func explain(_ failure: Failure) {
        say("FAILED: seed \(failure.seed): \(failure.what)")
        say(
            "reproduce: Cluster/run simulate \(command.arguments(seed: failure.seed).joined(separator: " "))"
        )
        // Each attempt at less of a run that does not end would take as long as this one.
        if failure.what == LastWords().text(.silent) { return }
        let smaller = Minimiser(command, seed: failure.seed).run()
        let words = command.arguments(
            seed: failure.seed, faults: smaller.faults, steps: smaller.steps)
        say("minimised: Cluster/run simulate \(words.joined(separator: " "))")
        say("the end of the minimised run:")
        _ = Child.run(["--one"] + words) { line in
            if !line.hasPrefix("run\t") { say("  \(line)") }
        }
    }
}
