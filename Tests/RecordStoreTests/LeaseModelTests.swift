import Primitives
import RecordModel
import RecordStore
import Testing

@Suite struct LeaseModelTests {
    private static let ids = (1...12).map { LeaseID($0) }
    private static let seeds: ClosedRange<UInt64> = 1...16

    /// "No lease expires earlier than its TTL after its last acknowledged keep-alive, across
    /// transfer, restart, pause and clock jump"; and once nothing goes wrong, all expire.
    @Test func noLeaseEndsEarlyAndAllEnd() {
        print("seeds \(Self.seeds)")
        var counts: [String: Int] = [:]
        for seed in Self.seeds {
            do {
                let world = try run(seed)
                #expect(world.promises.liveCount == 0, "seed \(seed): leases that never end")
                counts["acknowledged", default: 0] += world.promises.acknowledgements
                counts["expired", default: 0] += world.promises.expiries
                counts.merge(world.counts) { $0 + $1 }
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
        for (path, least) in [
            ("acknowledged", 1_000), ("expired", 100), ("elections", 100), ("restarts", 5),
            ("entries inherited", 20), ("refused", 20), ("sent again", 5), ("notLeader", 100),
            ("notFound", 100), ("checkpoints proposed", 20), ("renewals proposed", 20),
            ("asked of a leader that stands still", 10), ("overloaded", 5),
            ("of unknown outcome", 10),
        ] {
            #expect(counts[path, default: 0] >= least, "\(path): \(counts)")
        }
    }

    private func run(_ seed: UInt64) throws -> LeaseWorld {
        var settings = LeaseClock.Settings()
        settings.checkpointInterval = .seconds(3)
        settings.expiriesMax = 3
        let world = try LeaseWorld(seed: seed, settings: settings)
        var token: UInt64 = 0
        for _ in 0..<2_500 {
            world.now += UInt64.random(in: 1_000_000...80_000_000, using: &world.chance)
            try hurt(world)
            if world.happens(5) { change(world) }
            if world.happens(9), let id = Self.ids.randomElement(using: &world.chance) {
                token += 1
                world.promises.sends(token, id, at: world.now)
                let leading = (0..<3).filter { world.nodes[$0].clock.term != nil }
                let to = leading.randomElement(using: &world.chance) ?? 0
                world.post(.keepAlive(token, id), to: to)
            }
            try step(world)
        }
        let healedAt = world.now
        for node in world.nodes { node.standsStillUntil = 0 }
        // Longer than any lease, and what is told late.
        while world.now < healedAt + 20 * LeaseWorld.second, world.promises.liveCount > 0 {
            world.now += 50_000_000
            try step(world)
        }
        return world
    }

    private func hurt(_ world: LeaseWorld) throws {
        let chosen = Int.random(in: 0..<3, using: &world.chance)
        if world.happens(1), world.happens(60) {
            let seconds = UInt64.random(in: 1...8, using: &world.chance)
            world.nodes[chosen].standsStillUntil = world.now + seconds * LeaseWorld.second
        }
        guard !world.standsStill(chosen) else { return }
        if world.standsStill(world.leader) ? world.happens(3) : world.happens(1) {
            if world.happens(50) { world.elect(chosen) }
        }
        if world.happens(1), world.happens(10) { try world.restart(chosen) }
    }

    private func change(_ world: LeaseWorld) {
        guard let id = Self.ids.randomElement(using: &world.chance) else { return }
        if world.happens(8) {
            world.append(.revoke(id), from: nil)
        } else {
            let seconds = Int64.random(in: 1...12, using: &world.chance)
            world.append(.grant(id, seconds: seconds), from: nil)
        }
    }

    private func step(_ world: LeaseWorld) throws {
        try world.commit()
        world.confirmReads()
        for place in 0..<3 where !world.standsStill(place) { try world.turn(place) }
    }
}
