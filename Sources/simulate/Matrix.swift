import Foundation
import Simulation

/// Runs the recovery matrix, a share of its cells on each core.
///
/// - Returns: 0 when the cluster did in each cell what the model says.
func runMatrix(_ command: CommandLineOptions) -> Int32 {
    let start = Date()
    var cells = RecoveryMatrix.cells(.exhaustive)
    if !command.only.isEmpty { cells = cells.filter { "\($0)".contains(command.only) } }
    if let count = command.seeds {
        let step = max(1, cells.count / count)
        cells = stride(from: 0, to: cells.count, by: step).map { cells[$0] }
    }
    let jobs = command.jobs ?? ProcessInfo.processInfo.activeProcessorCount
    let shares = Shares(cells, jobs: jobs)
    DispatchQueue.concurrentPerform(iterations: jobs) { shares.run($0) }
    let matrix = shares.total
    for (cell, problem) in matrix.problems { print("FAILED: \(cell): \(problem)") }
    if command.tracesText, let first = matrix.problems.first {
        RecoveryMatrix.trace(first.cell).forEach { print("  \($0)") }
    }
    let seconds = Date().timeIntervalSince(start)
    print(matrix.summary + ", \(Int(seconds.rounded())) s")
    return matrix.problems.isEmpty ? 0 : 1
}

private final class Shares: @unchecked Sendable {
    private let cells: [MatrixCell]
    private let jobs: Int
    private let lock = NSLock()
    // Under the lock.
    private var sum = RecoveryMatrix()

    init(_ cells: [MatrixCell], jobs: Int) {
        self.cells = cells
        self.jobs = jobs
    }

    var total: RecoveryMatrix { lock.withLock { sum } }

    func run(_ job: Int) {
        var matrix = RecoveryMatrix()
        matrix.run(stride(from: job, to: cells.count, by: jobs).map { cells[$0] })
        lock.withLock { sum.add(matrix) }
    }
}
