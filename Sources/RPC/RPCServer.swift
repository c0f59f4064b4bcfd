import Logging
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOPosix
import Synchronization

/// Why a server did not start.
package enum RPCServerError: Error, Sendable {
    /// The address is in use, or is not one of this machine.
    case bindFailed(host: String, port: Int, reason: String)
    /// `start` was called on a server that runs or has been stopped.
    case alreadyStarted
}

extension RPCServerError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .bindFailed(_, _, let reason): reason
        case .alreadyStarted: "the server was started before"
        }
    }
}

/// Serves gRPC over HTTP/2 with prior knowledge, and HTTP/1.1, on one port.
///
/// Knows neither protobuf nor records: bytes come in, bytes go out. `grpc.health.v1.Health/Check`
/// is built in.
package final class RPCServer: Sendable {
    private struct State {
        var isStarted = false
        var isStopping = false
        var listener: (any Channel)?
        var connections: [ObjectIdentifier: any Channel] = [:]
        var outboxes: [ObjectIdentifier: ConnectionOutbox] = [:]
    }

    private let settings: RPCServerSettings
    private let methods: MethodTable
    private let health: HealthService
    private let http1: HTTP1Handler?
    private let group: any EventLoopGroup
    private let logger: Logger
    private let state = Mutex(State())
    private let allClosed = ConnectionCount()

    /// - Parameters:
    ///   - methods: what to do by path, such as `/etcdserverpb.KV/Range`.
    ///   - http1: answers HTTP/1.1 requests; without it each is answered with 404.
    package init(
        settings: RPCServerSettings = RPCServerSettings(), methods: [String: RPCMethod],
        http1: HTTP1Handler? = nil, group: any EventLoopGroup, logger: Logger
    ) {
        let health = HealthService(services: MethodTable(methods).serviceNames)
        var methods = methods
        methods[HealthService.checkPath] = .unary { health.check($0, $1, $2) }
        self.settings = settings
        self.methods = MethodTable(methods)
        self.health = health
        self.http1 = http1
        self.group = group
        self.logger = logger
    }

    /// Binds and serves. Port 0 takes a free one.
    ///
    /// - Returns: the address it listens on.
    package func start(host: String, port: Int) async throws(RPCServerError) -> SocketAddress {
        let mayStart = state.withLock { state in
            defer { state.isStarted = true }
            return !state.isStarted && !state.isStopping
        }
        guard mayStart else { throw .alreadyStarted }
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.accept(channel) }
            }
        do {
            let listener = try await bootstrap.bind(host: host, port: port).get()
            let isStopping = state.withLock { state in
                state.listener = listener
                return state.isStopping
            }
            // Stopped while it was binding.
            if isStopping { listener.close(promise: nil) }
            guard let address = listener.localAddress else {
                throw RPCServerError.bindFailed(
                    host: host, port: port, reason: "the listener has no address")
            }
            return address
        } catch let error as RPCServerError {
            throw error
        } catch {
            // Another address may be tried.
            state.withLock { $0.isStarted = false }
            throw .bindFailed(host: host, port: port, reason: "\(error)")
        }
    }

    /// Stops accepting, sends GOAWAY, lets open calls finish for at most `grace`, then closes
    /// every connection. Health checks answer NOT_SERVING meanwhile. A second call waits as well.
    package func stop(within grace: Duration) async {
        health.setAll(serving: false)
        let (listener, connections, outboxes) = state.withLock { state in
            state.isStarted = true
            state.isStopping = true
            let listener = state.listener
            state.listener = nil
            return (listener, Array(state.connections.values), Array(state.outboxes.values))
        }
        try? await listener?.close().get()
        for outbox in outboxes { outbox.enqueue(.drain) }
        for connection in connections {
            connection.pipeline.fireUserInboundEventTriggered(HTTP1Connection.DrainEvent())
        }
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await self.allClosed.waitForZero() }
            tasks.addTask {
                try? await Task.sleep(for: grace)
                self.closeAll()
            }
            await tasks.next()
            tasks.cancelAll()
        }
        closeAll()
        await allClosed.waitForZero()
    }

    /// What `grpc.health.v1.Health/Check` answers for a service; the empty name is the whole
    /// server, which serves from the start. Any thread.
    package func setHealth(serving: Bool, service: String = "") {
        health.set(service, serving: serving)
    }

    private func closeAll() {
        for connection in state.withLock({ Array($0.connections.values) }) {
            connection.close(promise: nil)
        }
    }

    // MARK: Connections, on their event loops

    private func accept(_ channel: any Channel) throws {
        let id = ObjectIdentifier(channel)
        let isTaken = state.withLock { state in
            guard !state.isStopping, state.connections.count < settings.connectionsMax else {
                return false
            }
            state.connections[id] = channel
            return true
        }
        guard isTaken else {
            logger.warning(
                "refusing a connection", metadata: ["connectionsMax": "\(settings.connectionsMax)"])
            throw ChannelError.ioOnClosedChannel
        }
        allClosed.increment()
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { state in
                state.connections[id] = nil
                state.outboxes[id] = nil
            }
            self.allClosed.decrement()
        }
        let detector = ProtocolDetector(
            timeout: settings.protocolDetectionTimeout.timeAmount
        ) { channel, detected in
            switch detected {
            case .http2: try self.configureHTTP2(channel)
            case .http1: try self.configureHTTP1(channel)
            }
        }
        try channel.pipeline.syncOperations.addHandler(detector)
    }

    private func configureHTTP2(_ channel: any Channel) throws {
        let outbox = ConnectionOutbox(
            eventLoop: channel.eventLoop, peer: channel.remoteAddress)
        let coalescer = FrameCoalescer()
        let connection = ServerConnection(
            settings: settings, methods: methods, outbox: outbox, coalescer: coalescer,
            logger: logger)
        let isStopping = state.withLock { state in
            state.outboxes[ObjectIdentifier(channel)] = outbox
            return state.isStopping
        }
        let http2 = NIOHTTP2Handler(
            mode: .server, frameDelegate: connection,
            connectionConfiguration: settings.connectionConfiguration,
            streamConfiguration: settings.streamConfiguration)
        try channel.pipeline.syncOperations.addHandlers([coalescer, http2, connection])
        if isStopping { outbox.enqueue(.drain) }
    }

    private func configureHTTP1(_ channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: true, withErrorHandling: true)
        try pipeline.addHandler(
            IdleStateHandler(allTimeout: settings.http1IdleTimeout.timeAmount))
        try pipeline.addHandler(
            HTTP1Connection(bodyBytesMax: settings.http1BodyBytesMax, handler: http1))
        if state.withLock({ $0.isStopping }) {
            channel.pipeline.fireUserInboundEventTriggered(HTTP1Connection.DrainEvent())
        }
    }
}

/// Counts open connections and wakes who waits for none.
private final class ConnectionCount: Sendable {
    private struct State {
        var count = 0
        var nextWaiter = 0
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    }
    private let state = Mutex(State())

    func increment() {
        state.withLock { $0.count += 1 }
    }

    func decrement() {
        let waiters = state.withLock { state in
            state.count -= 1
            guard state.count == 0 else { return [CheckedContinuation<Void, Never>]() }
            let waiters = Array(state.waiters.values)
            state.waiters = [:]
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns early when its task is cancelled.
    func waitForZero() async {
        let id = state.withLock { state in
            defer { state.nextWaiter += 1 }
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isZero = state.withLock { state in
                    if state.count == 0 || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isZero { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }
}
