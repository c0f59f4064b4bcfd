import Primitives

// Those of `RaftGroup`'s invariants that speak of members.
extension RaftGroup {
    func checkMembership(_ broken: inout Broken) {
        checkConfigurations(&broken)
        broken.unless(
            role == .follower || mayCampaign, 16,
            "\(role) under \(unsettledConfigurations.map(\.configuration.voters))")
        if isWitness { checkWitness(&broken) }
        if let led = leadership {
            checkProgress(of: led, &broken)
            checkZones(&broken)
        }
    }

    private func checkConfigurations(_ broken: inout Broken) {
        broken.unless(
            configurations[0].index < firstIndex && configurationIndex <= lastIndex, 15,
            "configurations \(configurations.map(\.index)) of a log \(firstIndex)...\(lastIndex)")
        for (earlier, later) in zip(configurations, configurations.dropFirst()) {
            broken.unless(earlier.index < later.index, 15, "\(later.index) after \(earlier.index)")
            // What stands at zero may be a joiner's address book.
            broken.unless(
                earlier.index == .zero || configurationsMayLack
                    || later.configuration.follows(earlier.configuration), 15,
                "\(later) does not follow from \(earlier)")
        }
    }

    private func checkWitness(_ broken: inout Broken) {
        var index = log.cache.firstIndex
        var commands = 0
        while index < log.cache.nextIndex {
            if case .command = log.cache[index].payload { commands += 1 }
            index = index.next
        }
        broken.unless(
            appliedIndex == handedIndex && commands == 0, 18,
            "a witness handed out \(handedIndex), applied \(appliedIndex), has \(commands) commands"
        )
    }

    private func checkProgress(of led: Leadership, _ broken: inout Broken) {
        let members = configuration.replicas.filter { $0 != replica }
        let known = led.progress.map(\.replica)
        let staying = led.progress.filter { $0.leaving == nil }.map(\.replica)
        broken.unless(
            staying == members && known == Configuration.ascending(known)
                && led.progress.allSatisfy { $0.leaving == nil || !members.contains($0.replica) },
            17, "progress of \(known), staying \(staying), members \(members)")
        if hasCommittedInTerm {
            let unsettled = unsettledConfigurations.map(\.configuration.voters)
            let changes = zip(unsettled, unsettled.dropFirst()).count { $0 != $1 }
            broken.unless(changes <= 1, 17, "\(changes) changes of voters at once: \(unsettled)")
        }
    }

    private func checkZones(_ broken: inout Broken) {
        let rule = configuration.zoneRule
        guard rule.holdsCommit, hasCommittedInTerm, configurationIndex <= commitIndex else {
            return
        }
        let agreed = configuration.agreed(inZones: rule.zonesNeeded, durableIndex(of:))
        broken.unless(
            agreed >= commitIndex, 19,
            "committed \(commitIndex), \(rule.zonesNeeded) zones have \(agreed)")
    }
}
