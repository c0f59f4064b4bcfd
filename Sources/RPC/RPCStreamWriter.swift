import Dispatch
import NIOCore
import NIOPosix
import Synchronization

/// The sending half of a streaming call. Any thread; messages of one thread keep their order.
package final class RPCStreamWriter: Sendable {
    package enum Readiness: Sendable {
        case writable
        case timedOut
        /// The call is over: stop.
        case closed
    }

    private struct State {
        /// Bytes submitted that HTTP/2 has not written yet.
        var pendingBytes = 0
        var aboveHigh = false
        var isClosed = false
        var waiters: [DispatchSemaphore] = []
    }

    private let call: RPCCallContext
    private let bytesHigh: Int
    private let bytesLow: Int
    private let bytesMax: Int
    private let state = Mutex(State())

    init(call: RPCCallContext, settings: RPCServerSettings) {
        self.call = call
        bytesHigh = settings.streamOutboundBytesHigh
        bytesLow = settings.streamOutboundBytesLow
        bytesMax = settings.streamOutboundBytesMax
    }

    /// Sends one message. Never blocks: who writes while `isWritable` is false grows the queue up
    /// to `RPCServerSettings.streamOutboundBytesMax`, where the stream is reset
    /// (ENHANCE_YOUR_CALM, which clients report as RESOURCE_EXHAUSTED).
    ///
    /// - Returns: false when the call is over; the message is dropped.
    @discardableResult
    package func write(_ message: ByteBuffer) -> Bool {
        enum Verdict { case send, overflow, closed }
        let framed = MessageReader.prefixBytes + message.readableBytes
        let verdict: Verdict = state.withLock { state in
            if state.isClosed { return .closed }
            if state.pendingBytes > 0 && state.pendingBytes + framed > bytesMax {
                state.isClosed = true
                return .overflow
            }
            state.pendingBytes += framed
            if state.pendingBytes > bytesHigh { state.aboveHigh = true }
            return .send
        }
        switch verdict {
        case .send:
            call.outbox.submit(.write(call, message))
            return true
        case .overflow:
            wakeWaiters()
            call.outbox.submit(.overflow(call))
            return false
        case .closed:
            return false
        }
    }

    /// Ends the call, after what was written. Later writes and finishes are ignored.
    package func finish(_ status: RPCStatus = .ok) {
        let wasClosed = state.withLock { state in
            defer { state.isClosed = true }
            return state.isClosed
        }
        if wasClosed { return }
        wakeWaiters()
        call.outbox.submit(.finish(call, status))
    }

    /// Whether less waits to be sent than the high watermarks of the stream and its connection.
    package var isWritable: Bool {
        readiness == .writable
    }

    /// The call was finished or cancelled.
    package var isClosed: Bool {
        state.withLock { $0.isClosed }
    }

    /// Blocks the calling thread until the stream is writable, the call over, or the time is up.
    /// For threads of one's own: never on an event loop (a precondition) nor in a task.
    package func waitUntilWritable(timeout: Duration) -> Readiness {
        precondition(
            MultiThreadedEventLoopGroup.currentEventLoop == nil,
            "waitUntilWritable blocks: not on an event loop")
        let limit = DispatchTime.now() + .nanoseconds(Int(clamping: timeout.nanoseconds))
        while true {
            let waiter = DispatchSemaphore(value: 0)
            state.withLock { $0.waiters.append(waiter) }
            // Looked at only after the waiter is in place, so that no wake-up is missed.
            var found = readiness
            if found == .timedOut && waiter.wait(timeout: limit) == .success { continue }
            state.withLock { state in state.waiters.removeAll { $0 === waiter } }
            if found == .timedOut { found = readiness }
            return found
        }
    }

    /// Stops delivering messages to the handler; the client's window is not renewed, so what it
    /// can still send is bounded by it. Bidirectional calls only.
    ///
    /// A handler that pauses as it is told of a message is told of no other, not even of those that
    /// had been held back for it.
    package func pauseReading() {
        if call.outbox.eventLoop.inEventLoop, let connection = call.outbox.connection {
            connection.setReadingPaused(call, true)
        } else {
            call.outbox.submit(.setReadingPaused(call, true))
        }
    }

    package func resumeReading() {
        call.outbox.submit(.setReadingPaused(call, false))
    }

    /// `timedOut` here means: not now.
    private var readiness: Readiness {
        let blocked = call.outbox.isBlocked.load(ordering: .acquiring)
        return state.withLock { state in
            if state.isClosed { return .closed }
            return state.aboveHigh || blocked ? .timedOut : .writable
        }
    }

    // MARK: Event loop only

    /// HTTP/2 has written or dropped bytes.
    ///
    /// - Returns: whether the stream fell below its low watermark by it.
    func drained(bytes: Int) -> Bool {
        let fell = state.withLock { state in
            state.pendingBytes -= bytes
            guard state.aboveHigh, state.pendingBytes <= bytesLow else { return false }
            state.aboveHigh = false
            return true
        }
        if fell { wakeWaiters() }
        return fell
    }

    func callEnded() {
        state.withLock { $0.isClosed = true }
        wakeWaiters()
    }

    func wakeWaiters() {
        let waiters = state.withLock { state in
            let waiters = state.waiters
            state.waiters = []
            return waiters
        }
        for waiter in waiters { waiter.signal() }
    }
}
