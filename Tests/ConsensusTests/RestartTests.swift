import Consensus
import Primitives
import Testing

/// Thesis §3.8: servers restart from persistent state; what was not persisted is as if it had
/// never been.
@Suite struct RestartTests {
    @Test func committedEntriesSurviveTheCrashOfEveryReplica() {
        let cluster = Cluster(3)
        cluster.elect(1)
        for i in 0..<10 { cluster.propose("\(i)", at: 1) }
        cluster.settle()
        let term = cluster.raft(1).term
        for id in 1...3 { cluster.crash(id) }
        for id in 1...3 { cluster.start(id) }
        #expect(cluster.raft(2).term == term)
        #expect(cluster.raft(2).lastIndex == LogIndex(11))
        cluster.elect(2)
        cluster.settle()
        for id in 1...3 { #expect(cluster.commands(at: id) == (0..<10).map { "\($0)" }) }
        #expect(cluster.checker.violations == [])
    }

    @Test func entriesOnNoMajorityMayBeLostAndNoOthersAre() {
        let cluster = Cluster(3)
        cluster.elect(1)
        cluster.propose("kept", at: 1)
        cluster.settle()
        cluster.isolate(1)
        cluster.propose("lost", at: 1)
        cluster.settle()
        cluster.crash(1)
        cluster.elect(2)
        cluster.propose("next", at: 2)
        cluster.settle()
        cluster.heal()
        cluster.start(1)
        cluster.tickAll(times: 4)
        #expect(cluster.raft(1).role == .follower)
        #expect(cluster.commands(at: 1) == ["kept", "next"])
        #expect(cluster.checker.violations == [])
    }

    @Test func theStateMachineContinuesBehindWhatItHadApplied() {
        let cluster = Cluster(1)
        cluster.elect(1)
        for i in 0..<5 { cluster.propose("\(i)", at: 1) }
        cluster.settle()
        cluster[1].durablyApplied = 3
        cluster.crash(1)
        cluster.start(1)
        // What is known to be committed is at least what was applied.
        #expect(cluster.raft(1).appliedIndex == LogIndex(3))
        #expect(cluster.raft(1).commitIndex >= LogIndex(3))
        cluster.elect(1)
        cluster.settle()
        #expect(cluster.commands(at: 1) == (0..<5).map { "\($0)" })
        #expect(cluster.checker.reached["handout from the log", default: 0] > 0)
        #expect(cluster.checker.violations == [])
    }

    @Test func aDiskThatContradictsItselfIsRefused() {
        func failure(
            _ disk: SimulatedDisk, applied: UInt64 = 0, log: LogSummary? = nil,
            voters: [ReplicaID] = [ReplicaID(1)]
        ) -> RestoreFailure? {
            do {
                _ = try RaftGroup(
                    group: .defaultKeyspace, replica: ReplicaID(1),
                    settings: RaftSettings(registersStarts: false),
                    restored: RestoredState(
                        hardState: disk.hardState, configuration: Configuration(voters: voters),
                        log: log ?? disk.summary, appliedIndex: LogIndex(applied),
                        incarnation: 1),
                    seed: 1)
                return nil
            } catch {
                return error
            }
        }
        var disk = ReplicationTests.disk(terms: [1, 1, 2])
        #expect(failure(disk, applied: 3) == nil)
        #expect(
            failure(disk, applied: 4)
                == .appliedAheadOfLog(appliedIndex: LogIndex(4), lastIndex: LogIndex(3)))
        #expect(failure(disk, voters: []) == .noVoters)
        disk.hardState.commitIndex = LogIndex(4)
        #expect(
            failure(disk)
                == .committedEntriesMissing(commitIndex: LogIndex(4), lastIndex: LogIndex(3)))
        disk = ReplicationTests.disk(terms: [1, 1, 2], term: 1)
        #expect(failure(disk) == .logAheadOfTerm(lastTerm: Term(2), term: Term(1)))
        disk = ReplicationTests.disk(terms: [1, 1, 2])
        var log = disk.summary
        log.termRuns.removeFirst()
        #expect(failure(disk, log: log) == .inconsistentLog(log))
        log = disk.summary
        log.termRuns.reverse()
        #expect(failure(disk, log: log) == .inconsistentLog(log))
        log = disk.summary
        log.firstIndex = LogIndex(2)
        log.termRuns[0].firstIndex = LogIndex(2)
        log.termBeforeFirst = Term(1)
        #expect(failure(disk, applied: 1, log: log) == nil)
        // It waits for a snapshot.
        #expect(failure(disk, log: log) == nil)
    }
}
