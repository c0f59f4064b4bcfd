import Simulation

/// What `simulate` was asked to do.
struct CommandLineOptions {
    enum Mode {
        case help
        /// Seeds over all cores, in child processes.
        case batch
        /// A child of a batch: seeds in turn, one line each.
        case worker
        /// One seed in this process, with its trace.
        case one
        #if PlantedBugs
            /// Each planted bug until it is found.
            case planted
        #endif
        /// The recovery matrix instead of seeds.
        case matrix
    }

    struct Mistake: Error, CustomStringConvertible {
        var description: String
    }

    static let usage = """
        usage: simulate [--seeds N] [--seed S] [--faults LIST] [--minutes M] [--jobs J]
                        [--cycles N] [--steps N] [--trace-text] [--trace DIR] [--committed]
                        [--run-seconds N] [--commit TEXT]
               simulate --matrix [--seeds N] [--only TEXT] [--jobs J] [--trace-text]

          --matrix        the recovery matrix (--seeds: N of its cells; --only: cells that say TEXT);
                          with --trace-text the first failure in full
          --seeds N       how many seeds, counted from the first; default 16
          --seed S        the first seed; alone, that seed only; default: drawn
          --faults LIST   `all` (the default), `none`, a list of classes, or `all-CLASS-CLASS`
          --minutes M     go on with new seeds for M minutes; may be a fraction
          --jobs J        child processes at once; default: the number of cores
          --cycles N      times that each run hurts and heals the cluster; default 3
          --steps N       events of a run at most
          --trace-text    print every event of the run (with one seed)
          --trace DIR     keep to what etcd-io/raft's TLA+ specification models, and write
                          DIR/SEED-group-N.ndjson for each group (docs/formats/trace.md)
          --committed     the committed list of seeds; a rare path that it does not reach is a failure
          --run-seconds N a run that takes longer does not end; default \(Int(Child.silentSecondsMax))
          --commit TEXT   printed with each run, so that it can be repeated
        \(plantedUsage)

          Fault classes: \(FaultClass.allCases.map(\.rawValue).joined(separator: " "))
        """

    #if PlantedBugs
        static let plantedUsage = """
              --planted       run each planted bug from seed 1 on until a checker reports it, and the
                              same seeds without one
              --seeds-max N   with --planted: seeds at most for each; default \(seedsMaxDefault)
              --bug NAME      with this planted bug; with --planted that one only

            """
        /// A bug that takes more is not found.
        static let seedsMaxDefault = 300
        var seedsMax = CommandLineOptions.seedsMaxDefault
        var bug: String?
    #else
        static let plantedUsage = ""
    #endif

    var mode = Mode.batch
    var seeds: Int?
    var seed: UInt64?
    var faults = FaultSet.all
    var minutes: Double?
    var jobs: Int?
    var cycles = 3
    /// Cells of the matrix that say this.
    var only = ""
    var steps: Int?
    var tracesText = false
    /// Where the groups' traces go.
    var traceDirectory: String?
    /// The committed list, with its paths demanded.
    var isCommitted = false
    var commit = "unknown"
    var sabotage: Sabotage?
    var stumble: Stumble?
    var silentSecondsMax = Child.silentSecondsMax
    /// A worker takes every n-th seed.
    var stride: UInt64 = 1

    init(_ arguments: [String]) throws(Mistake) {
        var rest = arguments[...]
        while let option = rest.popFirst() {
            switch option {
            case "--help", "-h": mode = .help
            case "--worker": mode = .worker
            case "--one": mode = .one
            case "--matrix": mode = .matrix
            case "--trace-text": tracesText = true
            case "--committed": isCommitted = true
            case "--only": only = try Self.value(&rest, option)
            case "--seeds": seeds = try Self.number(&rest, option)
            case "--seed": seed = try Self.number(&rest, option)
            case "--jobs": jobs = try Self.number(&rest, option)
            case "--cycles": cycles = try Self.number(&rest, option)
            case "--steps": steps = try Self.number(&rest, option)
            case "--stride": stride = try Self.number(&rest, option)
            case "--trace": traceDirectory = try Self.value(&rest, option)
            case "--commit": commit = try Self.value(&rest, option)
            case "--minutes":
                let text = try Self.value(&rest, option)
                guard let value = Double(text), value > 0 else {
                    throw Mistake(description: "\(option) \(text) is no number of minutes")
                }
                minutes = value
            case "--faults":
                let text = try Self.value(&rest, option)
                guard let value = FaultSet(text) else {
                    throw Mistake(description: "\(option) \(text) names a class that is not known")
                }
                faults = value
            #if PlantedBugs
                case "--planted": mode = .planted
                case "--seeds-max": seedsMax = try Self.number(&rest, option)
                case "--bug":
                    let name = try Self.value(&rest, option)
                    guard PlantedBugs.all.contains(where: { $0.name == name }) else {
                        throw Mistake(description: "\(option) \(name) is not planted")
                    }
                    bug = name
            #endif
            case "--sabotage":
                let text = try Self.value(&rest, option)
                sabotage = Sabotage(rawValue: text)
                stumble = Stumble(rawValue: text)
                guard sabotage != nil || stumble != nil else {
                    throw Mistake(description: "\(option) \(text) is not known")
                }
            case "--run-seconds":
                silentSecondsMax = Double(try Self.number(&rest, option) as Int)
            default: throw Mistake(description: "unknown option '\(option)'")
            }
        }
        if tracesText, mode == .batch {
            guard seeds ?? 1 == 1, minutes == nil, !isCommitted else {
                throw Mistake(description: "--trace-text prints one seed")
            }
            mode = .one
        }
        if isCommitted, mode == .batch, seed != nil || seeds != nil || minutes != nil {
            throw Mistake(description: "--committed has its own list of seeds")
        }
        guard cycles > 0, stride > 0, seeds.map({ $0 > 0 }) ?? true, jobs.map({ $0 > 0 }) ?? true,
            steps.map({ $0 > 0 }) ?? true
        else { throw Mistake(description: "numbers are above zero") }
    }

    private static func value(
        _ rest: inout ArraySlice<String>, _ option: String
    ) throws(Mistake) -> String {
        guard let value = rest.popFirst() else {
            throw Mistake(description: "\(option) needs a value")
        }
        return value
    }

    private static func number<T: FixedWidthInteger>(
        _ rest: inout ArraySlice<String>, _ option: String
    ) throws(Mistake) -> T {
        let text = try value(&rest, option)
        guard let number = T(text) else {
            throw Mistake(description: "\(option) \(text) is no number")
        }
        return number
    }

    func simulation(seed: UInt64) -> SimulationOptions {
        var options = SimulationOptions(
            seed: seed, faults: faults, cycles: cycles, sabotage: sabotage,
            isTraced: traceDirectory != nil)
        if let steps {
            options.eventsMax = steps
            options.isCutOff = true
        }
        return options
    }

    /// The options that decide a run, as they are typed.
    func arguments(seed: UInt64, faults: FaultSet? = nil, steps: Int? = nil) -> [String] {
        var words = ["--seed", "\(seed)"]
        let faults = faults ?? self.faults
        if faults != .all { words += ["--faults", faults == .none ? "none" : "\(faults)"] }
        if cycles != 3 { words += ["--cycles", "\(cycles)"] }
        if let steps = steps ?? self.steps { words += ["--steps", "\(steps)"] }
        if let traceDirectory { words += ["--trace", traceDirectory] }
        if let word = sabotage?.rawValue ?? stumble?.rawValue { words += ["--sabotage", word] }
        #if PlantedBugs
            if let bug { words += ["--bug", bug] }
        #endif
        return words
    }
}
