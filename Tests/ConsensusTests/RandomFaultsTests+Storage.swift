import Consensus
import Primitives

// What chance does to logs and states. Nothing is taken that nobody else has: then the group must
// come back to life.
extension RandomFaultsTests {
    static let pathsOfStorage = [
        "log front cut", "log replaced by a snapshot", "snapshot needed", "snapshot offered",
        "snapshot installed", "snapshot not to be had", "crash behind an installation",
        "state lost", "rot found at a start", "rot found while running", "rot in a leader's log",
        "entries found", "entries repaired", "handout waits for a repair",
        "log kept behind a snapshot",
    ]
}

extension RandomFaultsTests.Run {
    mutating func disturbStorage(_ id: Int) {
        if percent(10), !cluster[id].isWitness, !cluster[id].isGone { persist(id) }
        // Which replicas could still supply what is lost is not known while members change.
        if cluster.nodes.count > 1 && !reconfigures {
            if percent(4) { rot(percent(50) ? id : anyReplica()) }
            if percent(30), let down = cluster.ids.first(where: { cluster[$0].raft == nil }) {
                if percent(30) { rot(down) }
                if percent(20) { loseState(down) }
            }
        }
    }

    private func persist(_ id: Int) {
        if cluster[id].raft == nil {
            cluster[id].durablyApplied = cluster[id].applied.count
        } else {
            cluster.persist(id)
        }
    }

    /// - Parameter failures: in percent.
    mutating func moveSnapshots(_ id: Int, failures: UInt64) {
        if percent(60) { cluster.makeSnapshot(id, failing: percent(failures)) }
        if percent(40) {
            cluster.fetchSnapshot(id, failing: percent(failures), crashing: percent(failures))
        }
    }

    private mutating func rot(_ id: Int) {
        let disk = cluster[id].disk
        guard disk.lastIndex > disk.startIndex else { return }
        // The newest entries are what everything else hangs on.
        let room = min(12, disk.lastIndex.rawValue - disk.startIndex.rawValue)
        let lowest = disk.lastIndex.rawValue - room + 1
        for _ in 0...upTo(2) {
            let index = LogIndex(lowest + upTo(room - 1))
            guard isElsewhere(disk.entry(at: index)!, not: id) else { continue }
            if cluster[id].raft == nil {
                cluster.checker.reach("rot found at a start")
            } else {
                cluster.checker.reach("rot found while running")
                if cluster.leaders.contains(id) { cluster.checker.reach("rot in a leader's log") }
            }
            cluster.damage(id, index.rawValue)
        }
    }

    private func isElsewhere(_ entry: LogEntry, not id: Int) -> Bool {
        cluster.ids.contains { other in
            let disk = cluster[other].disk
            guard other != id, disk.entry(at: entry.index) == entry else { return false }
            return entry.index <= disk.startIndex
                ? cluster[other].durablyApplied >= Int(entry.index.rawValue)
                : !disk.damaged.contains(entry.index)
        }
    }

    private mutating func loseState(_ id: Int) {
        let othersAreWhole = cluster.ids.allSatisfy { other in
            other == id
                || UInt64(cluster[other].durablyApplied) >= cluster[other].disk.startIndex.rawValue
                    && cluster[other].disk.damaged.isEmpty
        }
        // With an installation that the log has not followed, it could not be told from a lost log.
        let place = cluster[id].durablyApplied
        guard othersAreWhole, place > 0,
            cluster[id].disk.entry(at: LogIndex(UInt64(place)))?.term
                == cluster[id].applied[place - 1].term
        else { return }
        cluster.checker.reach("state lost")
        cluster.loseState(id)
    }

    var storageIsWhole: Bool {
        cluster.ids.allSatisfy { cluster[$0].disk.damaged.isEmpty }
    }
}
