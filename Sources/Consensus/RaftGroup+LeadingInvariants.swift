import Primitives

// Those of `RaftGroup`'s invariants that speak of who may lead, and for how long it may rest.
extension RaftGroup {
    func checkStanding(_ broken: inout Broken) {
        broken.unless(
            role == .follower || standing == .trusted, 20, "\(role) is \(standing)")
        broken.unless(
            standing != .quarantined || leader == nil, 20, "quarantined, follows a leader")
        if standing == .trusted, let absence = ownStart.registration.absence {
            broken.unless(
                ownStart.namedBehind.map { $0 >= absence.index } ?? false, 27,
                "told of \(absence), named behind \(String(describing: ownStart.namedBehind))")
        }
        if let transfer {
            broken.unless(
                ticks < transfer.deadline && transfer.target != replica, 21,
                "\(transfer) at tick \(ticks)")
            if let led = leadership, transfer.term == term, transfer.toldAt != nil {
                broken.unless(led.lease.isForfeited, 21, "a lease beside \(transfer)")
            }
        }
        if let led = leadership {
            broken.unless(
                led.lease.roundsOpen <= LeaderLease.roundsMax, 22,
                "\(led.lease.roundsOpen) rounds await their quorum")
        }
        if isAsleep { checkSleep(&broken) }
        let replicas = peerMemory.records.map(\.replica)
        broken.unless(
            !replicas.contains(replica) && replicas == Configuration.ascending(replicas), 24,
            "records of \(replicas)")
    }

    private func checkSleep(_ broken: inout Broken) {
        broken.unless(
            // Truncation of the log's front goes on meanwhile, and its writes.
            standing == .trusted && candidacy == nil && transfer == nil && forwarded.count == 0
                && commitIndex == lastIndex && durableIndex == lastIndex
                && handedIndex == lastIndex && leader != nil, 23,
            "asleep at \(commitIndex) of \(lastIndex), durable \(durableIndex), leader \(leader?.description ?? "none")"
        )
        broken.unless(
            leadership.map { $0.readCount == 0 } ?? true, 23, "asleep while others need it")
    }

    func checkStandingPassage(from earlier: RaftGroup, _ broken: inout Broken) {
        for record in earlier.peerMemory.records {
            guard let now = peerMemory.record(of: record.replica) else { continue }
            var raised = now
            raised.raise(to: record)
            broken.unless(raised == now, 25, "\(record) became \(now)")
        }
        broken.unless(
            earlier.standing == standing || earlier.standing == .registering
                || standing == .quarantined, 26, "\(earlier.standing) became \(standing)")
    }
}
