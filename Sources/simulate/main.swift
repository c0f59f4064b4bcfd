import Foundation
import Simulation

// Runs simulations over many seeds, in child processes: one that crashes, or that never ends, takes
// only itself away, and says by its last line which seed it was at.

let command: CommandLineOptions
do {
    command = try CommandLineOptions(Array(CommandLine.arguments.dropFirst()))
} catch {
    FileHandle.standardError.write(Data("simulate: \(error)\n\(CommandLineOptions.usage)\n".utf8))
    exit(2)
}

#if PlantedBugs
    if let bug = command.bug, command.mode != .planted { _ = PlantedBugs.plant(bug) }
#endif

switch command.mode {
case .help: print(CommandLineOptions.usage)
case .worker: exit(runWorker(command))
case .one: exit(runOne(command))
#if PlantedBugs
    case .planted: exit(PlantedRun(command).run())
#endif
case .matrix: exit(runMatrix(command))
case .batch: exit(Batch(command).run())
}
