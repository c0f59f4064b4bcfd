import Consensus
import Primitives
import Testing

/// Thesis chapter 5: log compaction, and followers that are brought up with a snapshot.
@Suite struct SnapshotTests {
    static let settings = RaftSettings(
        heartbeatTicks: 2, cacheBytesMax: 200, entriesKept: 2, entriesKeptForFollowers: 4,
        truncationBatch: 3)

    /// Replica 1 leads, replica 3 is cut off and misses 20 commands, which the others' logs have
    /// forgotten.
    static func clusterWithOneBehind(seed: UInt64 = 1) -> Cluster {
        let cluster = Cluster(3, settings: settings, seed: seed)
        cluster.elect(1)
        cluster.isolate(3)
        write(20, to: cluster)
        for id in 1...2 { cluster.persist(id) }
        cluster.tickAll(times: settings.electionTimeoutTicks)
        for id in 1...2 { cluster.persist(id) }
        cluster.settle()
        return cluster
    }

    static func write(_ count: Int, to cluster: Cluster, at leader: Int = 1) {
        for i in 0..<count {
            cluster.propose("\(i)", at: leader)
            cluster.settle()
        }
    }

    static func kinds(_ cluster: Cluster) -> [String] {
        cluster.sent.compactMap { message in
            switch message.kind {
            case .snapshotNeeded(let minIndex, let sources):
                "\(message.from) tells \(message.to): at or above \(minIndex) from \(sources)"
            case .snapshotWanted(let minIndex):
                "\(message.to) is asked for one at or above \(minIndex)"
            case .snapshotOffer(let metadata):
                "\(message.from) offers \(message.to) one at \(metadata.index)"
            default: nil
            }
        }
    }

    @Test("Once a prefix is in a snapshot, the log up to there can be discarded (§5)")
    func theLogsFrontGoesBehindWhatIsPersisted() {
        let cluster = Cluster(3, settings: Self.settings)
        cluster.elect(1)
        Self.write(20, to: cluster)
        // Applied, and in a crash forgotten.
        #expect(cluster.raft(1).firstIndex == LogIndex(1))
        cluster.persist(2)
        cluster.settle()
        #expect(cluster.raft(2).firstIndex == LogIndex(20))
        let start = cluster[2].disk.start!
        #expect(start.index == LogIndex(19) && start.term == cluster.raft(1).term)
        #expect(start.timestamp >= cluster[2].disk.entry(at: LogIndex(19))!.timestamp)
        #expect(!start.replacesAll && start.configurationIndex == .zero)
        cluster.crash(2)
        cluster.start(2)
        #expect(cluster.raft(2).firstIndex == LogIndex(20))
        Self.write(1, to: cluster)
        #expect(cluster.commands(at: 2).count == 21)
        // One more is not worth a write.
        cluster.persist(2)
        cluster.settle()
        #expect(cluster.raft(2).firstIndex == LogIndex(20))
        #expect(cluster.checker.violations == [])
    }

    @Test func aLeaderKeepsWhatALiveFollowerNeedsUpToALimit() {
        var settings = Self.settings
        settings.entriesKeptForFollowers = 10
        let cluster = Cluster(3, settings: settings)
        cluster.elect(1)
        Self.write(2, to: cluster)
        cluster[3].diskIsStuck = true
        Self.write(6, to: cluster)
        for id in 1...2 { cluster.persist(id) }
        // 3 entries are acknowledged by all. A follower cares for itself alone.
        #expect(cluster.raft(1).firstIndex == LogIndex(4))
        #expect(cluster.raft(2).firstIndex == LogIndex(8))
        for _ in 0..<10 {
            Self.write(1, to: cluster)
            cluster.tickAll(times: 2)
        }
        cluster.persist(1)
        #expect(cluster.raft(1).firstIndex == LogIndex(10))
        cluster[3].diskIsStuck = false
        cluster.settle()
        cluster.tickAll(times: 4)
        #expect(cluster.commands(at: 3).count == 18)
        #expect(cluster.checker.violations == [])
    }

    @Test(
        "Leaders must occasionally send their state to slow followers that have fallen behind (§5)")
    func aFollowerFarBehindPullsASnapshotFromAFollowerInStep() {
        let cluster = Self.clusterWithOneBehind()
        #expect(cluster.raft(1).firstIndex > LogIndex(10))
        cluster.sent = []
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(
            Self.kinds(cluster) == [
                "1 tells 3: at or above 17 from [2, 1]",
                "2 is asked for one at or above 17",
                "2 offers 3 one at 21",
            ])
        #expect(cluster.raft(3).firstIndex == LogIndex(22))
        #expect(cluster[3].disk.start?.replacesAll == true)
        #expect(cluster.commands(at: 3) == cluster.commands(at: 1))
        // And goes on with the log.
        Self.write(2, to: cluster)
        #expect(cluster.commands(at: 3).count == 22)
        #expect(cluster.checker.violations == [])
    }

    @Test func meanwhileItGetsHeartbeatsAndNoEntries() {
        let cluster = Self.clusterWithOneBehind()
        cluster[1].snapshots.isStuck = true
        cluster[2].snapshots.isStuck = true
        cluster.heal()
        cluster.tickAll(times: 4)
        cluster.sent = []
        Self.write(5, to: cluster)
        cluster.tickAll(times: 6)
        #expect(ReplicationTests.appends(to: 3, in: cluster).isEmpty)
        // Told again once in a heartbeat, whatever else goes on.
        #expect(Self.kinds(cluster).count { $0.hasPrefix("1 tells 3") } == 3)
        cluster[1].snapshots.isStuck = false
        cluster[2].snapshots.isStuck = false
        cluster.settle()
        cluster.tickAll(times: 2)
        #expect(cluster.commands(at: 3) == cluster.commands(at: 1))
        #expect(cluster.checker.violations == [])
    }

    @Test func theNextSourceIsAskedWhenOneIsSilentOrFails() {
        let cluster = Self.clusterWithOneBehind()
        cluster.heal()
        // Replica 2 has crashed since it was last heard.
        cluster.crash(2)
        cluster.sent = []
        cluster.tickAll(times: 4)
        #expect(
            Self.kinds(cluster).prefix(2) == [
                "1 tells 3: at or above 17 from [2, 1]", "2 is asked for one at or above 17",
            ])
        for _ in 0..<Self.settings.electionTimeoutTicks { cluster.tickAll() }
        #expect(Self.kinds(cluster).contains("1 offers 3 one at 21"))
        #expect(cluster.commands(at: 3) == cluster.commands(at: 1))
        #expect(cluster.checker.violations == [])
    }

    @Test func aSnapshotWhoseSourceIsGoneIsAskedForElsewhere() {
        let cluster = Self.clusterWithOneBehind()
        cluster[3].snapshots.isStuck = true
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster[3].snapshots.fetch?.id.source == ReplicaID(2))
        cluster.crash(2)
        cluster[3].snapshots.isStuck = false
        cluster.settle()
        #expect(cluster.checker.reached["snapshot not to be had"] == 1)
        #expect(cluster.commands(at: 3) == cluster.commands(at: 1))
        #expect(cluster.checker.violations == [])
    }

    @Test func severalRequestersShareOneSnapshot() {
        let cluster = Cluster(5, settings: Self.settings)
        cluster.elect(1)
        cluster.isolate(4)
        cluster.isolate(5)
        Self.write(20, to: cluster)
        cluster.tickAll(times: Self.settings.electionTimeoutTicks)
        for id in 1...3 { cluster.persist(id) }
        for id in 1...3 { cluster[id].snapshots.isStuck = true }
        cluster.heal()
        cluster.tickAll(times: 4)
        #expect(cluster[2].snapshots.requests.count == 1)
        for id in 1...3 { cluster[id].snapshots.isStuck = false }
        cluster.settle()
        cluster.tickAll(times: 2)
        #expect(cluster[2].snapshots.made.count == 1)
        for id in 4...5 { #expect(cluster.commands(at: id).count == 20) }
        #expect(cluster.checker.violations == [])
    }

    @Test(
        "Retain entries following the snapshot when an existing entry has its index and term (§5)")
    func theSuffixStaysWhenTheLogHoldsTheSnapshotsPlace() {
        // Replica 1 has lost its state and its log's front; its log is longer than all others.
        let cluster = Cluster(3, settings: Self.settings)
        cluster.elect(1)
        Self.write(20, to: cluster)
        for id in 1...3 { cluster.persist(id) }
        cluster.tickAll(times: Self.settings.electionTimeoutTicks)
        for id in 1...3 { cluster.persist(id) }
        cluster.settle()
        cluster.isolate(1)
        cluster.propose("alone", at: 1)
        cluster.sync(1)
        let end = cluster.raft(1).lastIndex
        cluster.crash(1)
        cluster.loseState(1)
        cluster.start(1)
        #expect(cluster.raft(1).appliedIndex == .zero)
        cluster.heal()
        cluster.crash(3)
        // Replica 2's log is behind: only replica 1 can lead, without a state.
        cluster.elect(1)
        cluster.tickAll(times: 2 * Self.settings.electionTimeoutTicks)
        #expect(cluster.leaders == [1])
        #expect(cluster[1].disk.start?.replacesAll == false)
        #expect(cluster.raft(1).lastIndex > end)
        #expect(cluster.commands(at: 1) == cluster.commands(at: 2))
        #expect(cluster.commands(at: 1).last == "alone")
        #expect(cluster.checker.violations == [])
    }

    @Test func aStateThatIsLostComesBackFromTheLogIfThatIsWhole() {
        let cluster = Cluster(3, settings: Self.settings)
        cluster.elect(1)
        Self.write(5, to: cluster)
        cluster[2].durablyApplied = 6
        cluster.crash(2)
        cluster.loseState(2)
        cluster.start(2)
        cluster.tickAll(times: 2)
        #expect(cluster.commands(at: 2).count == 5)
        #expect(cluster.checker.reached["snapshot installed"] == nil)
        #expect(cluster.checker.violations == [])
    }

    @Test func anOperatorHearsOfAStateThatNobodyHas() {
        let cluster = Self.clusterWithOneBehind()
        for id in 1...3 { cluster.crash(id) }
        cluster.loseState(1)
        cluster.heal()
        cluster.start(1)
        // Each of the two others has an election timeout to answer in, and there is one more.
        cluster.tickAll(times: 3 * Self.settings.electionTimeoutTicks - 2)
        #expect(cluster[1].alarms == [])
        cluster.tickAll(times: 4)
        #expect(cluster[1].alarms == [.raised(.stateMissing)])
        cluster.start(2)
        cluster.tickAll(times: 2 * Self.settings.electionTimeoutTicks)
        #expect(cluster[1].alarms == [.raised(.stateMissing), .lowered(.stateMissing)])
        #expect(cluster[1].applied.count >= 21)
        #expect(cluster.checker.violations == [])
    }

    @Test func aLostStateNeedsNoLeader() {
        let cluster = Self.clusterWithOneBehind()
        for id in 1...3 { cluster.crash(id) }
        cluster.loseState(1)
        cluster.heal()
        cluster.start(2)
        cluster.start(1)
        cluster.settle()
        // Nobody leads, and it has a state again.
        #expect(cluster.leaders == [])
        #expect(cluster[1].applied.count == 21)
        #expect(cluster.checker.violations == [])
    }

    @Test func aCrashBetweenTheInstallationAndTheLogsBeginningIsResumed() {
        for survives in [0, 1] {
            let cluster = Self.clusterWithOneBehind()
            cluster[3].snapshots.isStuck = true
            cluster.heal()
            cluster.tickAll(times: 4)
            if survives == 0 {
                // The group never hears of the installation.
                cluster.fetchSnapshot(3, crashing: true)
            } else {
                // It does, and its write is lost.
                cluster.fetchSnapshot(3)
                #expect(cluster.raft(3).firstIndex == LogIndex(22))
                cluster.crash(3)
            }
            #expect(cluster[3].disk.lastIndex < LogIndex(21))
            cluster.start(3)
            #expect(cluster.raft(3).firstIndex == LogIndex(22))
            #expect(cluster.raft(3).appliedIndex == LogIndex(21))
            cluster.settle()
            #expect(cluster[3].disk.start?.index == LogIndex(21))
            Self.write(2, to: cluster)
            cluster.tickAll(times: 4)
            #expect(cluster.commands(at: 3).count == 22)
            #expect(cluster.checker.violations == [])
        }
    }

    @Test func anInstallationThatTheLogContradictsIsNotTakenForTheLogsOwn() {
        // The log holds another, uncommitted entry where the snapshot stands.
        let disk = ReplicationTests.disk(terms: [1, 2, 2, 2], term: 5)
        func restored(_ snapshot: SnapshotMetadata?) -> RestoredState {
            var restored = RestoredState(
                hardState: disk.hardState, configuration: Cluster(3).configuration,
                log: disk.summary, appliedIndex: LogIndex(3), incarnation: 1)
            restored.installedSnapshot = snapshot
            return restored
        }
        let snapshot = Self.metadata(index: 3, term: 4)
        do {
            var raft = try RaftGroup(
                group: .defaultKeyspace, replica: ReplicaID(1), settings: RaftSettings(),
                restored: restored(snapshot), seed: 1)
            #expect(raft.lastIndex == LogIndex(3) && raft.term(at: LogIndex(3)) == Term(4))
            let start = raft.started().append?.start
            #expect(start?.index == LogIndex(3) && start?.replacesAll == true)
            #expect(raft.checkInvariants() == [])
        } catch {
            Issue.record("\(error)")
        }
    }

    static func metadata(
        index: UInt64, term: UInt64, source: UInt64 = 2, sequence: UInt64 = 1
    ) -> SnapshotMetadata {
        SnapshotMetadata(
            id: SnapshotID(source: ReplicaID(source), incarnation: 1, sequence: sequence),
            index: LogIndex(index), term: Term(term),
            timestamp: HybridTimestamp(microseconds: 100),
            configuration: ConfigurationEntry(
                index: .zero, configuration: Cluster(3).configuration))
    }
}
