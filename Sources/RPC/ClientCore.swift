import Logging
import NIOCore
import NIOHTTP2
import NIOPosix
import Synchronization

/// The part of a client that lives on its event loop: the connection, the calls that wait for it,
/// and their deadlines. Other threads reach it by `submit` only, which is what makes the class safe
/// to send; what they submit before the loop comes round costs one wake-up.
final class ClientCore: @unchecked Sendable {
    enum Action {
        case start(ClientCall, ClientCall.Sink)
        case cancel(ClientCall)
        /// The reader of a stream has caught up.
        case consumed(ClientCall)
        /// The body is called when every connection is closed.
        case close((@Sendable () -> Void)?)
    }

    private enum State {
        case idle
        case connecting
        case connected(ClientConnection)
        case closed
    }

    let settings: RPCClientSettings
    let eventLoop: any EventLoop
    private let host: String
    private let port: Int
    private let logger: Logger

    private struct Inbox {
        var actions: [Action] = []
        var isScheduled = false
        /// Everything is closed: the event loop, which may be gone by now, is not used again.
        var isClosed = false
    }
    private let inbox = Mutex(Inbox())

    // Event loop only.
    private var state = State.idle
    /// Calls that wait for a connection or for the server's limit on streams.
    private var queue = CircularBuffer<ClientCall>()
    /// Open connections, those included that the server asked us to leave.
    private var channels: [ObjectIdentifier: any Channel] = [:]
    private var connections: [ObjectIdentifier: ClientConnection] = [:]
    private var deadlineTimer: Scheduled<Void>?
    private var deadlineTimerFires = NIODeadline.distantFuture
    /// Connects that have not ended yet.
    private var connectsUnderWay = 0
    private var closeWaiters: [@Sendable () -> Void] = []

    init(
        host: String, port: Int, settings: RPCClientSettings, eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.host = host
        self.port = port
        self.settings = settings
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// Any thread.
    func submit(_ action: Action) {
        enum Verdict { case schedule, scheduled, closed }
        let verdict: Verdict = inbox.withLock { inbox in
            if inbox.isClosed { return .closed }
            inbox.actions.append(action)
            defer { inbox.isScheduled = true }
            return inbox.isScheduled ? .scheduled : .schedule
        }
        switch verdict {
        case .schedule: eventLoop.execute { self.deliver() }
        case .scheduled: break
        case .closed: refuse(action)
        }
    }

    /// Answers at once, on the caller's thread.
    private func refuse(_ action: Action) {
        switch action {
        case .start(let call, let sink):
            call.sink = sink
            call.finish(RPCStatus(.unavailable, "the client is closed"))
        case .close(let body):
            body?()
        case .cancel, .consumed:
            break
        }
    }

    private func deliver() {
        let actions = inbox.withLock { inbox in
            inbox.isScheduled = false
            var taken: [Action] = []
            swap(&taken, &inbox.actions)
            return taken
        }
        for action in actions { perform(action) }
        for connection in connections.values { connection.flushIfNeeded() }
    }

    private func perform(_ action: Action) {
        switch action {
        case .start(let call, let sink):
            call.sink = sink
            start(call)
        case .cancel(let call):
            cancel(call, RPCStatus(.cancelled, "cancelled by the caller"))
        case .consumed(let call):
            call.connection?.consumed(call)
        case .close(let body):
            close(body)
        }
    }

    // MARK: Calls

    private func start(_ call: ClientCall) {
        if call.cancelledBeforeStart {
            return call.finish(RPCStatus(.cancelled, "cancelled by the caller"))
        }
        if let deadline = call.deadline {
            guard deadline > .now() else { return call.finish(Self.deadlineExceeded) }
            watchDeadline(deadline)
        }
        switch state {
        case .closed:
            call.finish(RPCStatus(.unavailable, "the client is closed"))
        case .connected(let connection) where queue.isEmpty && connection.hasRoom:
            connection.open(call)
        case .connected, .connecting:
            enqueue(call)
        case .idle:
            enqueue(call)
            connect()
        }
    }

    private func enqueue(_ call: ClientCall) {
        guard queue.count < settings.queuedCallsMax else {
            return call.finish(
                RPCStatus(.resourceExhausted, "\(queue.count) calls are queued already"))
        }
        call.phase = .queued
        queue.append(call)
    }

    private func cancel(_ call: ClientCall, _ status: RPCStatus) {
        switch call.phase {
        case .new:
            call.cancelledBeforeStart = true
        case .queued:
            if let position = queue.firstIndex(where: { $0 === call }) {
                queue.remove(at: position)
            }
            call.finish(status)
        case .open:
            call.connection?.cancel(call, status)
        case .finished:
            // The answer has crossed the cancellation.
            break
        }
    }

    /// Opens what waits, as far as the connection has room.
    private func drainQueue() {
        guard case .connected(let connection) = state else { return }
        while connection.hasRoom, let call = queue.popFirst() {
            connection.open(call)
        }
    }

    private func failQueue(_ status: RPCStatus) {
        let waiting = queue
        queue = CircularBuffer()
        for call in waiting { call.finish(status, wasSent: false) }
    }

    // MARK: Deadlines

    private static let deadlineExceeded = RPCStatus(.deadlineExceeded, "deadline exceeded")

    /// One timer, set to the earliest deadline that was ever waited for: it is not moved when that
    /// call ends first, since most do.
    private func watchDeadline(_ deadline: NIODeadline) {
        guard deadline < deadlineTimerFires else { return }
        deadlineTimer?.cancel()
        deadlineTimerFires = deadline
        deadlineTimer = eventLoop.scheduleTask(deadline: deadline) { self.deadlineTimerFired() }
    }

    private func deadlineTimerFired() {
        deadlineTimerFires = .distantFuture
        let now = NIODeadline.now()
        var next: NIODeadline?
        var passed: [ClientCall] = []
        func look(_ call: ClientCall) {
            guard call.phase != .finished, let deadline = call.deadline else { return }
            if deadline <= now {
                passed.append(call)
            } else {
                next = min(next ?? deadline, deadline)
            }
        }
        for call in queue { look(call) }
        for connection in connections.values {
            for call in connection.calls.values { look(call) }
        }
        for call in passed { cancel(call, Self.deadlineExceeded) }
        if let next { watchDeadline(next) }
        for connection in connections.values { connection.flushIfNeeded() }
    }

    // MARK: Connections

    private func connect() {
        state = .connecting
        connectsUnderWay += 1
        let settings = settings
        let logger = logger
        let authority = "\(host):\(port)"
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(settings.connectTimeout.timeAmount)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = ClientConnection(
                        core: self, channel: channel, authority: authority, settings: settings,
                        logger: logger)
                    let http2 = NIOHTTP2Handler(
                        mode: .client, frameDelegate: connection,
                        connectionConfiguration: settings.connectionConfiguration,
                        streamConfiguration: settings.streamConfiguration)
                    try channel.pipeline.syncOperations.addHandlers(
                        [FrameCoalescer(), http2, connection])
                }
            }
        bootstrap.connect(host: host, port: port).hop(to: eventLoop).whenComplete { result in
            self.connectsUnderWay -= 1
            switch result {
            case .success(let channel): self.connected(channel)
            case .failure(let error): self.connectFailed("\(error)")
            }
        }
    }

    private func connected(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        channels[id] = channel
        channel.closeFuture.hop(to: eventLoop).whenComplete { _ in
            self.channels[id] = nil
            self.tellIfClosed()
        }
        // Closed while it was connecting.
        if case .closed = state { channel.close(promise: nil) }
    }

    private func connectFailed(_ reason: String) {
        if case .connecting = state { state = .idle }
        failQueue(RPCStatus(.unavailable, "cannot connect to \(host):\(port): \(reason)"))
        tellIfClosed()
    }

    /// The server has sent its SETTINGS: it speaks HTTP/2, and its limits are known.
    func becameReady(_ connection: ClientConnection) {
        guard case .connecting = state else { return connection.close() }
        state = .connected(connection)
        connections[ObjectIdentifier(connection)] = connection
        drainQueue()
        connection.flushIfNeeded()
    }

    func gotRoom(_ connection: ClientConnection) {
        guard !queue.isEmpty, case .connected(let current) = state, current === connection else {
            return
        }
        drainQueue()
    }

    /// The connection takes no new calls: the server said GOAWAY, or identifiers ran out. Its open
    /// calls go on.
    func retired(_ connection: ClientConnection) {
        guard case .connected(let current) = state, current === connection else { return }
        state = .idle
        if !queue.isEmpty { connect() }
    }

    func closed(_ connection: ClientConnection, wasReady: Bool) {
        connections[ObjectIdentifier(connection)] = nil
        if wasReady {
            retired(connection)
        } else {
            connectFailed("the connection closed before the server's SETTINGS came")
        }
    }

    private func close(_ body: (@Sendable () -> Void)?) {
        if let body { closeWaiters.append(body) }
        state = .closed
        deadlineTimer?.cancel()
        let status = RPCStatus(.cancelled, "the client is closed")
        failQueue(status)
        for connection in connections.values {
            connection.failAll(status)
            connection.close()
        }
        for channel in channels.values { channel.close(promise: nil) }
        tellIfClosed()
    }

    private func tellIfClosed() {
        guard case .closed = state, channels.isEmpty, connectsUnderWay == 0 else { return }
        // What came in meanwhile is refused like what comes later.
        let late = inbox.withLock { inbox in
            inbox.isClosed = true
            defer { inbox.actions = [] }
            return inbox.actions
        }
        for action in late { refuse(action) }
        let waiters = closeWaiters
        closeWaiters = []
        for waiter in waiters { waiter() }
    }
}
