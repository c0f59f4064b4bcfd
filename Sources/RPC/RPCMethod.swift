import NIOCore

/// Answers one request with one message. Called on the connection's event loop, so it must not
/// block; `reply` may be used from any thread, later, exactly once.
package typealias RPCUnaryHandler =
    @Sendable (_ message: ByteBuffer, _ context: RPCCallContext, _ reply: RPCReply) -> Void

/// Answers one request with a stream. Called on the connection's event loop, so it must not
/// block; `writer` may be used from any thread until `finish`.
package typealias RPCServerStreamingHandler =
    @Sendable (_ message: ByteBuffer, _ context: RPCCallContext, _ writer: RPCStreamWriter) -> Void

/// Opens a call in which both sides stream. Called on the connection's event loop when the
/// request's headers have come; what it returns is told everything after that.
package typealias RPCBidirectionalHandler =
    @Sendable (_ context: RPCCallContext, _ writer: RPCStreamWriter) -> any RPCStreamHandler

/// What a server does for one method path, such as `/etcdserverpb.KV/Range`.
package enum RPCMethod: Sendable {
    case unary(RPCUnaryHandler)
    case serverStreaming(RPCServerStreamingHandler)
    case bidirectional(RPCBidirectionalHandler)
}

/// The receiving half of a bidirectional call. All methods are called on the connection's event
/// loop, in order, and must not block. After `cancelled` nothing more is called.
package protocol RPCStreamHandler: AnyObject, Sendable {
    /// One whole message came. A handler that cannot keep up calls
    /// `RPCStreamWriter.pauseReading()`; at most one stream window of bytes is then held back.
    func received(message: ByteBuffer)
    /// The client will send nothing more. The call stays open until `RPCStreamWriter.finish`.
    func receivedHalfClose()
    /// The call is over without the server's `finish`: the client cancelled, its deadline passed,
    /// the connection broke, or it did not read what was written (see `RPCServerSettings`).
    func cancelled()
    /// What was written has drained below the low watermark after it had been above the high one.
    func becameWritable()
}

extension RPCStreamHandler {
    package func becameWritable() {}
}
