import Consensus
import MultiRaft
import Primitives
import Testing

@Suite struct ProposalTests {
    private static let raft = RaftSettings(heartbeatTicks: 2)

    private static func elected(_ seed: UInt64 = 1, groups: Int = 1) -> World {
        let world = World(groups: groups, raft: raft, seed: seed)
        while !world.hasLeaders() { world.tickAll() }
        return world
    }

    @Test func aFollowerForwardsAndAnswersFromItsOwnApply() {
        let world = Self.elected()
        let leader = world.leader(of: GroupID(1))!
        let follower = world.running.first { $0 != leader }!
        world.sent = []
        let sequence = world.propose(at: follower)
        #expect(world.sent.map(\.batch.forwards.count) == [1])
        world.settle()
        #expect(world[follower].answered == [sequence])
        #expect(world[leader].answered == [])
        for id in world.ids { #expect(world.commands(GroupID(1), at: id).count == 1) }
        #expect(world.violations == [])
    }

    @Test func aRepeatedForwardIsAppendedOnce() {
        let world = Self.elected()
        let leader = world.leader(of: GroupID(1))!
        let follower = world.running.first { $0 != leader }!
        world.propose(at: follower)
        world.network += world.network.filter { !$0.batch.forwards.isEmpty }
        #expect(world.network.count(where: { !$0.batch.forwards.isEmpty }) == 2)
        world.settle()
        #expect(world.commands(GroupID(1), at: leader).count == 1)
    }

    @Test func aForwardThatDidNotLeaveIsSentAgainAtTheNextTick() {
        let world = Self.elected()
        let leader = world.leader(of: GroupID(1))!
        let follower = world.running.first { $0 != leader }!
        world.propose(at: follower)
        let lost = world.network.filter { !$0.batch.forwards.isEmpty }
        world.network.removeAll { !$0.batch.forwards.isEmpty }
        world.sent = []
        world.event(follower) { $0.undelivered(lost[0].batch, to: lost[0].to) }
        #expect(world.sent.allSatisfy { $0.batch.forwards.isEmpty })
        world.tickAll()
        #expect(world.sent.count(where: { !$0.batch.forwards.isEmpty }) == 1)
        #expect(world[follower].answered.count == 1)
        #expect(world.commands(GroupID(1), at: leader).count == 1)
    }

    @Test func whatAnEarlierTermTookIsSentAgainOnceALaterTermIsApplied() {
        let world = Self.elected()
        let old = world.leader(of: GroupID(1))!
        world.isolate(old)
        let sequence = world.propose(at: old)
        world.settle()
        #expect(world[old].answered == [])
        world.tickAll(60)
        #expect(world.leader(of: GroupID(1)) != old)
        world.heal()
        world.tickAll(40)
        #expect(world[old].answered == [sequence])
        for id in world.ids { #expect(world.commands(GroupID(1), at: id).count == 1) }
        #expect(world.violations == [])
    }

    @Test func aClientWhoseTimeIsUpIsToldWhetherItsCommandMayStillBeApplied() {
        let world = Self.elected()
        let leader = world.leader(of: GroupID(1))!
        let follower = world.running.first { $0 != leader }!
        world.isolate(follower)
        let forwarded = world.propose(at: follower, patience: 50_000_000)
        world.tickAll(20)
        let neverSent = world.propose(at: follower, patience: 30_000_000)
        world.tickAll(40)
        #expect(
            world[follower].failed == [
                FailedRequest(id: forwarded, group: GroupID(1), failure: .outcomeUnknown),
                FailedRequest(id: neverSent, group: GroupID(1), failure: .noLeader),
            ])
    }

    @Test func requestsBeyondALimitAreRefused() {
        let world = World(groups: 1, raft: Self.raft)
        var multi = MultiRaft(
            node: NodeID(1), incarnation: 1,
            settings: MultiRaftSettings(maxPendingProposals: 1, maxWaitingReads: 1),
            groups: [world[1].multi!.group(GroupID(1))!], seed: 1)
        let deadline = MonotonicTime(nanoseconds: 10)
        for sequence in [1, 2] as [UInt64] {
            multi.propose(
                NodeProposal(
                    sequence: sequence, group: GroupID(1), command: [1], deadline: deadline))
            multi.read(sequence, of: GroupID(1), deadline: deadline)
        }
        multi.propose(
            NodeProposal(sequence: 3, group: GroupID(9), command: [1], deadline: deadline))
        let effects = multi.endTurn(now: deadline, wallClock: 1)
        #expect(effects.readsFailed.map(\.failure) == [.overloaded])
        #expect(effects.proposalsFailed.map(\.failure) == [.overloaded, .notServing])
        #expect(
            multi.stopped().proposalsFailed == [
                FailedRequest(id: 1, group: GroupID(1), failure: .stopping)
            ])
    }

    /// Leaders fall all the time while clients of all nodes write: each command is applied at most
    /// once, those that were answered are applied, and those that certainly failed are not.
    @Test(arguments: 0..<(isThorough ? 15 : 6) as Range<UInt64>)
    func eachProposalIsAppliedAtMostOnceUnderFaults(seed: UInt64) {
        let world = World(groups: 3, raft: Self.raft, seed: seed)
        world.loss = 5
        world.repetition = 10
        world.delay = 20
        world.lag = 30
        var sent: [(node: Int, sequence: UInt64)] = []
        for _ in 0..<300 {
            world.tickAll()
            for id in world.running where world.chance(40) {
                let group = Int(world.generator.next() % 3) + 1
                sent.append((id, world.propose(group, at: id, patience: 60_000_000)))
            }
            switch world.generator.next() % 60 {
            case 0:
                world.heal()
                world.isolate(Int(world.generator.next() % 3) + 1)
            case 1, 2, 3: world.heal()
            case 4:
                let id = Int(world.generator.next() % 3) + 1
                if world.running.count == 3 { world.crash(id) }
            case 5, 6, 7: for id in world.ids where world[id].multi == nil { world.start(id) }
            default: break
            }
        }
        world.loss = 0
        world.heal()
        for id in world.ids where world[id].multi == nil { world.start(id) }
        world.tickAll(200)

        #expect(world.violations == [], "seed \(seed)")
        var applied: Set<Bytes> = []
        var commands: [Bytes] = []
        for group in world.groupIDs {
            let first = world.commands(group, at: 1)
            commands += first
            for id in [2, 3] {
                let equal = world.commands(group, at: id) == first
                #expect(equal, "seed \(seed): group \(group) at nodes 1 and \(id)")
            }
        }
        for command in commands {
            #expect(applied.insert(command).inserted, "seed \(seed): \(command) applied twice")
        }
        #expect(commands.count > 50, "seed \(seed): \(commands.count) commands")
        for id in world.ids {
            let failed = world[id].failed
            for request in failed where request.failure != .outcomeUnknown {
                let bytes = (0..<8).map {
                    UInt8(truncatingIfNeeded: request.id >> (56 - 8 * UInt64($0)))
                }
                #expect(
                    !commands.contains { $0[0] == UInt8(id) && Array($0[2...]) == bytes },
                    "seed \(seed): \(request) was applied")
            }
            // No client is left without a word, but those of a life that ended.
            let told = Set(world[id].answered).union(failed.map(\.id))
            for request in sent
            where request.node == id && request.sequence >> 32 == world[id].incarnation {
                #expect(told.contains(request.sequence), "seed \(seed): \(request)")
            }
        }
    }
}
