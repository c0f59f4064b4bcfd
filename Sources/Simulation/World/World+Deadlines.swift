import Consensus
import MultiRaft
import Primitives

// Promises that run out: some entries promise a client something for a time, as a lease of the record
// store does. Every replica that applies one sets its group's wake deadline; when it is here the group
// must be awake, whoever leads.
extension World {
    /// One entry in so many makes a promise.
    private var promiseEvery: UInt64 { 12 }
    /// Ticks that a promise may take.
    private var promiseTicks: ClosedRange<UInt64> { 20...150 }
    /// Promises of a seat that are remembered; a further one is not made.
    private var promisesMax: Int { 8 }

    func notePromises(_ entries: [LogEntry], _ node: Node, _ place: Int) {
        guard !options.isTraced, !isStaged, let core = node.core else { return }
        let seat = node.seats[place]
        for entry in entries {
            guard case .command = entry.payload else { continue }
            // The same on each replica, and drawn from nothing.
            let word = entry.fingerprint >> 8
            guard word % promiseEvery == 0, seat.promises.count < promisesMax else { continue }
            let span = promiseTicks.upperBound - promiseTicks.lowerBound
            seat.promises.append(
                core.ticks + promiseTicks.lowerBound + word / promiseEvery % (span + 1))
            seat.promises.sort()
            post(.promised(seat: place), to: node)
        }
    }

    func setDeadline(_ node: Node, _ seat: Seat) {
        let id = spec(seat).id
        let tick = seat.promises.first
        tell(node) { $0.setWakeDeadline(id, atTick: tick) }
    }

    /// What the core has told of deadlines, and what it should have.
    ///
    /// - Parameter sleepers: groups that slept before the ticks of this turn.
    func checkDeadlines(_ effects: NodeEffects, _ node: Node, sleepers: [GroupID]) {
        guard let core = node.core else { return }
        for group in effects.deadlinesReached {
            guard let place = node.place(of: group, specs) else { continue }
            let seat = node.seats[place]
            seat.promises.removeAll { $0 <= core.ticks }
            if sleepers.contains(group) { reach(.deadlineReached) }
            if core.isAsleep(group) {
                fail("node \(node.id) group \(group) sleeps through its deadline")
            }
            post(.promised(seat: place), to: node)
        }
        for seat in node.seats where seat.isRunning {
            // One that was set in this turn is looked at by the next tick.
            if let due = seat.promises.first, due + 1 < core.ticks {
                fail(
                    "node \(node.id) group \(spec(seat).id) is not told of its deadline at tick "
                        + "\(due), and it is tick \(core.ticks)")
            }
        }
    }

    func sleepers(_ node: Node) -> [GroupID] {
        guard let core = node.core, !node.seats.allSatisfy(\.promises.isEmpty) else { return [] }
        return specs.map(\.id).filter { core.isAsleep($0) }
    }
}
