import Primitives
import RecordModel
import Testing

@testable import RecordStore

/// What a client of one stream sees, as transcripts.
@Suite struct WatchHubTests {
    private static let stream = WatchStreamID(1)

    private static func world(_ limits: WatchLimits = WatchLimits()) throws -> WatchWorld {
        var world = try WatchWorld(seed: 1, limits: limits)
        world.open(stream, room: 1_000)
        return world
    }

    private static func watch(_ key: String, start: Int64? = nil, id: Int64? = nil) -> WatchRequest
    {
        WatchRequest(range: .key(bytes(key)), start: start.map(Revision.init), id: id)
    }

    /// `#require` cannot call what mutates.
    private func unwrap<T>(_ value: T?) throws -> T { try #require(value) }

    /// Applies without the chance of a gap.
    private func apply(_ operation: Operation, to world: inout WatchWorld) throws {
        let body = Command.Body.operation(operation)
        let entry = entry(world.shard.store.appliedIndex.rawValue + 1, body)
        let (_, changes) = try world.shard.store.applySome([entry], capturing: true)
        _ = world.model.apply(body, entry.timestamp)
        world.hub.applied(changes)
    }

    private func shown(_ effects: [WatchEffect]) -> [String] {
        effects.map { effect in
            switch effect {
            case .created(_, let watch, let revision): "created \(watch) at \(revision)"
            case .refused(_, let refusal, let revision): "refused \(refusal) at \(revision)"
            case .cancelled(_, let watch, let revision): "cancelled \(watch) at \(revision)"
            case .compacted(_, let watch, let floor): "compacted \(watch) below \(floor)"
            case .progress(_, let watch, let revision):
                "progress \(watch.map(String.init) ?? "all") \(revision)"
            case .events(let delivery):
                "\(delivery.watch) up to \(delivery.revision): "
                    + delivery.events.map { event in
                        let what = event.record.map {
                            "=" + String(decoding: $0.value, as: UTF8.self)
                        }
                        return "\(event.revision) " + String(decoding: event.key, as: UTF8.self)
                            + (what ?? " gone")
                    }.joined(separator: ", ")
            }
        }
    }

    /// etcd `watchStream.Watch`: free ids are given out from 0 on, and those that clients gave are
    /// passed over.
    @Test func idsAreThoseOfTheClientOrFree() throws {
        var hub = try Self.world().hub
        let current = Revision(1)
        for id in [nil, 1, nil, nil, 2, 9, 9] as [Int64?] {
            hub.requested(Self.watch("k", id: id), on: Self.stream, current: current)
        }
        hub.cancelled(9, on: Self.stream, current: current)
        hub.cancelled(9, on: Self.stream, current: current)
        hub.requested(Self.watch("k", id: 9), on: Self.stream, current: current)
        #expect(
            shown(hub.takeEffects()) == [
                "created 0 at 1", "created 1 at 1", "created 2 at 1", "created 3 at 1",
                "refused duplicateID at 1", "created 9 at 1", "refused duplicateID at 1",
                "cancelled 9 at 1", "created 9 at 1",
            ])
    }

    @Test func aRangeThatIsEmptyIsRefused() throws {
        var hub = try Self.world().hub
        for (lower, upper) in [("b", "a"), ("b", "b")] {
            hub.requested(
                WatchRequest(range: KeyRange(lower: bytes(lower), end: .before(bytes(upper)))),
                on: Self.stream, current: Revision(1))
        }
        hub.requested(Self.watch("k", start: -1), on: Self.stream, current: Revision(1))
        #expect(
            shown(hub.takeEffects()) == [
                "refused emptyRange at 1", "refused emptyRange at 1", "refused negativeStart at 1",
            ])
    }

    /// A watcher without a start is told of nothing that its client may have seen already, even when
    /// the hub has yet to hear of it.
    @Test func nowIsWhatTheNodeHasApplied() throws {
        var world = try Self.world()
        let body = Command.Body.operation(put("k", "early"))
        let (_, early) = try world.shard.store.applySome([entry(1, body)], capturing: true)
        world.hub.requested(Self.watch("k"), on: Self.stream, current: Revision(2))
        world.hub.requested(Self.watch("k", start: 2), on: Self.stream, current: Revision(2))
        world.hub.applied(early)
        try apply(put("k", "late"), to: &world)
        #expect(
            shown(world.hub.takeEffects()) == [
                "created 0 at 2", "created 1 at 2", "1 up to 2: 2 k=early", "0 up to 3: 3 k=late",
                "1 up to 3: 3 k=late",
            ])
    }

    @Test func aFutureStartIsWaitedFor() throws {
        var world = try Self.world()
        world.hub.requested(Self.watch("k", start: 4), on: Self.stream, current: Revision(1))
        for value in ["2", "3", "4", "5"] { try apply(put("k", value), to: &world) }
        #expect(
            shown(world.hub.takeEffects()) == [
                "created 0 at 1", "0 up to 4: 4 k=4", "0 up to 5: 5 k=5",
            ])
    }

    /// etcd's issue 15220: progress was stated while a watcher of the stream was behind.
    @Test func progressWaitsForWatchersThatAreBehind() throws {
        var limits = WatchLimits()
        limits.recentEventsMax = 0
        var world = try Self.world(limits)
        for value in ["2", "3"] { try apply(put("k", value), to: &world) }
        world.hub.progressRequested(on: Self.stream)
        world.hub.requested(Self.watch("k", start: 2), on: Self.stream, current: Revision(3))
        world.hub.progressRequested(on: Self.stream)
        #expect(shown(world.hub.takeEffects()) == ["progress all 3", "created 0 at 3"])
        let read = try unwrap(world.hub.nextRead())
        world.hub.wasRead(try world.shard.store.makeReader().read(read))
        #expect(
            shown(world.hub.takeEffects()) == ["0 up to 3: 2 k=2, 3 k=3", "progress all 3"])
    }

    @Test func quietWatchersAreToldByInterval() throws {
        var world = try Self.world()
        func at(_ seconds: Double) -> MonotonicTime {
            MonotonicTime(nanoseconds: UInt64(seconds * 1e9))
        }
        #expect(world.hub.ticked(at(10)) == nil)
        var request = Self.watch("k")
        request.wantsProgress = true
        world.hub.requested(request, on: Self.stream, current: Revision(1))
        world.hub.requested(Self.watch("k"), on: Self.stream, current: Revision(1))
        _ = world.hub.takeEffects()
        // An interval of a second, and up to a tenth more.
        let due = try unwrap(world.hub.ticked(at(10.5)))
        #expect(at(11) <= due && due <= at(11.1))
        #expect(shown(world.hub.takeEffects()).isEmpty)
        _ = world.hub.ticked(due)
        #expect(shown(world.hub.takeEffects()) == ["progress 0 1"])
        // An event says as much: the next time is left out.
        try apply(put("k", "v"), to: &world)
        _ = world.hub.takeEffects()
        _ = world.hub.ticked(at(12.3))
        #expect(shown(world.hub.takeEffects()).isEmpty)
        _ = world.hub.ticked(at(13.5))
        #expect(shown(world.hub.takeEffects()) == ["progress 0 2"])
    }

    /// As in etcd the id stays taken until the client has cancelled.
    @Test func aStartBelowTheFloorIsCreatedAndEnded() throws {
        var world = try Self.world()
        for value in ["2", "3", "4"] { try apply(put("k", value), to: &world) }
        _ = try world.shard.store.applySome(
            [entry(4, .compact(through: Revision(3)))], capturing: true)
        world.hub.applied(
            ShardChanges(after: Revision(4), through: Revision(4), compactRevision: Revision(3)))
        for (start, id) in [(2, 5), (3, 6), (3, 5)] as [(Int64, Int64)] {
            world.hub.requested(
                Self.watch("k", start: start, id: id), on: Self.stream, current: Revision(4))
        }
        world.hub.cancelled(5, on: Self.stream, current: Revision(4))
        #expect(
            shown(world.hub.takeEffects()) == [
                "created 5 at 4", "compacted 5 below 3", "created 6 at 4",
                "6 up to 4: 3 k=3, 4 k=4", "refused duplicateID at 4", "cancelled 5 at 4",
            ])
    }

    /// What waits for a stream that is not read is bounded, and nothing is lost by it.
    @Test func aStreamThatIsNotReadCostsNoMemory() throws {
        var limits = WatchLimits()
        limits.streamTurnBytesMax = 4_000
        limits.responseBytesMax = 2_000
        limits.recentEventsMax = 50
        var world = try Self.world(limits)
        world.hub.requested(Self.watch("k"), on: Self.stream, current: Revision(1))
        var sent: [WatchEvent] = []
        func take() -> Int {
            var bytes = 0
            for case .events(let delivery) in world.hub.takeEffects() {
                sent += delivery.events
                bytes += delivery.events.reduce(0) { $0 + $1.bytes }
            }
            return bytes
        }
        var held = 0
        for number in 0..<500 {
            try apply(put("k", "\(number)"), to: &world)
            held += take()
        }
        #expect(held <= 4_000 + 2_000)
        #expect(world.hub.behindCount == 1)
        var turns = 0
        while world.hub.behindCount > 0 {
            turns += 1
            world.hub.streamIsWritable(Self.stream, true)
            if let read = world.hub.nextRead() {
                world.hub.wasRead(try world.shard.store.makeReader().read(read))
            }
            #expect(take() <= 4_000 + 2_000)
        }
        #expect(turns > 10)
        #expect(sent.map { $0.revision.rawValue } == Array(2...501))
    }

    /// A restored shard moves on by many revisions at once: who watched it from before is told of
    /// them all.
    @Test func aGapIsReadForAll() throws {
        var world = try Self.world()
        world.hub.requested(Self.watch("k"), on: Self.stream, current: Revision(1))
        for number in 2...5 {
            let body = Command.Body.operation(put("k", "\(number)"))
            _ = try world.shard.store.apply([entry(UInt64(number - 1), body)])
        }
        world.hub.applied(
            ShardChanges(after: Revision(5), through: Revision(5), compactRevision: .none))
        try apply(put("k", "6"), to: &world)
        #expect(shown(world.hub.takeEffects()) == ["created 0 at 1"])
        let read = try unwrap(world.hub.nextRead())
        world.hub.wasRead(try world.shard.store.makeReader().read(read))
        #expect(
            shown(world.hub.takeEffects()) == [
                "0 up to 6: 2 k=2, 3 k=3, 4 k=4, 5 k=5, 6 k=6"
            ])
    }

    /// Events times watchers are gathered in parts of whole revisions, so that many watchers of many
    /// events that have waited cost no memory.
    @Test func manyMatchesAreHandedOutInParts() throws {
        var limits = WatchLimits()
        limits.matchesMax = 3
        var world = try Self.world(limits)
        for _ in 0..<2 {
            world.hub.requested(Self.watch("a"), on: Self.stream, current: Revision(1))
        }
        _ = world.hub.takeEffects()
        var changes: ShardChanges?
        for number in 1...4 {
            let body = Command.Body.operation(put("a", "\(number)"))
            let entry = entry(world.shard.store.appliedIndex.rawValue + 1, body)
            let (_, next) = try world.shard.store.applySome([entry], capturing: true)
            if changes == nil { changes = next } else { changes!.append(next) }
        }
        world.hub.applied(try unwrap(changes))
        #expect(
            shown(world.hub.takeEffects()) == [
                "0 up to 3: 2 a=1, 3 a=2", "1 up to 3: 2 a=1, 3 a=2",
                "0 up to 5: 4 a=3, 5 a=4", "1 up to 5: 4 a=3, 5 a=4",
            ])
        world.hub.checkInvariants()
    }

    /// A transaction that is refused has changed nothing, so nobody is told.
    @Test func refusedChangesAreNotTold() throws {
        var world = try Self.world()
        world.hub.requested(
            WatchRequest(range: .everything), on: Self.stream, current: Revision(1))
        let refused = Operation.txn(
            TxnRequest(success: [
                put("a", "1"),
                .range(RangeRequest(range: .key(bytes("a")), revision: Revision(99))),
            ]))
        try apply(refused, to: &world)
        try apply(delete("nothing"), to: &world)
        try apply(.txn(TxnRequest(success: [put("a", "1"), put("b", "2")])), to: &world)
        #expect(
            shown(world.hub.takeEffects()) == ["created 0 at 1", "0 up to 2: 2 a=1, 2 b=2"])
    }

    /// etcd reads a previous record at the revision before the event's, unless the event creates its
    /// key (v3rpc `watch.go`, `sendLoop`); whether events are told as they are applied or read back.
    @Test(arguments: [false, true])
    func previousIsOfTheRevisionBefore(fromDisk: Bool) throws {
        var limits = WatchLimits()
        if fromDisk { limits.recentEventsMax = 0 }
        var world = try Self.world(limits)
        let watch = WatchRequest(range: .everything, start: Revision(2), wantsPrevious: true)
        func fromOn(_ key: String) -> Operation {
            .deleteRange(DeleteRangeRequest(range: KeyRange(lower: bytes(key), end: .unbounded)))
        }
        let steps: [Operation] = [
            put("a", "1"), put("b", "1"), put("b", "2"),
            .txn(TxnRequest(success: [put("new", "1"), fromOn("c")])),
            .txn(TxnRequest(success: [fromOn("b"), put("b", "3"), fromOn("b")])),
            .txn(TxnRequest(success: [put("b", "4"), fromOn("a"), put("c", "1")])),
            .txn(TxnRequest(success: [fromOn("b"), put("d", "1"), put("c", "2")])),
        ]
        if !fromDisk { world.hub.requested(watch, on: Self.stream, current: Revision(1)) }
        for step in steps { try apply(step, to: &world) }
        if fromDisk {
            world.hub.requested(watch, on: Self.stream, current: Revision(8))
            let read = try unwrap(world.hub.nextRead())
            world.hub.wasRead(try world.shard.store.makeReader().read(read))
        } else {
            #expect(world.hub.nextRead() == nil)
        }
        var told: [String] = []
        for case .events(let delivery) in world.hub.takeEffects() {
            told += delivery.events.map { event in
                let what = event.record.map { "=" + String(decoding: $0.value, as: UTF8.self) }
                let before = event.previous.map { String(decoding: $0.value, as: UTF8.self) }
                return "\(event.revision) " + String(decoding: event.key, as: UTF8.self)
                    + (what ?? " gone") + " after \(before ?? "nothing")"
            }
        }
        #expect(
            told == [
                "2 a=1 after nothing", "3 b=1 after nothing", "4 b=2 after 1",
                "5 new=1 after nothing", "5 new gone after nothing",
                "6 b gone after 2", "6 b=3 after nothing", "6 b gone after 2",
                "7 b=4 after nothing", "7 a gone after 1", "7 b gone after nothing",
                "7 c=1 after nothing",
                "8 c gone after 1", "8 d=1 after nothing", "8 c=2 after nothing",
            ])
    }
}
