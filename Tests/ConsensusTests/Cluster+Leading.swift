import Consensus
import Primitives

// Transfers, sleep and starts of a `Cluster`.
extension Cluster {
    @discardableResult
    func transfer(to target: Int?, at id: Int) -> TransferOutcome? {
        var outcome: TransferOutcome?
        event(id) { raft in
            let (result, effects) = raft.transferRequested(
                to: target.map { ReplicaID(UInt64($0)) })
            outcome = result
            return effects
        }
        return outcome
    }

    func wake(_ id: Int, _ reason: WakeReason) { event(id) { $0.woken(reason) } }

    var asleep: [Int] { running.filter { raft($0).isHibernating } }

    func sent(_ matches: (RaftMessage.Kind) -> Bool) -> [RaftMessage] {
        sent.filter { matches($0.kind) }
    }

    /// Everyone ticks until the group sleeps.
    ///
    /// - Returns: whether it does.
    @discardableResult
    func fallAsleep() -> Bool {
        for _ in 0..<10 * settings.electionTimeoutTicks where asleep != running { tickAll() }
        return asleep == running
    }

    /// Everything that a restored volume brings back: the disk, and how often it was started.
    struct Image {
        var disk: SimulatedDisk
        var applied: [LogEntry]
        var incarnation: UInt64
    }

    func image(of id: Int) -> Image {
        Image(disk: self[id].disk, applied: self[id].applied, incarnation: self[id].incarnation)
    }

    func restore(_ image: Image, to id: Int) {
        checker.expectsQuarantine = true
        if self[id].raft != nil { crash(id) }
        self[id].disk = image.disk
        self[id].incarnation = image.incarnation
        self[id].applied = image.applied
        self[id].durablyApplied = image.applied.count
    }
}
