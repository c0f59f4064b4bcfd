import NIOCore
import NIOHTTP2
import Synchronization

/// One call on the server. What a method may use, besides the messages, is `package`; the rest
/// belongs to the connection and is touched on its event loop only, which is what makes the class
/// safe to send.
package final class RPCCallContext: @unchecked Sendable {
    /// The method's path, such as `/etcdserverpb.KV/Range`.
    package let path: String
    /// The request's headers.
    package let metadata: RPCMetadata
    /// When the client stops waiting (`grpc-timeout`); the call then ends by itself with
    /// DEADLINE_EXCEEDED.
    package let deadline: NIODeadline?
    /// The event loop of the connection.
    package var eventLoop: any EventLoop { outbox.eventLoop }
    /// Where the client is, for logs.
    package var peer: SocketAddress? { outbox.peer }
    /// The client cancelled, its deadline passed or its connection broke: nobody waits for the
    /// answer, which still has to be given and is dropped.
    package var isCancelled: Bool { cancelled.load(ordering: .acquiring) }

    let streamID: HTTP2StreamID
    let outbox: ConnectionOutbox
    let method: RPCMethod

    // Event loop only.
    var reader: MessageReader
    /// The one message of a unary or server-streaming request, until the request has ended.
    var request: ByteBuffer?
    /// The client has sent its last frame.
    var requestEnded = false
    var sentHeaders = false
    /// The last frame of the answer has been handed to HTTP/2.
    var finished = false
    /// Bytes of DATA handed to HTTP/2 that it has not written yet.
    var pendingBytes = 0
    /// The client's window as HTTP/2 last stated it.
    var inboundWindowBytes = 0
    var writer: RPCStreamWriter?
    var handler: (any RPCStreamHandler)?
    var readingPaused = false
    /// Messages that came while reading was paused; at most one stream window of bytes.
    var heldMessages: CircularBuffer<ByteBuffer> = []

    // Any thread.
    private let cancelled = Atomic(false)
    private let answered = Atomic(false)
    private let cancelBody = Mutex<(@Sendable () -> Void)?>(nil)

    init(
        path: String, metadata: RPCMetadata, deadline: NIODeadline?, streamID: HTTP2StreamID,
        method: RPCMethod, outbox: ConnectionOutbox, requestBytesMax: Int
    ) {
        self.path = path
        self.metadata = metadata
        self.deadline = deadline
        self.streamID = streamID
        self.method = method
        self.outbox = outbox
        reader = MessageReader(bytesMax: requestBytesMax)
    }

    /// Has `body` called when the call is cancelled, on the event loop, or at once if it already
    /// is. One per call: a later one replaces it. Not called after the answer. Any thread.
    package func onCancel(_ body: @escaping @Sendable () -> Void) {
        cancelBody.withLock { $0 = body }
        // A cancellation that came before the body was stored has found none.
        if isCancelled { runCancelBody() }
    }

    /// Marks the call as answered.
    ///
    /// - Precondition: it was not: two answers to one call are a bug of the method.
    func markAnswered() {
        let before = answered.exchange(true, ordering: .acquiringAndReleasing)
        precondition(!before, "\(path) answered twice")
    }

    /// Event loop only.
    func cancel() {
        cancelled.store(true, ordering: .releasing)
        runCancelBody()
        writer?.callEnded()
        handler?.cancelled()
        releaseHandlers()
    }

    /// Event loop only. Breaks the cycle between a handler and its writer.
    func releaseHandlers() {
        handler = nil
        writer = nil
        heldMessages = []
        cancelBody.withLock { $0 = nil }
    }

    private func runCancelBody() {
        let body = cancelBody.withLock { body in
            defer { body = nil }
            return body
        }
        body?()
    }
}

/// The way to answer a unary call: from any thread, exactly once (twice is a bug and stops the
/// program). Answers to one connection from other threads share one wake-up of its event loop.
package struct RPCReply: Sendable {
    let call: RPCCallContext

    package func succeed(_ message: ByteBuffer) {
        call.markAnswered()
        call.outbox.submit(.succeed(call, message))
    }

    package func fail(_ status: RPCStatus) {
        precondition(status.code != .ok, "\(call.path) failed with OK")
        call.markAnswered()
        call.outbox.submit(.finish(call, status))
    }
}
