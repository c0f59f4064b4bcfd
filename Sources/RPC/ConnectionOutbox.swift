import NIOCore
import Synchronization

/// Takes what any thread wants done on a server connection and hands it to the event loop: all
/// that is submitted before the loop comes round costs one wake-up.
///
/// Bounded by what fills it: one answer per open call, and stream messages that
/// `RPCStreamWriter` counts against its limits.
final class ConnectionOutbox: @unchecked Sendable {
    enum Action {
        /// The one message of a unary answer, and status OK.
        case succeed(RPCCallContext, ByteBuffer)
        case write(RPCCallContext, ByteBuffer)
        case finish(RPCCallContext, RPCStatus)
        /// The client does not read: what waits for it is thrown away.
        case overflow(RPCCallContext)
        case becameWritable(RPCCallContext)
        case setReadingPaused(RPCCallContext, Bool)
        /// The answer has ended before the request: tell the client to stop (RFC 9113 §8.1).
        case resetFinished(RPCCallContext)
        case drain
        case close
    }

    let eventLoop: any EventLoop
    let peer: SocketAddress?
    /// Set by the connection while more than its high mark waits to be written.
    let isBlocked = Atomic(false)
    /// Event loop only. Set while the connection's handler is in its pipeline, which ends the cycle.
    var connection: ServerConnection?

    private struct Pending {
        var actions: [Action] = []
        var isScheduled = false
        var isClosed = false
    }
    private let pending = Mutex(Pending())

    init(eventLoop: any EventLoop, peer: SocketAddress?) {
        self.eventLoop = eventLoop
        self.peer = peer
    }

    /// Any thread. On the event loop, while the connection reads, the action is done at once: the
    /// read's end flushes it.
    func submit(_ action: Action) {
        if eventLoop.inEventLoop, let connection, connection.performsDirectly {
            connection.performAll(takeAll())
            connection.perform(action)
        } else {
            enqueue(action)
        }
    }

    /// Any thread. Always later, for callers that are in the middle of a write.
    func enqueue(_ action: Action) {
        let schedule = pending.withLock { pending in
            if pending.isClosed { return false }
            pending.actions.append(action)
            if pending.isScheduled { return false }
            pending.isScheduled = true
            return true
        }
        if schedule {
            eventLoop.execute { self.deliver() }
        }
    }

    /// Event loop only.
    func takeAll() -> [Action] {
        pending.withLock { pending in
            if pending.actions.isEmpty { return [] }
            var taken: [Action] = []
            swap(&taken, &pending.actions)
            return taken
        }
    }

    /// Event loop only. Later submissions are dropped: the connection is gone.
    func close() {
        let dropped = pending.withLock { pending in
            pending.isClosed = true
            let actions = pending.actions
            pending.actions = []
            return actions
        }
        // Released outside the lock: the last reference to a call may run a method's code.
        _ = dropped
    }

    private func deliver() {
        let actions = pending.withLock { pending in
            pending.isScheduled = false
            var taken: [Action] = []
            swap(&taken, &pending.actions)
            return taken
        }
        guard let connection, !actions.isEmpty else { return }
        connection.performAll(actions)
        connection.flushIfNeeded()
    }
}
