import Consensus
import MultiRaft
import Primitives
import Testing

@Suite struct CoalescingTests {
    /// 1,000 groups on three nodes, awake: what goes from a node to another in one heartbeat
    /// interval.
    @Test func heartbeatsOfAllGroupsLeaveAsOneBatchForEachNodeAndInterval() {
        let world = World(
            groups: 1_000, raft: RaftSettings(electionTimeoutTicks: 20, heartbeatTicks: 5))
        var patience = 200
        while !world.hasLeaders(), patience > 0 {
            world.tickAll()
            patience -= 1
        }
        #expect(world.hasLeaders())
        world.tickAll(25)
        world.sent = []
        world.tickAll(5)
        #expect(world.violations == [])

        let heartbeats = world.sent.reduce(0) { $0 + $1.batch.heartbeats.count }
        let answers = world.sent.reduce(0) { $0 + $1.batch.heartbeatAnswers.count }
        #expect(heartbeats == 2_000)
        #expect(answers == 2_000)
        for from in world.ids {
            for to in world.ids where to != from {
                let batches = world.sent.filter {
                    $0.from == world[from].id && $0.to == world[to].id
                }
                // One of heartbeats, one that answers the other node's.
                #expect(batches.count(where: { !$0.batch.heartbeats.isEmpty }) == 1)
                #expect(batches.count <= 2, "from \(from) to \(to)")
            }
        }
    }

    @Test func aRoundThatReadsWaitForDoesNotWaitForTheInterval() {
        let world = World(
            groups: 1, raft: RaftSettings(electionTimeoutTicks: 20, heartbeatTicks: 5))
        while !world.hasLeaders() { world.tickAll() }
        world.tickAll(5)
        let leader = world.leader(of: GroupID(1))!
        world.sent = []
        world.event(leader) {
            $0.read(7, of: GroupID(1), deadline: MonotonicTime(nanoseconds: .max))
        }
        #expect(world.sent.count(where: { !$0.batch.heartbeats.isEmpty }) == 2)
        world.settle()
        #expect(world[leader].readsReady == [7])
        #expect(world.violations == [])
    }

    @Test func aTurnMakesOneBatchForEachNodeAndOneForTheLog() {
        let world = World(groups: 10, raft: RaftSettings(heartbeatTicks: 2))
        while !world.hasLeaders() { world.tickAll() }
        let leader = world.leader(of: GroupID(1))!
        let led = world.groupIDs.filter { world.leader(of: $0) == leader }
        var multi = world[leader].multi!
        for (i, group) in led.enumerated() {
            multi.propose(
                NodeProposal(
                    sequence: UInt64(i), group: group, command: [1, 2, 3],
                    deadline: MonotonicTime(nanoseconds: .max)))
        }
        let effects = multi.endTurn(now: world.now, wallClock: 5_000)
        #expect(effects.outgoing.map(\.to) == world.nodes.map(\.id).filter { $0 != multi.node })
        #expect(effects.outgoing.allSatisfy { $0.messages.messages.count == led.count })
        #expect(effects.append?.works.map(\.group) == led)
    }
}
