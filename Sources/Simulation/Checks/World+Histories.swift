// What clients were told has an order that explains it.
extension World {
    func checkHistories() {
        switch KeyLinearizability(stepsPerKeyMax: 400_000).check(keyHistory) {
        case .linearizable: break
        case .violation(let violation): fail("keys are not linearizable: \(violation)")
        case .unknown(let steps): report.undecided.append("keys after \(steps) steps")
        }
        switch RevisionOrder(stepsMax: 1_000_000).check(storeHistory) {
        case .linearizable: break
        case .violation(let violation): fail("records are not linearizable: \(violation)")
        case .unknown(let steps): report.undecided.append("records after \(steps) steps")
        }
    }
}
