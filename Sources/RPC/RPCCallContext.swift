import NIOCore

/// What a method may know about a call besides its messages. Any thread.
package final class RPCCallContext: Sendable {
    /// The method's path, such as `/etcdserverpb.KV/Range`.
    package var path: String { preconditionFailure("not built yet") }
    /// The request's headers.
    package var metadata: RPCMetadata { preconditionFailure("not built yet") }
    /// When the client stops waiting (`grpc-timeout`); the call then ends by itself with
    /// DEADLINE_EXCEEDED.
    package var deadline: NIODeadline? { preconditionFailure("not built yet") }
    /// The event loop of the connection.
    package var eventLoop: any EventLoop { preconditionFailure("not built yet") }
    /// Where the client is, for logs.
    package var peer: SocketAddress? { preconditionFailure("not built yet") }
    /// The client cancelled, its deadline passed or its connection broke: nobody waits for the
    /// answer, which still has to be given and is dropped.
    package var isCancelled: Bool { preconditionFailure("not built yet") }
    /// Has `body` called when the call is cancelled, at once if it is already. One per call: a
    /// later one replaces it. Not called after the answer. On the event loop.
    package func onCancel(_ body: @escaping @Sendable () -> Void) {
        preconditionFailure("not built yet")
    }
}

/// The way to answer a unary call: from any thread, exactly once (twice is a bug and stops the
/// program). Answers from one thread to one connection share one wake-up of its event loop.
package struct RPCReply: Sendable {
    package func succeed(_ message: ByteBuffer) { preconditionFailure("not built yet") }
    package func fail(_ status: RPCStatus) { preconditionFailure("not built yet") }
}
