import NIOCore
import Primitives
import RPC
import RecordModel
import RecordStore
import SwiftProtobuf
import WireProtocol

/// What the watching thread has in hand. Everything here happens on that thread.
final class WatchLoop {
    private struct Shard {
        var hub: WatchHub
        /// Tells the answer to a read of this hub from one of a hub before it.
        var epoch: UInt64
        /// When the hub wants to know the time.
        var due: MonotonicTime?
    }

    private let stores: [GroupID: RecordStore]
    private let feed: WatchFeed
    private let gauges: WatchGauges
    private let environment: WatchService.Environment
    private let post: (GroupID, UInt64, WatchRead) -> Void
    private let allocator = ByteBufferAllocator()
    private var shards: [GroupID: Shard] = [:]
    /// Those of `shards`, in order.
    private var groups: [GroupID] = []
    private var streams: [WatchStreamID: WatchStreamHandler] = [:]
    private var epoch: UInt64 = 0
    private var hasStopped = false
    private var leaders: LeaderWatch

    init(
        stores: [GroupID: RecordStore], feed: WatchFeed, gauges: WatchGauges,
        environment: WatchService.Environment,
        post: @escaping (GroupID, UInt64, WatchRead) -> Void
    ) {
        self.stores = stores
        self.feed = feed
        self.gauges = gauges
        self.environment = environment
        self.post = post
        leaders = LeaderWatch(interval: environment.electionTimeout.nanoseconds)
    }

    /// When to come round though nothing has come.
    var deadline: UInt64? {
        var deadline = leaders.due
        for group in groups {
            guard let due = shards[group]?.due?.nanoseconds else { continue }
            deadline = min(deadline ?? due, due)
        }
        return deadline
    }

    func turn(_ batch: [WatchInput]) {
        // First what was applied: a client that asks for a watcher after its write was acknowledged
        // must not be told of that write.
        for (group, changes) in feed.take() {
            shards[group]?.hub.applied(changes)
            gauges.events.add(changes.events.count)
        }
        for input in batch { take(input) }
        tick()
        var watchers = 0
        var behind = 0
        for group in groups {
            perform(group)
            watchers += shards[group]?.hub.watcherCount ?? 0
            behind += shards[group]?.hub.behindCount ?? 0
        }
        gauges.streams.set(streams.count)
        gauges.watchers.set(watchers)
        gauges.slowWatchers.set(behind)
    }

    func stop() {
        hasStopped = true
        for id in streams.keys.sorted() { streams[id]?.end(.stopped) }
        streams = [:]
        shards = [:]
        groups = []
    }

    private func take(_ input: WatchInput) {
        switch input {
        case .opened(let handler): opened(handler)
        case .requested(let id, let request):
            guard let handler = streams[id] else { return }
            requested(request, handler)
            handler.answered()
        case .becameWritable(let id):
            guard let handler = streams[id] else { return }
            shards[handler.keyspace.group]?.hub.streamIsWritable(id, handler.writer.isWritable)
        case .closed(let id): closed(id)
        case .applied: break
        case .read(let group, let epoch, let result):
            if shards[group]?.epoch == epoch { shards[group]!.hub.wasRead(result) }
        case .stop: stop()
        }
    }

    private func opened(_ handler: WatchStreamHandler) {
        let group = handler.keyspace.group
        guard !hasStopped else { return handler.end(.stopped) }
        guard let store = stores[group] else { preconditionFailure("no group \(group)") }
        if shards[group] == nil {
            feed.watch(group)
            epoch += 1
            var generator = SystemRandomNumberGenerator()
            shards[group] = Shard(
                hub: WatchHub(
                    revision: store.watchableRevision,
                    compactRevision: store.watchableCompactRevision,
                    progressNanoseconds: environment.progressInterval.nanoseconds,
                    seed: generator.next()),
                epoch: epoch)
            _ = shards[group]!.hub.ticked(now)
            groups = shards.keys.sorted()
        }
        streams[handler.id] = handler
        shards[group]!.hub.streamOpened(handler.id)
        if handler.needsLeader { leaders.add(handler.id, now: monotonicNanoseconds()) }
    }

    private func closed(_ id: WatchStreamID) {
        guard let handler = streams.removeValue(forKey: id) else { return }
        leaders.remove(id)
        let group = handler.keyspace.group
        shards[group]?.hub.streamClosed(id)
        if shards[group]?.hub.streamCount == 0 {
            shards[group] = nil
            groups = shards.keys.sorted()
            feed.unwatch(group)
        }
    }

    private func requested(_ request: WatchInput.Request, _ handler: WatchStreamHandler) {
        let group = handler.keyspace.group
        guard let store = stores[group] else { preconditionFailure("no group \(group)") }
        let current = store.watchableRevision
        switch request {
        case .create(let create):
            shards[group]?.hub.requested(create, on: handler.id, current: current)
        case .cancel(let watch):
            shards[group]?.hub.cancelled(watch, on: handler.id, current: current)
        case .progress: shards[group]?.hub.progressRequested(on: handler.id)
        }
    }

    // MARK: Time

    private var now: MonotonicTime { MonotonicTime(nanoseconds: monotonicNanoseconds()) }

    private func tick() {
        let now = now
        for group in groups { shards[group]!.due = shards[group]!.hub.ticked(now) }
        let lost = leaders.look(now: now.nanoseconds) { id in
            guard let handler = streams[id] else { return true }
            return environment.board.status(of: handler.keyspace.group)?.leader != nil
        }
        for id in lost { streams[id]?.end(.noLeader) }
    }

    // MARK: What a hub says

    private func perform(_ group: GroupID) {
        while let effects = shards[group]?.hub.takeEffects() {
            if !effects.isEmpty { perform(effects, of: group) }
            let read = shards[group]?.hub.nextRead()
            if let read, let epoch = shards[group]?.epoch { post(group, epoch, read) }
            if effects.isEmpty, read == nil { return }
        }
    }

    private func perform(_ effects: [WatchEffect], of group: GroupID) {
        let term = environment.board.status(of: group)?.term.rawValue ?? 0
        let encoder = WatchResponseEncoder(
            cluster: environment.cluster.rawValue, member: environment.own.rawValue, term: term)
        var touched: Set<WatchStreamID> = []
        for effect in effects {
            let id = effect.stream
            guard let handler = streams[id] else { continue }
            handler.writer.write(encode(effect, encoder))
            touched.insert(id)
        }
        for id in touched.sorted() {
            guard let handler = streams[id] else { continue }
            shards[group]?.hub.streamIsWritable(id, handler.writer.isWritable)
        }
    }

    private func encode(_ effect: WatchEffect, _ encoder: WatchResponseEncoder) -> ByteBuffer {
        switch effect {
        case .events(let delivery): return encoder.encode(delivery, allocator: allocator)
        case .created(_, let watch, let revision):
            return encoder.encode(Etcdserverpb_WatchResponse(created: watch), revision)
        case .refused(_, let refusal, let revision):
            return encoder.encode(Etcdserverpb_WatchResponse(refused: refusal), revision)
        case .cancelled(_, let watch, let revision):
            return encoder.encode(Etcdserverpb_WatchResponse(cancelled: watch), revision)
        case .compacted(_, let watch, let floor):
            // etcd's header states no revision here.
            return encoder.encode(
                Etcdserverpb_WatchResponse(cancelled: watch, compactRevision: floor.rawValue),
                .none)
        case .progress(_, let watch, let revision):
            return encoder.encode(Etcdserverpb_WatchResponse(progressOf: watch), revision)
        }
    }
}

extension WatchEffect {
    fileprivate var stream: WatchStreamID {
        switch self {
        case .created(let id, _, _), .refused(let id, _, _), .cancelled(let id, _, _),
            .compacted(let id, _, _), .progress(let id, _, _):
            id
        case .events(let delivery): delivery.stream
        }
    }
}

extension WatchResponseEncoder {
    fileprivate func encode(
        _ response: Etcdserverpb_WatchResponse, _ revision: Revision
    ) -> ByteBuffer {
        var response = response
        response.header.clusterID = cluster
        response.header.memberID = member
        response.header.revision = revision.rawValue
        response.header.raftTerm = term
        do {
            return ByteBuffer(bytes: try response.serializedBytes() as [UInt8])
        } catch {
            preconditionFailure("a WatchResponse cannot be encoded: \(error)")
        }
    }
}
