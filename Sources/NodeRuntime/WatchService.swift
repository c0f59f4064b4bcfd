import NIOCore
import Primitives
import RPC
import RecordModel
import RecordStore
import Synchronization
import WireProtocol

/// The watching thread, `spine-watch`: it runs a `WatchHub` for each watched keyspace, encodes what
/// the hubs say and hands it to the streams. Nothing waits for it: the apply thread leaves what it
/// applied in `WatchFeed`, event loops post what clients ask. What has to be read from disk is read
/// by a second thread, `spine-watch-io`, one read at a time for each keyspace.
final class WatchService: Sendable {
    private let stores: [GroupID: RecordStore]
    private let inputs = Mailbox<WatchInput>(capacity: NodeLimits.internalMailbox)
    private let reads = Mailbox<Read>(capacity: NodeLimits.internalMailbox)
    let feed: WatchFeed
    let gauges = WatchGauges()
    private let environment: Environment
    private let lastStream = Atomic<UInt64>(0)
    private let threads = Mutex<[DedicatedThread]>([])
    private let hasStopped = Atomic(false)

    /// What the threads need of their node.
    struct Environment: Sendable {
        var cluster: ClusterID
        var own: NodeID
        var board: StatusBoard
        var progressInterval: Duration
        var electionTimeout: Duration
        var fatal: @Sendable (String) -> Void
    }

    private struct Read: Sendable {
        var group: GroupID
        var epoch: UInt64
        var read: WatchRead
    }

    init(stores: [GroupID: RecordStore], environment: Environment) {
        self.stores = stores
        self.environment = environment
        feed = WatchFeed { [inputs] in inputs.postRegardless(.applied) }
    }

    func start() {
        threads.withLock { threads in
            threads.append(DedicatedThread(name: "spine-watch") { self.run() })
            threads.append(DedicatedThread(name: "spine-watch-io") { self.readFromDisk() })
        }
    }

    /// Ends every stream with `etcdserver: server stopped`. New ones are refused from now on.
    func end() {
        guard !hasStopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        inputs.postRegardless(.stop)
    }

    /// Ends the streams and hands over the threads, which end by themselves.
    func close() -> [DedicatedThread] {
        end()
        inputs.close()
        reads.close()
        return threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
    }

    /// On the connection's event loop.
    func open(
        _ keyspace: KeyspaceID, needsLeader: Bool, writer: RPCStreamWriter,
        eventLoop: any EventLoop
    ) -> any RPCStreamHandler {
        let id = lastStream.wrappingAdd(1, ordering: .relaxed).newValue
        let handler = WatchStreamHandler(
            id: WatchStreamID(id), keyspace: keyspace, needsLeader: needsLeader, writer: writer,
            eventLoop: eventLoop, inputs: inputs)
        if needsLeader, !hasLeader(keyspace.group) {
            handler.end(.noLeader)
        } else if !inputs.postRegardless(.opened(handler)) {
            handler.end(.stopped)
        }
        return handler
    }

    private func hasLeader(_ group: GroupID) -> Bool {
        environment.board.status(of: group)?.leader != nil
    }

    // MARK: The watching thread

    private func run() {
        let loop = WatchLoop(
            stores: stores, feed: feed, gauges: gauges, environment: environment,
            post: { [reads] group, epoch, read in
                reads.postRegardless(Read(group: group, epoch: epoch, read: read))
            })
        var batch: [WatchInput] = []
        while inputs.take(into: &batch, until: loop.deadline) { loop.turn(batch) }
        loop.stop()
    }

    // MARK: The reading thread

    private func readFromDisk() {
        while let work = reads.takeOne() {
            guard let store = stores[work.group] else {
                preconditionFailure("no group \(work.group)")
            }
            do throws(RecordStoreError) {
                let result = try store.makeReader().read(work.read)
                inputs.postRegardless(.read(work.group, epoch: work.epoch, result))
            } catch {
                environment.fatal("group \(work.group): events cannot be read: \(error)")
                return
            }
        }
    }
}

/// What `/metrics` says of watching.
final class WatchGauges: Sendable {
    let streams = Gauge()
    let watchers = Gauge()
    /// Watchers that are behind.
    let slowWatchers = Gauge()
    let events = Counter()
}
