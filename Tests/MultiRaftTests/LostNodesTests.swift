import Consensus
import MultiRaft
import Primitives
import Testing

/// A group asleep takes no leader for alive whose node is lost, though it has not been told yet:
/// the groups of a lost node are told one after the other, within an election timeout.
@Suite struct LostNodesTests {
    private static let timeout = HibernationTests.timeout

    /// Node 1 is dead and missed, and nobody has been told yet.
    ///
    /// - Returns: a group that it led and that sleeps on node 2.
    private static func missed() throws -> (World, GroupID) {
        let world = HibernationTests.asleep(groups: 30)
        world.crash(1)
        world.tickAll(timeout + 1)
        let group = try #require(
            world.groupIDs.first { world[2].multi!.group($0)!.leader == ReplicaID(1) })
        #expect(world[2].nodeChanges.contains { if case .lost = $0 { true } else { false } })
        #expect(world[2].multi!.isAsleep(group))
        return (world, group)
    }

    /// "whoever asks for its vote ... must not hear that its leader is well"
    @Test func aSleeperThatHasNotBeenToldYetRefusesNoPreVoteOfALostNodesGroup() throws {
        let (world, group) = try Self.missed()
        let raft = world[2].multi!.group(group)!
        let request = RaftMessage(
            group: group, from: ReplicaID(3), to: ReplicaID(2), term: raft.term.next,
            kind: .preVoteRequest(
                VoteRequest(lastIndex: raft.lastIndex, lastTerm: raft.term)))
        var batch = NodeMessages(incarnation: world[3].incarnation)
        batch.append(request)
        world.sent = []
        world.event(2) { $0.received(batch, from: NodeID(3)) }
        let answers = world.sent.flatMap(\.batch.messages).filter { $0.group == group }.map(\.kind)
        #expect(answers == [.preVoteResponse(granted: true)])
        #expect(world[2].multi!.group(group)!.leader == nil)
        #expect(world.violations == [])
    }

    /// What runs out then must find a leader: waiting for one more election wait is too late.
    @Test func aDeadlineOfALostNodesGroupLeadsToAnElectionAtOnce() throws {
        let (world, group) = try Self.missed()
        for id in world.running {
            world.event(id) { $0.setWakeDeadline(group, atTick: $0.ticks + 1) }
        }
        world.tickAll()
        for id in world.running {
            #expect(world[id].deadlines == [group])
            #expect(world[id].multi!.group(group)!.leader != ReplicaID(1), "node \(id)")
        }
        // The quarter of a timeout that a campaign may wait, for both if they meet.
        world.tickAll(Self.timeout / 2)
        #expect(world.leader(of: group) != nil)
        #expect(world.violations == [])
    }

    /// A leader's last word comes after its node's new life was heard of, and after the groups were
    /// told of it: as a word of the term's leader it may still put a group to sleep.
    @Test func aLateWordOfAnEarlierLifePutsNoGroupToSleepForGood() throws {
        let world = World(groups: 1, raft: HibernationTests.raft)
        let group = GroupID(1)
        var leader = 0
        var lullaby: NodeMessages?
        for _ in 0..<600 where lullaby == nil {
            world.tickAll()
            leader = world.leader(of: group) ?? leader
            let (from, to) = (NodeID(UInt64(leader)), NodeID(UInt64(leader % 3 + 1)))
            lullaby =
                world.sent.last {
                    $0.from == from && $0.to == to
                        && $0.batch.heartbeats.contains { $0.heartbeat.hibernates }
                }?.batch
        }
        let late = try #require(lullaby)
        let follower = leader % 3 + 1
        world.crash(leader)
        world.start(leader)
        world.settle()
        #expect(
            world[follower].nodeChanges.contains {
                if case .restarted = $0 { true } else { false }
            })
        world.isolate(follower)
        // All that was arranged has been done: it has asked for votes, and nobody hears it.
        for _ in 0..<3 * Self.timeout {
            world.tick(follower)
            world.settle()
        }
        #expect(world[follower].multi!.group(group)!.role == .preCandidate)
        world.event(follower) { $0.received(late, from: NodeID(UInt64(leader))) }
        #expect(world[follower].multi!.isAsleep(group))
        world.tick(follower)
        #expect(!world[follower].multi!.isAsleep(group))
        #expect(world[follower].multi!.group(group)!.leader == nil)
        #expect(world.violations == [])
    }
}
