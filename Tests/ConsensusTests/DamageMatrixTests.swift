import Consensus
import Primitives
import Testing

/// "PAR ... ensures safety always, and availability as long as one intact copy of each committed
/// item is reachable" (after FAST '18, §3.2): every set of damaged replicas, every set of live ones
/// that is a quorum.
@Suite struct DamageMatrixTests {
    struct Case {
        let replicas: Int
        /// By replica, the entries that it has lost.
        var lost: [[UInt64]]
        var live: [Int]
    }

    /// The last entry is committed and not everywhere.
    static func disks(_ replicas: Int) -> [SimulatedDisk] {
        (1...replicas).map { id in
            let holdsAll = id <= replicas / 2 + 1
            return ReplicationTests.disk(
                terms: holdsAll ? [1, 1, 2, 2, 3] : [1, 1, 2, 2], term: 3)
        }
    }

    static func subsets(_ entries: [UInt64]) -> [[UInt64]] {
        entries.reduce([[]]) { sets, entry in sets + sets.map { $0 + [entry] } }
    }

    static func damages(_ replicas: Int, of entries: [UInt64]) -> [[[UInt64]]] {
        (0..<replicas).reduce([[]]) { sets, _ in
            sets.flatMap { set in subsets(entries).map { set + [$0] } }
        }
    }

    static func quorums(_ replicas: Int) -> [[Int]] {
        (0..<(1 << replicas)).map { mask in (1...replicas).filter { mask >> ($0 - 1) & 1 == 1 } }
            .filter { $0.count > replicas / 2 }
    }

    @Test func threeReplicasWithEveryDamageOfTwoEntriesInEveryQuorum() {
        for lost in Self.damages(3, of: [3, 5]) {
            for live in Self.quorums(3) { check(Case(replicas: 3, lost: lost, live: live)) }
        }
    }

    @Test func fiveReplicasWithEveryDamageOfOneEntryInEveryQuorum() {
        for entry: UInt64 in [2, 5] {
            for lost in Self.damages(5, of: [entry]) {
                for live in Self.quorums(5) { check(Case(replicas: 5, lost: lost, live: live)) }
            }
        }
    }

    @Test func fiveReplicasWithDifferentEntriesDamaged() {
        // Replicas 1 to 3 are alike, and so are 4 and 5.
        func isAscending(_ lost: ArraySlice<[UInt64]>) -> Bool {
            zip(lost, lost.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) || $0 == $1 }
        }
        for lost in Self.damages(5, of: [4, 5])
        where isAscending(lost[..<3]) && isAscending(lost[3...]) {
            check(Case(replicas: 5, lost: lost, live: [1, 2, 3, 4, 5]))
        }
    }

    private func check(_ it: Case) {
        let disks = Self.disks(it.replicas)
        let committed = disks[0].entries
        let cluster = Cluster(
            it.replicas, settings: RaftSettings(heartbeatTicks: 2, cacheBytesMax: 0),
            disks: disks)
        cluster.recordsSent = false
        cluster.checker.knows(committed)
        for id in cluster.ids { cluster.crash(id) }
        for id in cluster.ids {
            cluster[id].disk.damaged = it.lost[id - 1].map { LogIndex($0) }
                .filter { $0 <= cluster[id].disk.lastIndex }
        }
        let isReachable = committed.allSatisfy { entry in
            it.live.contains { id in
                cluster[id].disk.entry(at: entry.index) == entry
                    && !cluster[id].disk.damaged.contains(entry.index)
            }
        }
        for id in it.live { cluster.start(id) }
        let isAvailable = makesProgress(cluster, it.live)
        #expect(isAvailable == isReachable, "\(it)")
        #expect(cluster.checker.violations == [], "\(it)")
    }

    /// A new command is committed and applied by all that live, within ten election timeouts.
    private func makesProgress(_ cluster: Cluster, _ live: [Int]) -> Bool {
        for _ in 0..<10 * cluster.settings.electionTimeoutTicks {
            cluster.tickAll()
            if let leader = cluster.leaders.last {
                cluster.propose("new", at: leader)
                cluster.settle()
                cluster.tickAll(times: 2)
            }
            if live.allSatisfy({ cluster.commands(at: $0).contains("new") }) {
                return live.allSatisfy { cluster[$0].disk.damaged.isEmpty }
            }
        }
        return false
    }
}
