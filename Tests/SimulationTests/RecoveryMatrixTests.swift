import Simulation
import Testing

@Suite struct RecoveryMatrixTests {
    @Test func everySetOfReplicas() throws {
        var matrix = RecoveryMatrix()
        matrix.run(RecoveryMatrix.cells(.symmetric))
        print(matrix.summary)
        for (cell, problem) in matrix.problems { Issue.record("\(cell): \(problem)") }
    }
}
