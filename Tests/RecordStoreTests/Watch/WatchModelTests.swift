import Primitives
import RecordModel
import Testing

@testable import RecordStore

/// Random commands, compactions and physical removal under watchers that start anywhere, on streams
/// that are read fast, slowly or not at all for a while. Each watcher is sent exactly the events of
/// its range from its start, in order, once; or is ended by a compaction.
@Suite struct WatchModelTests {
    /// Small, so that every way of falling behind and catching up is taken.
    static func tight() -> WatchLimits {
        var limits = WatchLimits()
        limits.recentEventsMax = 12
        limits.recentBytesMax = 3_000
        limits.streamTurnBytesMax = 900
        limits.responseBytesMax = 700
        limits.fragmentBytesMax = 300
        limits.readWatchersMax = 3
        limits.matchesMax = 20
        limits.readRowsMax = 6
        limits.readBytesMax = 1_000
        return limits
    }

    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func everyWatcherIsToldEverythingOnce(seed: UInt64) throws {
        print("seed \(seed)")
        var world = try WatchWorld(seed: seed, limits: Self.tight())
        for step in 0..<4_000 { try self.step(&world, step) }
        try world.settle()
        for id in world.streamIDs {
            world.hub.progressRequested(on: id)
            world.perform()
            try #require(world.streams[id]?.queue.count == 1, "progress of a stream at rest")
            world.clientReads(id, 1)
        }
        for id in world.streamIDs {
            for (watch, client) in world.streams[id]!.clients
            where client.floor == nil && !client.isCancelled {
                let wanted = world.expected(client, through: .max).count
                #expect(client.events.count == wanted, "watcher \(watch) of \(id.rawValue)")
            }
        }
        print("told: \(world.told)")
        // Each of these must have come up, or the test has looked at nothing.
        #expect(world.told.events > 500)
        #expect(world.told.compacted > 0)
        #expect(world.told.fragments > 0)
        #expect(world.told.progress > 0)
        #expect(world.told.reads > 20)
        #expect(world.told.gaps > 0)
    }

    private func step(_ world: inout WatchWorld, _ step: Int) throws {
        let ids = world.streamIDs
        switch Int.random(in: 0..<20, using: &world.chance.random) {
        case 0..<8:
            try world.apply(world.chance.body(world.model.revision))
        case 8..<11: world.tellHub()
        case 11..<13: try world.readFromDisk()
        case 13:
            if ids.count < 5 {
                let room = world.chance.pick([1, 2, 8, 1_000])
                world.open(WatchStreamID(UInt64(step + 1)), room: room)
            } else if world.chance.chance(8) {
                world.close(world.chance.pick(ids))
            }
        case 14, 15:
            guard !ids.isEmpty else { return }
            try world.create(request(&world), on: world.chance.pick(ids))
        case 16:
            guard !ids.isEmpty else { return }
            let id = world.chance.pick(ids)
            let watches = world.streams[id]!.clients.keys.sorted()
            if !watches.isEmpty, world.chance.chance(3) {
                world.cancel(world.chance.pick(watches), on: id)
            } else {
                world.hub.progressRequested(on: id)
                world.perform()
            }
        case 17:
            if world.chance.chance(3) { _ = try world.shard.store.removeSuperseded() }
        default:
            guard !ids.isEmpty else { return }
            world.clientReads(world.chance.pick(ids), world.chance.pick([1, 1, 3, 1_000]))
        }
    }

    private func request(_ world: inout WatchWorld) -> WatchRequest {
        let now = world.model.revision
        var start: Revision?
        if world.chance.chance(2) {
            start = Revision(Int64.random(in: 1...(now + 4), using: &world.chance.random))
        }
        var range = world.chance.range()
        if range.end == .single, range.lower.isEmpty { range.lower = [0] }
        return WatchRequest(
            range: range, start: start, leavesOutPuts: world.chance.chance(8),
            leavesOutDeletions: world.chance.chance(8), wantsPrevious: world.chance.chance(2),
            takesFragments: world.chance.chance(3))
    }
}
