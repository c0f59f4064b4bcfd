import FailingFiles
import Foundation

/// Damages a corpus of RocksDB directories and prints what becomes of them.
///
/// `storage-damage [--seed N] [--rounds N]` prints the rows of docs/formats/storage-damage.md;
/// with `--reports`, what was met in each case. `storage-damage probe` is the process that meets it.
func number(_ option: String, or standard: Int) -> Int {
    guard let at = CommandLine.arguments.firstIndex(of: option),
        at + 1 < CommandLine.arguments.count
    else { return standard }
    return Int(CommandLine.arguments[at + 1]) ?? standard
}

signal(SIGPIPE, SIG_IGN)
failing_files_skip_syncs()
if CommandLine.arguments.dropFirst().first == "probe" {
    Probe.run()
} else {
    let run = DamageRun(seed: UInt64(number("--seed", or: 1)), rounds: number("--rounds", or: 4))
    let results = try run.results()
    if CommandLine.arguments.contains("--reports") {
        for result in results {
            print("#", result.damaged.subject, "|", result.damaged.damage)
            for line in result.report { print("  ", line) }
        }
    }
    for line in DamageTable.rows(results) { print(line) }
}
