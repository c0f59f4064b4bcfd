import Foundation
import Simulation

/// Writes what `--trace` asks for, if it does.
///
/// - Returns: false, having said why, when a file cannot be written.
func writeTraces(of report: Report, _ command: CommandLineOptions) -> Bool {
    guard let path = command.traceDirectory else { return true }
    let directory = URL(fileURLWithPath: path, isDirectory: true)
    do {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for trace in report.groupTraces {
            let name = "\(report.options.seed)-group-\(trace.group).ndjson"
            try Data(trace.text.utf8).write(to: directory.appendingPathComponent(name))
        }
    } catch {
        say("simulate: cannot write a trace: \(error)")
        return false
    }
    return true
}
