import Consensus
import Primitives
import Testing

/// "Available whenever one intact copy of each committed entry is reachable" (after FAST '18, §3.2):
/// a durable state that covers an entry is as good as a copy, though nobody can read the entry any
/// more.
@Suite struct SettledDamageTests {
    private static let settings = SnapshotTests.settings
    private static let patience = 12 * settings.electionTimeoutTicks

    /// Ten commands are in every state; the power is gone.
    private func cluster(
        _ prepare: (Cluster) -> Void = { _ in }
    ) -> Cluster {
        var settings = Self.settings
        (settings.entriesKept, settings.entriesKeptForFollowers) = (100, 100)
        let cluster = Cluster(3, settings: settings)
        cluster.elect(1)
        prepare(cluster)
        SnapshotTests.write(10, to: cluster)
        cluster.tickAll(times: 4)
        for id in cluster.ids { cluster.persist(id) }
        cluster.settle()
        for id in cluster.ids { cluster.crash(id) }
        return cluster
    }

    private func goesOn(_ cluster: Cluster, from commands: Int = 10) {
        cluster.tickAll(times: Self.patience)
        #expect(cluster.leaders.count == 1)
        guard let leader = cluster.leaders.first else { return }
        cluster.propose("new", at: leader)
        cluster.tickAll(times: 4)
        for id in cluster.running where id <= 3 {
            #expect(cluster.commands(at: id).count == commands + 1)
            #expect(cluster[id].disk.damaged == [])
        }
        #expect(cluster.checker.violations == [])
    }

    @Test func damageThatAllHaveBehindTheirStatesStandsInNobodysWay() {
        let cluster = cluster()
        for id in 1...3 { cluster.damage(id, 4) }
        for id in 1...3 { cluster.start(id) }
        goesOn(cluster)
        #expect(cluster.leaders.allSatisfy { cluster.raft($0).firstIndex == LogIndex(5) })
    }

    /// A leader stamps above what is applied, though it cannot read the newest stamp in its log.
    @Test func theLastEntryIsLostEverywhere() {
        let cluster = cluster()
        let last = cluster[1].disk.entries.last!
        for id in 1...3 { cluster.damage(id, last.index.rawValue) }
        for id in 1...3 { cluster.start(id) }
        goesOn(cluster)
        let next = cluster[1].disk.entry(at: last.index.next)
        #expect(next.map { $0.timestamp > last.timestamp } == true)
    }

    /// The state says which configuration is in force, and where the log begins it is named.
    @Test func aConfigurationIsLostEverywhereAndTheStatesRememberIt() {
        let cluster = cluster { cluster in
            let four = cluster.join()
            cluster.change(cluster.learner(four), at: 1)
            cluster.settle()
        }
        let index = cluster[2].disk.entries.first {
            if case .configuration = $0.payload { true } else { false }
        }!.index
        for id in 1...4 { cluster.damage(id, index.rawValue) }
        for id in 1...3 { cluster.start(id) }
        for id in 1...3 { #expect(cluster.learners(at: id) == [4]) }
        goesOn(cluster)
        for id in cluster.leaders {
            #expect(cluster[id].disk.start?.configurationIndex == index)
        }
        // The learner's copy and state are gone: the snapshot that it gets names the configuration.
        cluster.loseState(4)
        cluster.start(4)
        cluster.tickAll(times: Self.patience)
        #expect(cluster.learners(at: 4) == [4])
        #expect(cluster.commands(at: 4).count == 11)
        #expect(cluster.checker.violations == [])
    }

    /// Behind a later configuration that can be read it does not matter what a lost entry was.
    @Test func aStateThatRemembersNoConfigurationStandsBehindALaterOne() {
        let cluster = cluster { cluster in
            let four = cluster.join()
            SnapshotTests.write(2, to: cluster)
            cluster.change(cluster.learner(four), at: 1)
            cluster.settle()
        }
        let index = cluster[2].disk.entries.first {
            if case .configuration = $0.payload { true } else { false }
        }!.index
        #expect(index > LogIndex(2))
        for id in cluster.ids { cluster[id].snapshots.forgetsConfigurations = true }
        for id in 1...3 { cluster.damage(id, 2) }
        for id in 1...3 { cluster.start(id) }
        goesOn(cluster, from: 12)
        for id in cluster.leaders { #expect(cluster.raft(id).firstIndex == index.next) }
    }

    /// Nothing says what was in force behind the lost entry: nobody begins a log there.
    @Test func aStateThatRemembersNoConfigurationWaitsForTheLastOne() {
        let cluster = cluster()
        for id in 1...3 {
            cluster[id].snapshots.forgetsConfigurations = true
            cluster.damage(id, 4)
        }
        for id in 1...3 { cluster.start(id) }
        cluster.tickAll(times: Self.patience)
        #expect(cluster.leaders == [])
        for id in 1...3 {
            #expect(cluster.raft(id).firstIndex == LogIndex(1))
            #expect(
                cluster[id].alarms == [
                    .raised(.entriesDamaged(first: LogIndex(4), through: LogIndex(4)))
                ])
        }
        #expect(cluster.checker.violations == [])
    }

    /// Where no state can be handed on, an entry that is lost here may be needed from here: it comes
    /// back, and is not cut off though all that are up have it in their states.
    @Test func aLogWithoutSnapshotsIsNotCut() {
        let cluster = cluster()
        for id in 1...3 { cluster[id].snapshots.makesNone = true }
        for id in 1...2 { cluster.damage(id, 4) }
        for id in 1...2 { cluster.start(id) }
        cluster.tickAll(times: Self.patience)
        #expect(cluster.leaders == [])
        #expect(cluster.running.allSatisfy { cluster.raft($0).firstIndex == LogIndex(1) })
        #expect(
            cluster[1].alarms == [
                .raised(.entriesDamaged(first: LogIndex(4), through: LogIndex(4)))
            ])
        cluster.start(3)
        goesOn(cluster)
        #expect(cluster.ids.allSatisfy { cluster.raft($0).firstIndex == LogIndex(1) })
    }

    /// Its log is the longest of those that are up, and what it has lost the other has cut off.
    @Test func theOnlyOneThatCanWinHasLostWhatAllOthersHaveCutOff() {
        var settings = Self.settings
        (settings.entriesKept, settings.entriesKeptForFollowers) = (2, 2)
        settings.truncationBatch = 1
        let cluster = Cluster(3, settings: settings)
        cluster.elect(1)
        SnapshotTests.write(10, to: cluster)
        cluster.tickAll(times: 4)
        for id in 2...3 { cluster.persist(id) }
        cluster.settle()
        #expect(cluster.raft(2).firstIndex > LogIndex(4))
        cluster.isolate(1)
        cluster.propose("tail", at: 1)
        cluster.sync(1)
        cluster[1].durablyApplied = cluster[1].applied.count
        for id in 1...3 { cluster.crash(id) }
        cluster.heal()
        cluster.damage(1, 4)
        for id in 1...2 { cluster.start(id) }
        cluster.tickAll(times: Self.patience)
        #expect(cluster.leaders == [1])
        #expect(cluster.commands(at: 2).last == "tail")
        #expect(cluster.checker.violations == [])
    }

    @Test func aStateAndALogThatContradictEachOtherAreRefused() throws {
        let disk = ReplicationTests.disk(terms: [1, 1, 1])
        var restored = RestoredState(
            hardState: disk.hardState, configuration: Cluster(3).configuration,
            log: disk.summary, appliedIndex: LogIndex(2), incarnation: 1)
        restored.appliedConfiguration = ConfigurationEntry(
            index: LogIndex(3), configuration: Cluster(3).configuration)
        #expect(throws: RestoreFailure.inconsistentConfigurations) {
            try RaftGroup(
                group: .defaultKeyspace, replica: ReplicaID(1), settings: RaftSettings(),
                restored: restored, seed: 1)
        }
    }
}
