import Consensus
import Primitives
import Testing

/// DESIGN, decision 7: "a replica that comes back behind what it acknowledged is quarantined and
/// rejoins under a new `ReplicaID`".
@Suite struct RegistrationTests {
    private func led(_ count: Int = 3) -> Cluster {
        let cluster = Cluster(count, registers: true)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.tickAll(times: 2)
        return cluster
    }

    private func incarnation(of peer: Int, at id: Int, in cluster: Cluster) -> UInt64? {
        cluster[id].disk.peers.first { $0.replica == cluster[peer].id }?.incarnation
    }

    @Test func startsAreRememberedDurably() {
        let cluster = led()
        for id in 1...3 { #expect(cluster.raft(id).standing == .trusted) }
        #expect(incarnation(of: 3, at: 1, in: cluster) == 1)
        cluster.crash(3)
        cluster.start(3)
        #expect(cluster.raft(3).standing == .registering)
        cluster.settle()
        #expect(cluster.raft(3).standing == .trusted)
        #expect(incarnation(of: 3, at: 1, in: cluster) == 2)
        #expect(incarnation(of: 3, at: 2, in: cluster) == 2)
        #expect(cluster.checker.violations == [])
    }

    @Test func theAnswerWaitsForTheRecord() {
        let cluster = led()
        cluster.crash(3)
        cluster[1].diskIsStuck = true
        cluster[2].diskIsStuck = true
        cluster.start(3)
        cluster.tick(3, times: 30)
        cluster.settle()
        #expect(cluster.raft(3).standing == .registering)
        cluster.sync(2)
        cluster.settle()
        #expect(cluster.raft(3).standing == .trusted)
    }

    @Test func whileItRegistersAReplicaTakesEntriesButPromisesNothing() {
        let cluster = led()
        cluster.crash(3)
        cluster.propose("b", at: 1)
        cluster.settle()
        for id in [1, 2] { cluster.cut.append((ReplicaID(UInt64(id)), ReplicaID(3))) }
        cluster.start(3)
        cluster.sent = []
        // What the leader sends arrives by another way; no answer to the registration does.
        let term = cluster.raft(1).term
        for _ in 0..<6 {
            cluster.tick(1, times: 2)
            let sent = cluster.sent
            cluster.sent = []
            for message in sent where message.to == ReplicaID(3) {
                if case .registrationAnswer = message.kind { continue }
                cluster.deliver(message)
            }
            cluster.settle()
        }
        cluster.deliver(
            ElectionTests.voteRequest(
                from: 2, to: 3, term: term.rawValue + 5, lastIndex: 99,
                lastTerm: term.rawValue + 4))
        cluster.settle()
        #expect(cluster.raft(3).standing == .registering)
        #expect(cluster.raft(3).lastIndex == cluster.raft(1).lastIndex)
        let promises = cluster.sent { kind in
            switch kind {
            case .voteResponse(granted: true), .appendResponse(.accepted): true
            case .heartbeatResponse(let round, _): round > 0
            default: false
            }
        }.filter { $0.from == ReplicaID(3) }
        #expect(promises == [])
        cluster.tick(3, times: 60)
        #expect(cluster.raft(3).role == .follower)
        cluster.heal()
        cluster.tickAll(times: 40)
        #expect(cluster.raft(3).standing == .trusted)
        #expect(cluster.commands(at: 3) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }

    @Test func aQuorumOfRestartedReplicasElectsWithoutTheOthers() {
        let cluster = led()
        for id in 1...3 { cluster.crash(id) }
        cluster.start(2)
        cluster.start(3)
        cluster.tickAll(times: 60)
        #expect(cluster.leaders.count == 1)
        #expect(cluster.propose("b", at: cluster.leaders[0]) != .refused(.notLeader(leader: nil)))
        cluster.settle()
        #expect(cluster.commands(at: 2) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }

    @Test func oneAloneNeverTrustsItself() {
        let cluster = led()
        for id in 1...3 { cluster.crash(id) }
        cluster.start(2)
        cluster.tick(2, times: 100)
        #expect(cluster.raft(2).standing == .registering && cluster.raft(2).role == .follower)
    }

    @Test func aRestoredVolumeOfAnEarlierStartIsFoundOut() {
        let cluster = led()
        cluster.crash(3)
        let image = cluster.image(of: 3)
        cluster.start(3)
        cluster.tickAll(times: 4)
        // Nothing was written since but the start.
        cluster.restore(image, to: 3)
        cluster.start(3)
        cluster.settle()
        #expect(cluster.raft(3).standing == .quarantined)
        #expect(cluster[3].quarantined.count == 1)
        // Two starts of one image have the same number, and the peers heard both.
        guard case .startedTwice = cluster[3].quarantined[0] else {
            Issue.record("\(cluster[3].quarantined)")
            return
        }
        #expect(cluster[1].alarms == [.raised(.memberQuarantined(ReplicaID(3)))])
        #expect(cluster.checker.violations == [])
    }

    /// The peers that heard the first of the two starts have restarted since, and have nothing else
    /// against the second.
    @Test func twoStartsOfOneNumberAreFoundOutByPeersThatHaveRestarted() {
        let cluster = led()
        cluster.crash(3)
        let image = cluster.image(of: 3)
        cluster.start(3)
        cluster.tickAll(times: 4)
        for id in [1, 2] {
            cluster.crash(id)
            cluster.start(id)
        }
        cluster.settle()
        cluster.restore(image, to: 3)
        cluster.start(3)
        cluster.settle()
        #expect(cluster[3].incarnation == 2)
        guard case .startedTwice? = cluster[3].quarantined.first else {
            Issue.record("\(cluster.raft(3).standing), \(cluster[3].quarantined)")
            return
        }
        #expect(cluster.checker.violations == [])
    }

    /// One that knows of the first start from its leader's records alone finds out the second.
    @Test func startsAreToldToOthersWithWhatTheyHaveAcknowledged() {
        let cluster = led()
        cluster.crash(3)
        let image = cluster.image(of: 3)
        cluster.cut = [(ReplicaID(3), ReplicaID(2)), (ReplicaID(2), ReplicaID(3))]
        cluster.start(3)
        cluster.tickAll(times: 40)
        cluster.propose("b", at: 1)
        cluster.settle()
        cluster.tickAll(times: 4)
        #expect(incarnation(of: 3, at: 2, in: cluster) == 2)
        cluster.restore(image, to: 3)
        cluster.cut = [(ReplicaID(3), ReplicaID(1)), (ReplicaID(1), ReplicaID(3))]
        cluster.start(3)
        cluster.settle()
        guard case .startedTwice(of: ReplicaID(2))? = cluster[3].quarantined.first else {
            Issue.record("\(cluster.raft(3).standing), \(cluster[3].quarantined)")
            return
        }
    }

    @Test func aReplicaBehindWhatItAcknowledgedIsFoundOut() {
        let cluster = led()
        let image = cluster.image(of: 3)
        cluster.propose("b", at: 1)
        cluster.settle()
        // As if power was lost and the disk had not kept what it synced.
        cluster.restore(image, to: 3)
        cluster.start(3)
        cluster.settle()
        #expect(cluster.raft(3).standing == .quarantined)
        guard case .behindRecord(_, let record)? = cluster[3].quarantined.first else {
            Issue.record("\(cluster[3].quarantined)")
            return
        }
        #expect(record.lastIndex == LogIndex(3))
    }

    @Test func otherMembersRememberWhatWasAcknowledgedToALostLeader() {
        let cluster = led()
        let image = cluster.image(of: 3)
        cluster.isolate(2)
        cluster.propose("b", at: 1)
        cluster.settle()
        // 2 lacks "b", but hears of it with the next heartbeats.
        cluster.heal()
        cluster.network = []
        cluster.tick(1, times: 2)
        for message in cluster.network where message.to == ReplicaID(2) {
            if case .memberRecords = message.kind { cluster.deliver(message) }
        }
        cluster.network = []
        cluster.crash(1)
        cluster.restore(image, to: 3)
        cluster.start(3)
        // Without the record these two would elect one that lacks a committed entry.
        cluster.tickAll(times: 100)
        #expect(cluster.raft(3).standing == .quarantined)
        #expect(cluster.leaders == [])
        cluster.start(1)
        cluster.tickAll(times: 100)
        #expect(cluster.leaders == [1])
        #expect(cluster.checker.violations == [])
    }

    @Test func aForgottenVoteIsFoundOut() {
        let cluster = Cluster(3, registers: true)
        let image = cluster.image(of: 3)
        cluster.isolate(2)
        cluster.elect(1)
        #expect(cluster.raft(3).vote == ReplicaID(1))
        cluster.restore(image, to: 3)
        cluster.start(3)
        cluster.tickAll(times: 3)
        #expect(cluster.raft(3).standing == .quarantined)
        #expect(cluster.checker.violations == [])
    }

    /// Replica 2 had answered start 2 of replica 3, and has lost its record of that to damage; an
    /// earlier one is left. What 3 promises in start 2 must not be held against start 1.
    @Test func aPromiseIsNotHeldAgainstAnEarlierStartThanItsOwn() {
        let cluster = led()
        let earlier = cluster[2].disk.peers
        cluster.crash(3)
        cluster.start(3)
        cluster.tickAll(times: 4)
        cluster.crash(1)
        cluster.crash(2)
        cluster[2].disk.peers = earlier
        cluster[2].disk.peersAreIncomplete = true
        cluster.start(2)
        #expect(incarnation(of: 3, at: 2, in: cluster) == 1)
        cluster.settle()
        cluster.elect(2)
        #expect(cluster.leaders == [2])
        cluster.propose("b", at: 2)
        cluster.settle()
        cluster.tickAll(times: 8)
        #expect(cluster.raft(3).standing == .trusted)
        #expect(cluster[3].quarantined == [])
        #expect(incarnation(of: 3, at: 2, in: cluster) == 2)
        #expect(cluster.commands(at: 3) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }

    @Test func quarantineIsForGood() {
        let cluster = led()
        let image = cluster.image(of: 3)
        cluster.propose("b", at: 1)
        cluster.settle()
        cluster.restore(image, to: 3)
        cluster.start(3)
        cluster.settle()
        for _ in 0..<4 {
            cluster.crash(3)
            cluster.start(3)
            cluster.tickAll(times: 30)
            #expect(cluster.raft(3).standing == .quarantined)
        }
        #expect(cluster[3].quarantined.last == .quarantinedBefore)
        // Even with its own memory of it gone, and all that it had acknowledged brought back.
        cluster.crash(3)
        cluster[3].disk.peers = []
        cluster[3].disk.entries = cluster[1].disk.entries
        cluster[3].disk.hardState = cluster[1].disk.hardState
        cluster.start(3)
        cluster.settle()
        #expect(cluster.raft(3).standing == .quarantined)
        // It says nothing but that, and hinders nobody.
        cluster.sent = []
        cluster.propose("c", at: 1)
        cluster.tickAll(times: 50)
        #expect(cluster.commands(at: 2) == ["a", "b", "c"])
        let said = cluster.sent.filter { $0.from == ReplicaID(3) }
        #expect(!said.isEmpty)
        #expect(
            said.allSatisfy {
                if case .registration(let own) = $0.kind { own.isQuarantined } else { false }
            })
        // A new leader knows of it, and alarms in its turn.
        #expect(cluster.transfer(to: 3, at: 1) == .refused(.ineligible(ReplicaID(3))))
        cluster.transfer(to: nil, at: 1)
        cluster.settle()
        #expect(cluster.leaders == [2])
        #expect(cluster[1].alarms.last == .lowered(.memberQuarantined(ReplicaID(3))))
        #expect(cluster[2].alarms == [.raised(.memberQuarantined(ReplicaID(3)))])
        #expect(cluster.checker.violations == [])
    }

    @Test func aLogThatCannotBeTrustedQuarantinesAtOnce() throws {
        var restored = RestoredState(
            hardState: HardState(), configuration: Configuration(voters: [ReplicaID(1)]),
            log: .empty, appliedIndex: .zero, incarnation: 2)
        restored.logIsUntrusted = true
        var raft = try RaftGroup(
            group: .defaultKeyspace, replica: ReplicaID(1), settings: RaftSettings(),
            restored: restored, seed: 1)
        #expect(raft.started().quarantined == .untrustedLog)
        for _ in 0..<100 { #expect(raft.ticked().quarantined == nil) }
        #expect(raft.role == .follower && raft.standing == .quarantined)
    }

    /// The log of 3 ended with (index 3, term 3), acknowledged to the leader of term 3 and never
    /// committed; the leader of term 4 replaces it in two messages, and 3 crashes between them.
    @Test func aShorterLogOfAnEarlierTermCanBeLegal() {
        let cluster = Cluster(
            3,
            disks: [
                ReplicationTests.disk(terms: [1, 2, 2, 2], term: 3),
                ReplicationTests.disk(terms: [1, 2, 2, 2], term: 3),
                ReplicationTests.disk(terms: [1, 3, 3], term: 3),
            ], registers: true)
        for id in [1, 2] {
            // They remember what 3 had reached, as far as it binds.
            cluster[id].disk.peers.append(
                PeerRecord(
                    replica: ReplicaID(3), incarnation: 1, term: Term(3), lastIndex: LogIndex(1),
                    lastTerm: Term(1)))
            cluster.crash(id)
            cluster.start(id)
        }
        cluster.settle()
        cluster.crash(3)
        cluster[3].disk = ReplicationTests.disk(terms: [1, 2], term: 4)
        cluster.start(3)
        cluster.tickAll(times: 60)
        #expect(cluster.raft(3).standing == .trusted)
        #expect(cluster.leaders.count == 1)
        #expect(cluster[3].quarantined == [])
    }

    @Test func lateCopiesOfARegistrationDoNoHarm() {
        let cluster = led()
        cluster.crash(3)
        cluster.start(3)
        let registrations = cluster.sent.filter {
            guard case .registration = $0.kind else { return false }
            return $0.from == ReplicaID(3)
        }
        #expect(registrations.count == 2)
        cluster.settle()
        for i in 0..<5 { cluster.propose("\(i)", at: 1) }
        cluster.settle()
        cluster.tickAll(times: 4)
        // To one that has forgotten which start it had heard of, too: only 3 itself can tell.
        cluster.crash(2)
        cluster.start(2)
        cluster.settle()
        for message in registrations + registrations { cluster.deliver(message) }
        cluster.settle()
        #expect(cluster.raft(3).standing == .trusted)
        #expect(cluster[3].quarantined == [] && cluster[1].alarms == [])
        // Of an earlier start, likewise.
        cluster.crash(3)
        cluster.start(3)
        cluster.settle()
        for message in registrations { cluster.deliver(message) }
        cluster.settle()
        #expect(cluster.raft(3).standing == .trusted)
        #expect(cluster.checker.violations == [])
    }

    @Test func aNewSeatOnTheSameNodeStartsEmpty() {
        let cluster = led()
        cluster.propose("b", at: 1)
        cluster.settle()
        // Nobody remembers it.
        cluster.crash(3)
        cluster[3].disk = SimulatedDisk()
        cluster[3].incarnation = 0
        cluster[3].applied = []
        cluster[3].durablyApplied = 0
        for id in [1, 2] {
            cluster.crash(id)
            cluster[id].disk.peers = []
            cluster.start(id)
        }
        cluster.start(3)
        cluster.tickAll(times: 60)
        #expect(cluster.raft(3).standing == .trusted)
        #expect(cluster.commands(at: 3) == ["a", "b"])
    }

    /// Chance rolls disks back, one replica of five at a time, while all live: whoever had promised
    /// something since is found out, and nothing committed is lost.
    @Test func rolledBackDisksNeverHarm() {
        var found = 0
        var harmless = 0
        for seed in 0..<8 {
            let cluster = Cluster(
                5, settings: RaftSettings(heartbeatTicks: 2, cacheBytesMax: 300),
                seed: UInt64(seed), registers: true)
            cluster.recordsSent = false
            var chance = SeededGenerator(seed: UInt64(seed))
            cluster.elect(1)
            var images = cluster.ids.map { cluster.image(of: $0) }
            var victims: Set<Int> = []
            for step in 0..<400 where cluster.checker.violations.isEmpty {
                for id in cluster.running { cluster.tick(id) }
                cluster.network.removeAll { _ in chance.next() % 100 < 5 }
                cluster.settle()
                if chance.next() % 3 == 0, let leader = cluster.leaders.last {
                    cluster.propose("\(step)", at: leader)
                }
                let id = Int(chance.next() % 5) + 1
                if chance.next() % 20 == 0 { images[id - 1] = cluster.image(of: id) }
                if chance.next() % 60 == 0, !victims.contains(id) {
                    cluster.crash(id)
                    cluster.start(id)
                }
                // Two of five may be lost.
                if step % 150 == 149, victims.count < 2, !victims.contains(id) {
                    cluster.tickAll(times: 6)
                    let before = cluster.image(of: id)
                    cluster.restore(images[id - 1], to: id)
                    cluster.start(id)
                    cluster.tickAll(times: 6)
                    if cluster.raft(id).standing == .quarantined {
                        found += 1
                        victims.insert(id)
                    } else {
                        harmless += 1
                        #expect(before.disk.hardState.term == cluster[id].disk.hardState.term)
                    }
                }
            }
            cluster.tickAll(times: 60)
            #expect(cluster.checker.violations.isEmpty, "seed \(seed)")
            #expect(cluster.leaders.count == 1, "seed \(seed)")
        }
        #expect(found >= 8 && harmless < found, "\(found) found, \(harmless) harmless")
    }
}
