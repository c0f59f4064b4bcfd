// Built only with the package trait `PlantedBugs`.
#if PlantedBugs

    import Foundation
    import Simulation

    /// Every planted bug, one after the other, over the seeds from the first on until a checker
    /// reports it; then the same seeds without any. A bug that no checker reports is a failure, and
    /// so is a report without a bug.
    final class PlantedRun: @unchecked Sendable {
        private let command: CommandLineOptions
        private let first: UInt64
        private let lock = NSLock()
        // Under the lock.
        private var waiting: [(name: String, breaks: String, isSeenByClientsOnly: Bool)]
        private var outcomes: [Outcome] = []

        struct Outcome {
            var name: String
            var breaks: String
            /// nil: not found.
            var found: PlantedFinding?
            var seconds: Double
        }

        init(_ command: CommandLineOptions) {
            self.command = command
            first = command.seed ?? 1
            waiting = PlantedBugs.all.filter { command.bug == nil || command.bug == $0.name }
        }

        func run() -> Int32 {
            let start = Date()
            let count = waiting.count
            say(
                "planted: commit \(command.commit), \(count) bugs, seeds from \(first), "
                    + "\(command.seedsMax) at most for each")
            inParallel { while self.runNext() {} }
            let found = outcomes.compactMap(\.found)
            // Of a bug that is looked for later, the seed that shows it has been run without it.
            let seeds =
                outcomes.filter { firstSeed(for: $0.name) == first }
                .compactMap(\.found?.seedsTaken).max() ?? 0
            let falseAlarms = seeds == 0 ? [] : runClean(seeds)
            for alarm in falseAlarms { say("FAILED  \(alarm)") }
            let seconds = Int(Date().timeIntervalSince(start))
            say(
                "planted: \(found.count) of \(count) found, the slowest after \(seeds) seeds; "
                    + "without a bug \(falseAlarms.isEmpty ? "all" : "not all") of these seeds are "
                    + "clean; \(seconds) s")
            return found.count == count && falseAlarms.isEmpty ? 0 : 1
        }

        private func inParallel(_ work: @escaping @Sendable () -> Void) {
            let group = DispatchGroup()
            for _ in 0..<(command.jobs ?? ProcessInfo.processInfo.activeProcessorCount) {
                group.enter()
                Thread.detachNewThread {
                    work()
                    group.leave()
                }
            }
            group.wait()
        }

        private func runNext() -> Bool {
            let next = lock.withLock { waiting.isEmpty ? nil : waiting.removeFirst() }
            guard let (name, breaks, isSeenByClientsOnly) = next else { return false }
            let start = Date()
            let found = search(name, byClientsOnly: isSeenByClientsOnly)
            let outcome = Outcome(
                name: name, breaks: breaks, found: found,
                seconds: Date().timeIntervalSince(start))
            lock.withLock { outcomes.append(outcome) }
            say(outcome.line(seedsMax: command.seedsMax))
            return true
        }

        /// Bugs that take many hundreds of seeds are looked for where they are known to show
        /// (docs/planted-bugs.md), and cost the run no minutes.
        private static let laterStarts: [String: UInt64] = ["readsWithoutAsking": 401]

        private func firstSeed(for name: String) -> UInt64 {
            command.seed == nil ? Self.laterStarts[name] ?? first : first
        }

        private func search(_ name: String, byClientsOnly: Bool) -> PlantedFinding? {
            var from = firstSeed(for: name)
            let end = from + UInt64(command.seedsMax)
            while from < end {
                let words = ["--bug", name, "--seed", "\(from)", "--seeds", "\(end - from)"]
                guard let (seed, what) = runSeeds(words) else { return nil }
                let finding = PlantedFinding(seedsTaken: Int(seed - first) + 1, what: what)
                // What is reported without the bug, too, is not how it was found; nor is what it
                // cannot have led to.
                if !byClientsOnly || finding.isOfReads,
                    runSeeds(["--seed", "\(seed)", "--seeds", "1"]) == nil
                {
                    return finding
                }
                say("by chance \(name), seed \(seed): \(what)")
                from = seed + 1
            }
            return nil
        }

        /// - Returns: what went wrong on seeds that a bug was found with, without the bug.
        private func runClean(_ seeds: Int) -> [String] {
            let jobs = command.jobs ?? ProcessInfo.processInfo.activeProcessorCount
            nonisolated(unsafe) var job = 0
            nonisolated(unsafe) var alarms: [String] = []
            inParallel { [self] in
                let mine = lock.withLock {
                    defer { job += 1 }
                    return job
                }
                let count = (seeds - mine + jobs - 1) / jobs
                guard count > 0 else { return }
                let words = [
                    "--seed", "\(first + UInt64(mine))", "--seeds", "\(count)",
                    "--stride", "\(jobs)",
                ]
                if let (seed, what) = runSeeds(words) {
                    lock.withLock { alarms.append("seed \(seed) without a bug: \(what)") }
                }
            }
            return alarms
        }

        /// Runs a worker until its first failure.
        private func runSeeds(_ words: [String]) -> (seed: UInt64, what: String)? {
            var begun: UInt64 = 0
            var failed: (seed: UInt64, what: String)?
            var isUnderWay = false
            var lastWords = LastWords()
            let ending = Child.run(
                ["--worker"] + words, silentSecondsMax: command.silentSecondsMax
            ) { line in
                if line.hasPrefix("begin\t"), let seed = UInt64(line.dropFirst(6)) {
                    (begun, isUnderWay) = (seed, true)
                } else if let run = RunLine(line) {
                    isUnderWay = false
                    if !run.isClean { failed = (run.seed, run.failure) }
                } else {
                    lastWords.heard(line)
                }
            }
            if isUnderWay { return (begun, lastWords.text(ending)) }
            return failed
        }
    }

    extension PlantedRun.Outcome {
        func line(seedsMax: Int) -> String {
            let shown = name.padding(toLength: 34, withPad: " ", startingAt: 0)
            guard let found else {
                return "NOT FOUND \(shown) \(breaks): \(seedsMax) seeds, \(Int(seconds)) s"
            }
            return "found     \(shown) \(breaks): \(found.seedsTaken) "
                + "\(found.seedsTaken == 1 ? "seed" : "seeds"), by \(found.checker), "
                + "\(Int(seconds)) s"
        }
    }

#endif
