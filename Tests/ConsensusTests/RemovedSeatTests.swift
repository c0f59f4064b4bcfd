import Consensus
import Primitives
import Testing

/// DESIGN, decision 2: "a removed id never returns". Nor does it vote for those who do not know yet.
@Suite struct RemovedSeatTests {
    /// Voters 1 to 3, and 4, which joined them; each has the log from the beginning.
    private func joined() -> Cluster {
        let cluster = Cluster(
            3,
            settings: RaftSettings(
                heartbeatTicks: 2, entriesKept: 0, entriesKeptForFollowers: 0,
                truncationBatch: 1),
            registers: true)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        #expect(cluster.join() == 4)
        cluster.change(cluster.voter(4), at: 1)
        cluster.settle()
        cluster.tickAll(times: 4)
        #expect(cluster.raft(4).standing == .trusted)
        // The commit index is written along with other writes only.
        for command in ["b", "c"] {
            cluster.propose(command, at: 1)
            cluster.settle()
        }
        return cluster
    }

    private func remove(_ id: Int, from cluster: Cluster) {
        cluster.change(cluster.removal(id), at: 1)
        cluster.settle()
        cluster.propose("b", at: 1)
        cluster.settle()
        // The others forget it: their logs begin behind its removal.
        for other in 1...3 where other != id { cluster.persist(other) }
        cluster.tickAll(times: 3 * cluster.settings.electionTimeoutTicks)
        for other in 1...3 where other != id {
            #expect(cluster.raft(other).firstIndex > cluster.raft(other).configurationIndex)
        }
    }

    private func answers(to id: Int, in cluster: Cluster) -> [RegistrationVerdict] {
        cluster.sent.compactMap { message in
            guard message.to == cluster[id].id,
                case .registrationAnswer(_, _, let verdict) = message.kind
            else { return nil }
            return verdict
        }
    }

    @Test func aRemovedSeatOnARestoredVolumeIsQuarantinedAsRemoved() {
        let cluster = joined()
        cluster.crash(4)
        let image = cluster.image(of: 4)
        cluster.start(4)
        cluster.settle()
        remove(4, from: cluster)
        cluster.restore(image, to: 4)
        cluster.start(4)
        #expect(cluster.voters(at: 4) == [1, 2, 3, 4])
        cluster.settle()
        guard case .removed(let place, _)? = cluster[4].quarantined.first else {
            Issue.record("\(cluster.raft(4).standing), \(cluster[4].quarantined)")
            return
        }
        #expect(place.index > cluster.raft(1).configurationIndex)
        #expect(cluster.raft(4).standing == .quarantined)
        #expect(cluster.checker.violations == [])
    }

    /// What a founder's log says at index zero proves nothing: it may be a joiner's address book.
    @Test func aRemovedFounderWaitsForEverAndPromisesNothing() {
        let cluster = joined()
        cluster.crash(3)
        let image = cluster.image(of: 3)
        var atTheBeginning = image
        atTheBeginning.disk = SimulatedDisk()
        atTheBeginning.applied = []
        cluster.start(3)
        cluster.settle()
        remove(3, from: cluster)
        cluster.restore(atTheBeginning, to: 3)
        cluster.isolate(4)
        cluster.start(3)
        cluster.sent = []
        cluster.tickAll(times: 5 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.voters(at: 3) == [1, 2, 3])
        let verdicts = answers(to: 3, in: cluster)
        #expect(!verdicts.isEmpty)
        for verdict in verdicts {
            guard case .stranger = verdict else {
                Issue.record("\(verdict)")
                continue
            }
        }
        // 4 has not heard of the removal, and asks.
        cluster.deliver(
            ElectionTests.voteRequest(from: 4, to: 3, term: 99, lastIndex: 99, lastTerm: 98))
        cluster.tickAll(times: 10)
        #expect(cluster.raft(3).standing == .registering)
        let votes = cluster.sent { kind in
            if case .voteResponse(granted: true) = kind { true } else { false }
        }.filter { $0.from == ReplicaID(3) }
        #expect(votes == [])
        #expect(cluster.checker.violations == [])
    }

    @Test func aSeatThatIsNotAMemberYetGoesOnWaiting() {
        let cluster = Cluster(3, registers: true)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.join()
        cluster.tickAll(times: 5 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.raft(4).standing == .registering)
        #expect(cluster[4].quarantined == [])
        cluster.change(cluster.voter(4), at: 1)
        cluster.settle()
        cluster.tickAll(times: 4)
        #expect(cluster.raft(4).standing == .trusted)
        cluster.propose("b", at: 1)
        cluster.settle()
        #expect(cluster.commands(at: 4) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }

    /// 1 has made 4 a voter and told 2 alone. Without 1 the votes of 2, 3 and 4 are needed, and 3
    /// does not know 4.
    @Test func aSeatWhoseConfigurationIsNotCommittedVotesThoughOneDoesNotKnowIt() {
        let cluster = Cluster(3, registers: true)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.tickAll(times: 2)
        cluster.join()
        cluster.settle()
        #expect(cluster.raft(4).standing == .registering)
        for id in [3, 4] { cluster.cut.append((cluster[1].id, cluster[id].id)) }
        cluster.change(cluster.voter(4), at: 1)
        cluster.settle()
        cluster.crash(1)
        cluster.heal()
        #expect(cluster.voters(at: 2) == [1, 2, 3, 4] && cluster.voters(at: 3) == [1, 2, 3])
        #expect(cluster.raft(4).lastIndex == .zero)
        cluster.tickAll(times: 10 * cluster.settings.electionTimeoutTicks)
        #expect(cluster.leaders == [2])
        #expect(cluster.raft(4).standing == .trusted)
        cluster.propose("b", at: 2)
        cluster.settle()
        #expect(cluster.commands(at: 4) == ["a", "b"])
        #expect(cluster.checker.violations == [])
    }

    @Test func aMemberRestartsBesideOneThatHasNotHeardOfItYet() {
        let cluster = Cluster(3, registers: true)
        cluster.elect(1)
        cluster.propose("a", at: 1)
        cluster.settle()
        cluster.isolate(3)
        cluster.join()
        cluster.change(cluster.voter(4), at: 1)
        cluster.settle()
        cluster.tickAll(times: 4)
        #expect(cluster.raft(4).standing == .trusted)
        for id in [1, 4] { cluster.crash(id) }
        cluster.heal()
        cluster.cut.append((cluster[2].id, cluster[3].id))
        cluster.sent = []
        cluster.start(4)
        cluster.tickAll(times: 2 * cluster.settings.electionTimeoutTicks)
        let strangers = answers(to: 4, in: cluster).filter {
            if case .stranger = $0 { true } else { false }
        }
        #expect(!strangers.isEmpty, "3 does not know 4")
        #expect(cluster.raft(4).standing == .trusted)
        #expect(cluster.checker.violations == [])
    }

    /// Every log that holds the place at or behind a removal has no configuration behind it that
    /// names who was removed. So a log names somebody only behind places that it holds.
    @Test func aLogNamesAReplicaBehindThePlacesThatItHolds() {
        let cluster = joined()
        let raft = cluster.raft(1)
        let named = raft.configurationIndex
        let before = named.previous
        let term = raft.term(at: before)!
        func verdict(_ index: LogIndex, _ term: Term) -> [RegistrationVerdict] {
            cluster.sent = []
            let own = Registration(
                incarnation: cluster[4].incarnation + 1, start: 7, term: raft.term,
                lastIndex: raft.lastIndex, lastTerm: raft.term(at: raft.lastIndex)!,
                absence: CommittedPlace(index: index, term: term))
            cluster.deliver(
                RaftMessage(
                    group: .defaultKeyspace, from: cluster[4].id, to: cluster[1].id,
                    term: raft.term, kind: .registration(own)))
            cluster.sync(1)
            return answers(to: 4, in: cluster)
        }
        #expect(verdict(before, term) == [.registered(behind: before)])
        #expect(verdict(before, term.next) == [.registered(behind: nil)])
        #expect(verdict(named, raft.term(at: named)!) == [.registered(behind: nil)])
        #expect(verdict(LogIndex(99), term) == [.registered(behind: nil)])
    }
}
