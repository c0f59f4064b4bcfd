import Consensus
import Primitives

/// What the operator knows and is about.
struct OperatorState {
    /// Where replicas sit that are no founders'.
    var places: [ReplicaID: Int] = [:]
}

extension World {
    func operatorActs() {
        guard isHurting else { return }
        schedule(.operatorActs, in: deedInterval())
        if profile.enables(.transfer), deedChance.below(3) == 0 { askForTransfer() }
    }

    private func askForTransfer() {
        for node in nodes where node.isUp {
            for (place, seat) in node.seats.enumerated()
            where seat.isRunning && seat.last?.role == .leader {
                guard deedChance.below(specs.count) == 0 else { continue }
                let voters = seat.last!.configuration.configuration.voters.incoming
                let target = deedChance.below(3) == 0 ? nil : deedChance.pick(voters)
                post(.transfer(seat: place, target), to: node)
            }
        }
    }

    func change(_ node: Node, _ seat: Seat, _ request: ConfigurationRequest) {}
    func leaveJoint(_ node: Node, _ seat: Seat) {}
    func quarantined(_ node: Node, _ seat: Seat, _ reason: QuarantineReason) { reach(.quarantined) }
    func repairAsOperator() {}
    func damageLog(_ deed: FaultClass) -> Bool { false }
    func damageEngine() -> Bool { false }
    func rollBack() -> Bool { false }
    func wipe() -> Bool { false }
}
