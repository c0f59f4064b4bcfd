import Primitives
import RecordModel
import StorageEngine
import Testing

@testable import RecordStore

/// A shard, the hub that watches it, and streams whose clients read as fast as they like. Everything
/// that a client is sent is held against the model as it comes.
struct WatchWorld {
    /// What a client knows of one of its watchers.
    struct Client {
        var request: WatchRequest
        var start: Int64
        var events: [WatchEvent] = []
        var isCreated = false
        var floor: Revision?
        var isCancelled = false
        var awaitsFragment = false
    }

    /// A client's end of a stream: what was sent and it has not read yet.
    struct Stream {
        var queue: [WatchEffect] = []
        var isOpen = true
        /// Responses that it holds before it takes no more.
        var room: Int
        var clients: [Int64: Client] = [:]
    }

    let shard: Shard
    var model = Model()
    var hub: WatchHub
    var streams: [WatchStreamID: Stream] = [:]
    var read: WatchRead?
    /// Applied and not yet told to the hub.
    var feed: ShardChanges?
    var chance: ChanceGenerator
    var told = (events: 0, compacted: 0, fragments: 0, progress: 0, reads: 0, gaps: 0)

    init(seed: UInt64, limits: WatchLimits) throws {
        shard = try Shard()
        chance = ChanceGenerator(seed: seed)
        hub = WatchHub(
            revision: .initial, compactRevision: .none, limits: limits,
            progressNanoseconds: 1_000_000_000, seed: seed)
    }

    var streamIDs: [WatchStreamID] { streams.keys.sorted() }

    // MARK: The server

    mutating func apply(_ body: Command.Body) throws {
        let entry = entry(shard.store.appliedIndex.rawValue + 1, body)
        let (applied, changes) = try shard.store.applySome([entry], capturing: !chance.chance(40))
        #expect(applied.first?.outcome?.result == model.apply(body, entry.timestamp))
        if changes.after > feed?.through ?? hub.revision { told.gaps += 1 }
        if feed == nil { feed = changes } else { feed!.append(changes) }
    }

    mutating func tellHub() {
        guard let changes = feed else { return }
        feed = nil
        hub.applied(changes)
        perform()
    }

    mutating func readFromDisk() throws {
        guard let asked = read else { return }
        read = nil
        told.reads += 1
        hub.wasRead(try shard.store.makeReader().read(asked))
        perform()
    }

    /// Hands out what the hub says, as the watching thread does.
    mutating func perform() {
        while true {
            let effects = hub.takeEffects()
            var touched: Set<WatchStreamID> = []
            for effect in effects {
                touched.insert(effect.stream)
                streams[effect.stream]?.queue.append(effect)
            }
            for id in touched.sorted() { hub.streamIsWritable(id, isWritable(id)) }
            if read == nil { read = hub.nextRead() }
            if effects.isEmpty && hub.effects.isEmpty { break }
        }
        hub.checkInvariants()
    }

    func isWritable(_ id: WatchStreamID) -> Bool {
        streams[id].map { $0.queue.count < $0.room } ?? false
    }

    // MARK: Clients

    mutating func open(_ id: WatchStreamID, room: Int) {
        streams[id] = Stream(room: room)
        hub.streamOpened(id)
    }

    mutating func close(_ id: WatchStreamID) {
        streams[id] = nil
        hub.streamClosed(id)
        perform()
    }

    mutating func create(_ request: WatchRequest, on id: WatchStreamID) throws {
        tellHub()
        hub.requested(request, on: id, current: Revision(model.revision))
        guard let last = hub.effects.first(where: { $0.stream == id }) else {
            throw Surprise("a request was not answered")
        }
        if case .created(_, let watch, let revision) = last {
            #expect(revision.rawValue == model.revision)
            let start = request.start?.rawValue ?? model.revision + 1
            streams[id]!.clients[watch] = Client(request: request, start: start)
        }
        perform()
    }

    mutating func cancel(_ watch: Int64, on id: WatchStreamID) {
        hub.cancelled(watch, on: id, current: Revision(model.revision))
        perform()
    }

    /// The client reads some of what it was sent.
    mutating func clientReads(_ id: WatchStreamID, _ count: Int) {
        let taken = streams[id]!.queue.prefix(count)
        streams[id]!.queue.removeFirst(taken.count)
        for effect in taken { received(effect, id) }
        hub.streamIsWritable(id, isWritable(id))
        perform()
    }

    // MARK: What must hold of what a client reads

    private mutating func received(_ effect: WatchEffect, _ id: WatchStreamID) {
        switch effect {
        case .created(_, let watch, _):
            #expect(streams[id]!.clients[watch]?.isCreated == false)
            streams[id]!.clients[watch]!.isCreated = true
        case .refused: break
        case .cancelled(_, let watch, _): streams[id]!.clients[watch]?.isCancelled = true
        case .compacted(_, let watch, let floor):
            told.compacted += 1
            let client = streams[id]!.clients[watch]!
            #expect(client.isCreated && client.floor == nil && !client.isCancelled)
            #expect(floor.rawValue <= model.floor)
            streams[id]!.clients[watch]!.floor = floor
        case .events(let delivery): received(delivery, id)
        case .progress(_, let watch, let revision):
            told.progress += 1
            for (other, client) in streams[id]!.clients where watch == nil || watch == other {
                guard client.isCreated, client.floor == nil, !client.isCancelled else { continue }
                #expect(
                    expected(client, through: revision.rawValue).count == client.events.count,
                    "progress \(revision) was stated of watcher \(other) too early")
            }
        }
    }

    private mutating func received(_ delivery: WatchDelivery, _ id: WatchStreamID) {
        var client = streams[id]!.clients[delivery.watch]!
        #expect(client.isCreated && client.floor == nil && !client.isCancelled)
        #expect(!delivery.events.isEmpty)
        let splits = delivery.events.first?.revision == client.events.last?.revision
        #expect(!splits || client.awaitsFragment, "a revision was split")
        client.awaitsFragment = delivery.moreFollows
        if delivery.moreFollows { told.fragments += 1 }
        let from = client.events.count
        client.events += delivery.events
        told.events += delivery.events.count
        let all = expected(client, through: .max)
        #expect(client.events.count <= all.count)
        for position in from..<min(client.events.count, all.count) {
            compare(client.events[position], all[position], delivery.withPrevious)
        }
        if !delivery.moreFollows {
            let due = expected(client, through: delivery.revision.rawValue).count
            #expect(due == client.events.count, "\(delivery.revision) is not reached")
        }
        streams[id]!.clients[delivery.watch] = client
    }

    private func compare(_ event: WatchEvent, _ wanted: WatchEvent, _ withPrevious: Bool) {
        #expect(event.key == wanted.key)
        #expect(event.revision == wanted.revision)
        #expect(event.subRevision == wanted.subRevision)
        #expect(event.record == wanted.record)
        guard withPrevious, event.previous != wanted.previous else { return }
        #expect(event.previous == nil, "another version than the one before")
        #expect(event.revision.rawValue <= model.floor, "the version before is missing")
    }

    /// What the model says that a watcher is to be told.
    func expected(_ client: Client, through: Int64) -> [WatchEvent] {
        var all: [WatchEvent] = []
        for key in model.keys where client.request.range.contains(key) {
            var newest: Record?
            var previous: Record?
            var revision = Revision.none
            for version in model.versions[key, default: []] {
                if version.modRevision != revision {
                    revision = version.modRevision
                    previous = newest
                }
                let creates = WatchEvent(version, previous: nil).isCreation
                let event = WatchEvent(version, previous: creates ? nil : previous)
                newest = event.record
                let leavesOut =
                    event.isDeletion
                    ? client.request.leavesOutDeletions : client.request.leavesOutPuts
                guard !leavesOut, version.modRevision.rawValue >= client.start,
                    version.modRevision.rawValue <= through
                else { continue }
                all.append(event)
            }
        }
        return all.sorted { ($0.revision, $0.subRevision) < ($1.revision, $1.subRevision) }
    }

    /// Everything is told, read from disk and read by the clients, until nothing moves.
    mutating func settle() throws {
        for _ in 0..<10_000 {
            tellHub()
            try readFromDisk()
            for id in streamIDs { clientReads(id, 1_000) }
            if read == nil, streams.values.allSatisfy({ $0.queue.isEmpty }), hub.behindCount == 0,
                hub.revision.rawValue == model.revision
            {
                return
            }
        }
        throw Surprise("the watchers do not come to rest")
    }
}

extension WatchEffect {
    var stream: WatchStreamID {
        switch self {
        case .created(let id, _, _), .refused(let id, _, _), .cancelled(let id, _, _),
            .compacted(let id, _, _), .progress(let id, _, _):
            id
        case .events(let delivery): delivery.stream
        }
    }
}
