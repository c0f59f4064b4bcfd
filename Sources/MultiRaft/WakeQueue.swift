import Consensus
import Primitives

/// Groups to be told that a node is lost, or is back, in the order of their ticks.
struct WakeQueue: Sendable {
    struct Wake: Sendable {
        let tick: UInt64
        let group: GroupID
        let reason: WakeReason
    }

    /// One for each change that is not done: few, and each ascending.
    private var runs: [(wakes: [Wake], head: Int)] = []

    var count: Int { runs.reduce(0) { $0 + $1.wakes.count - $1.head } }

    /// - Parameter wakes: ascending by tick.
    mutating func append(_ wakes: [Wake]) {
        if !wakes.isEmpty { runs.append((wakes: wakes, head: 0)) }
    }

    mutating func popFirst(at tick: UInt64) -> Wake? {
        for i in runs.indices {
            let wake = runs[i].wakes[runs[i].head]
            guard wake.tick <= tick else { continue }
            runs[i].head += 1
            if runs[i].head == runs[i].wakes.count { runs.remove(at: i) }
            return wake
        }
        return nil
    }
}
