import Consensus
import MultiRaft
import Primitives
import Testing

@Suite struct HibernationTests {
    static let timeout = 20
    static let raft = RaftSettings(
        electionTimeoutTicks: timeout, heartbeatTicks: 4, hibernationTicks: 40)

    static func asleep(
        groups: Int, nodes: Int = 3, raft: RaftSettings = raft, seed: UInt64 = 1
    ) -> World {
        let world = World(nodes: nodes, groups: groups, raft: raft, seed: seed)
        var patience = 600
        while world.running.contains(where: { world[$0].multi!.activeCount > 0 }), patience > 0 {
            world.tickAll()
            patience -= 1
        }
        for id in world.ids { #expect(world[id].multi!.activeCount == 0, "node \(id)") }
        #expect(world.hasLeaders())
        #expect(world.violations == [])
        world.tickAll(Self.timeout)
        world.sent = []
        return world
    }

    /// Ticks until all groups have a leader that is not on a node that was crashed.
    private static func ticksUntilLed(_ world: World, limit: Int) -> Int {
        var ticks = 0
        while !world.hasLeaders(), ticks < limit {
            world.tickAll()
            ticks += 1
        }
        return ticks
    }

    /// What sleep costs: of 10,000 groups not one is touched.
    @Test func aTickOf10000SleepingGroupsTouchesNoneOfThem() {
        let quick = RaftSettings(electionTimeoutTicks: 4, heartbeatTicks: 2, hibernationTicks: 1)
        let world = Self.asleep(groups: 10_000, nodes: 1, raft: quick)
        let before = world[1].multi!.counters
        world.tickAll(1_000)
        #expect(world[1].multi!.counters == before)
        #expect(world.violations == [])
    }

    @Test func nodesWhoseGroupsSleepSendEachOtherOneSignOfLifeInAnInterval() {
        let world = Self.asleep(groups: 100)
        let before = world.ids.map { world[$0].multi!.counters }
        world.tickAll(100)
        for id in world.ids {
            var expected = before[id - 1]
            expected.signsOfLifeSent += 2 * 100 / 4
            expected.batchesSent += 2 * 100 / 4
            #expect(world[id].multi!.counters == expected)
        }
        #expect(world.violations == [])
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func afterALeadersDeathEachGroupElectsWithinTwoElectionTimeouts(seed: UInt64) {
        let world = Self.asleep(groups: 100, seed: seed)
        let dead = Int(seed % 3) + 1
        let led = world.groupIDs.filter { world.leader(of: $0) == dead }
        #expect(!led.isEmpty)
        world.crash(dead)
        let ticks = Self.ticksUntilLed(world, limit: 10 * Self.timeout)
        // One more, since time is counted from the last word of the dead.
        #expect(ticks <= 2 * Self.timeout + 1, "seed \(seed)")
        #expect(ticks > Self.timeout, "seed \(seed)")
        for group in led {
            let leader = world.leader(of: group)!
            // Nobody's vote was split.
            #expect(world[leader].multi!.group(group)!.term.rawValue <= 3, "seed \(seed): \(group)")
        }
        #expect(world.violations == [], "seed \(seed)")
    }

    @Test func theGroupsOfALostNodeAreNotAllToldInOneTick() {
        let world = Self.asleep(groups: 200)
        world.crash(1)
        var told: [UInt64] = []
        for _ in 0..<2 * Self.timeout {
            let before = world[2].multi!.counters.wakes
            world.tickAll()
            told.append(world[2].multi!.counters.wakes - before)
        }
        #expect(told.reduce(0, +) > 50)
        #expect(told.max()! < 50, "\(told)")
    }

    @Test func aRequestFindsALeaderBeforeTheGroupsTurnHasCome() {
        let world = Self.asleep(groups: 30)
        world.crash(1)
        world.tickAll(Self.timeout + 1)
        let survivor = 2
        let group = world.groupIDs.first {
            world[survivor].multi!.isAsleep($0)
                && world[survivor].multi!.group($0)!.leader == ReplicaID(1)
        }!
        let sequence = world.propose(Int(group.rawValue), at: survivor)
        // The quarter of a timeout that a campaign may wait.
        world.tickAll(Self.timeout / 4 + 2)
        #expect(world[survivor].answered == [sequence])
        #expect(world.violations == [])
    }

    @Test func aRequestWakesASleepingGroupAndIsServed() {
        let world = Self.asleep(groups: 3)
        for id in world.ids {
            world.event(id) {
                $0.read(UInt64(id), of: GroupID(2), deadline: MonotonicTime(nanoseconds: .max))
            }
            world.settle()
            #expect(world[id].readsReady == [UInt64(id)], "node \(id)")
            let sequence = world.propose(2, at: id)
            world.settle()
            #expect(world[id].answered == [sequence], "node \(id)")
        }
        // And it sleeps again, while the others never woke.
        let wakes = world[1].multi!.counters.wakes
        world.tickAll(100)
        #expect(world.ids.allSatisfy { world[$0].multi!.activeCount == 0 })
        #expect(world[1].multi!.counters.wakes == wakes)
        #expect(world.violations == [])
    }

    /// It comes back before anybody misses it: only its incarnation tells.
    @Test func aNodeThatRestartsUnnoticedDoesNotLeaveItsGroupsWithoutALeader() {
        let world = Self.asleep(groups: 60)
        let led = world.groupIDs.filter { world.leader(of: $0) == 1 }
        #expect(!led.isEmpty)
        world.crash(1)
        world.start(1)
        let ticks = Self.ticksUntilLed(world, limit: 10 * Self.timeout)
        #expect(ticks <= 2 * Self.timeout, "\(ticks)")
        for id in [2, 3] {
            #expect(
                world[id].nodeChanges.contains { change in
                    if case .restarted(NodeID(1), incarnation: 2, _) = change { return true }
                    return false
                }, "node \(id)")
        }
        #expect(world.violations == [])
    }

    /// A leader whose followers' node is lost looks for its quorum; when it has none it steps down.
    @Test func aSleepingLeaderThatLosesItsQuorumStepsDown() {
        let world = Self.asleep(groups: 30)
        let led = world.groupIDs.filter { world.leader(of: $0) == 1 }
        world.crash(2)
        world.crash(3)
        world.tickAll(4 * Self.timeout)
        for group in led {
            #expect(world[1].multi!.group(group)!.role != .leader, "group \(group)")
        }
        #expect(world.violations == [])
    }

    @Test func aLeaderThatMerelyPausedKeepsItsGroups() {
        let world = Self.asleep(groups: 30)
        let terms = world.groupIDs.map { world[1].multi!.group($0)!.term }
        world.isolate(1)
        world.tickAll(Self.timeout / 2)
        world.heal()
        world.tickAll(3 * Self.timeout)
        #expect(world.groupIDs.map { world[1].multi!.group($0)!.term } == terms)
        #expect(world.ids.allSatisfy { world[$0].multi!.activeCount == 0 })
    }

    /// A node that is gone for good would keep every group that it was a member of awake.
    @Test func groupsSleepBesideADeadNodeAndItsMembersCatchUpWhenItReturns() {
        let world = Self.asleep(groups: 20)
        world.crash(3)
        world.tickAll(4 * Self.timeout)
        for group in 1...20 { world.propose(group, at: 1) }
        world.tickAll(10 * Self.timeout)
        for id in [1, 2] { #expect(world[id].multi!.activeCount == 0, "node \(id)") }
        for group in world.groupIDs { #expect(world.commands(group, at: 1).count == 1) }

        world.start(3)
        world.tickAll(10 * Self.timeout)
        for group in world.groupIDs {
            #expect(world.commands(group, at: 3) == world.commands(group, at: 1), "\(group)")
        }
        for id in world.ids { #expect(world[id].multi!.activeCount == 0, "node \(id)") }
        #expect(world.violations == [])
    }

    /// Its leader's word still reaches it, so that it has no reason to wake: nobody but the leader's
    /// node can know that it was away.
    @Test func aMemberThatCouldOnlyHearIsToldWhatItMissed() {
        let world = Self.asleep(groups: 12)
        let groups = world.groupIDs.filter { world.leader(of: $0) == 1 }
        #expect(!groups.isEmpty)
        world.cut = [[NodeID(3), NodeID(1)]]
        world.tickAll(2 * Self.timeout)
        // Appends are lost, too: 3 falls behind.
        world.cut = [[NodeID(3), NodeID(1)], [NodeID(1), NodeID(3)]]
        for group in groups { world.propose(Int(group.rawValue), at: 1) }
        world.tickAll(1)
        world.cut = [[NodeID(3), NodeID(1)]]
        world.tickAll(10 * Self.timeout)
        #expect(groups.allSatisfy { world[1].multi!.isAsleep($0) })

        world.heal()
        world.tickAll(4 * Self.timeout)
        for group in groups {
            #expect(world.commands(group, at: 3).count == 1, "group \(group)")
        }
        #expect(world.ids.allSatisfy { world[$0].multi!.activeCount == 0 })
        #expect(world.violations == [])
    }

    /// "A disruptive or returning node never unseats one": a follower that alone has lost sight of
    /// the leader asks those for votes that sleep beside it.
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func aFollowerCutOffFromASleepingLeaderDoesNotUnseatIt(seed: UInt64) {
        let world = Self.asleep(groups: 30, seed: seed)
        let terms = world.groupIDs.map { world[1].multi!.group($0)!.term }
        let leaders = world.groupIDs.map { world.leader(of: $0) }
        let (a, b) = (world[1].id, world[2].id)
        world.cut = [[a, b], [b, a]]
        world.tickAll(20 * Self.timeout)
        for (place, group) in world.groupIDs.enumerated() {
            #expect(world.leader(of: group) == leaders[place], "seed \(seed): \(group)")
            #expect(world[3].multi!.group(group)!.term == terms[place], "seed \(seed): \(group)")
        }
        #expect(world.violations == [], "seed \(seed)")
    }

    /// "A group with unexpired leases keeps a wake deadline on every voter."
    @Test func aDeadlineWakesItsGroupOnEveryVoterThoughTheLeaderIsDead() {
        let world = Self.asleep(groups: 5)
        let group = GroupID(4)
        for id in world.ids {
            let tick = world[id].multi!.ticks + 30
            world.event(id) { multi in
                multi.setWakeDeadline(group, atTick: tick + 50)
                multi.setWakeDeadline(group, atTick: tick)
                multi.setWakeDeadline(GroupID(5), atTick: tick)
                multi.setWakeDeadline(GroupID(5), atTick: nil)
            }
        }
        world.tickAll(29)
        #expect(world.ids.allSatisfy { world[$0].deadlines.isEmpty })
        #expect(world.ids.allSatisfy { world[$0].multi!.activeCount == 0 })
        world.crash(world.leader(of: group)!)
        world.tickAll(1)
        for id in world.running {
            #expect(world[id].deadlines == [group])
            #expect(!world[id].multi!.isAsleep(group))
        }
        #expect(world.violations == [])
    }

    /// Everything at once: groups fall asleep and wake while nodes die and messages are lost.
    @Test(arguments: 0..<(isThorough ? 8 : 5) as Range<UInt64>)
    func underFaultsEveryRequestFindsALeaderOnceTheNodesAreWell(seed: UInt64) {
        let world = World(groups: 4, raft: Self.raft, seed: 1_000 + seed)
        world.loss = 3
        world.repetition = 5
        world.delay = 10
        world.lag = 20
        var slept = false
        for _ in 0..<900 {
            world.tickAll()
            slept = slept || world.running.contains { world[$0].multi!.activeCount < 4 }
            if world.chance(3), let id = world.running.first {
                world.propose(Int(world.generator.next() % 4) + 1, at: id, patience: 40_000_000)
            }
            switch world.generator.next() % 150 {
            case 0: world.isolate(Int(world.generator.next() % 3) + 1)
            case 1, 2: world.heal()
            case 3 where world.running.count == 3:
                world.crash(Int(world.generator.next() % 3) + 1)
            case 4, 5: for id in world.ids where world[id].multi == nil { world.start(id) }
            default: break
            }
        }
        #expect(slept, "seed \(seed)")
        (world.loss, world.repetition, world.delay, world.lag) = (0, 0, 0, 0)
        world.heal()
        for id in world.ids where world[id].multi == nil { world.start(id) }
        world.tickAll(10 * Self.timeout)
        for id in world.ids {
            for group in 1...4 {
                let sequence = world.propose(group, at: id, patience: 200_000_000)
                world.tickAll(3)
                #expect(world[id].answered.last == sequence, "seed \(seed): \(id), \(group)")
            }
        }
        world.tickAll(200)
        for id in world.ids { #expect(world[id].multi!.activeCount == 0, "seed \(seed): \(id)") }
        #expect(world.violations == [], "seed \(seed)")
    }
}
