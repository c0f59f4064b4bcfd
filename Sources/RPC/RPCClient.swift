import Logging
import NIOCore

/// Why a call failed, and whether its outcome is known.
package struct RPCClientError: Error, Sendable, CustomStringConvertible {
    package var status: RPCStatus
    /// Whether the server may have received the request. False is certain: there was no
    /// connection, the call was still queued, the server refused the stream, or its GOAWAY says
    /// that it did not look at it. With true, only `status` from a server that knows can tell
    /// whether it took effect.
    package var wasSent: Bool

    package init(status: RPCStatus, wasSent: Bool) {
        self.status = status
        self.wasSent = wasSent
    }

    package var description: String { "\(status)\(wasSent ? "" : " (not sent)")" }
}

/// A gRPC client with one HTTP/2 connection to one server: opened by the first call, opened again
/// by the first call after it was lost, shared by all calls. Any thread.
package final class RPCClient: Sendable {
    package init(
        host: String, port: Int, settings: RPCClientSettings = RPCClientSettings(),
        group: any EventLoopGroup, logger: Logger
    ) {
        preconditionFailure("not built yet")
    }

    /// One request, one answer. Cancelling the task cancels the call.
    ///
    /// - Parameter timeout: sent as `grpc-timeout` and kept here: after it the call ends with
    ///   DEADLINE_EXCEEDED, whatever the server does.
    package func unary(
        _ path: String, _ message: ByteBuffer, metadata: RPCMetadata = [:],
        timeout: Duration? = nil
    ) async throws(RPCClientError) -> ByteBuffer {
        preconditionFailure("not built yet")
    }

    /// The same without `async`, for threads and event loops. `completion` is called once, on the
    /// client's event loop, and must not block.
    ///
    /// - Returns: cancels the call.
    @discardableResult
    package func unary(
        _ path: String, _ message: ByteBuffer, metadata: RPCMetadata = [:],
        timeout: Duration? = nil,
        completion: @escaping @Sendable (Result<ByteBuffer, RPCClientError>) -> Void
    ) -> @Sendable () -> Void {
        preconditionFailure("not built yet")
    }

    /// One request, a stream of answers. A reader that stops reading stops the server: what it has
    /// not consumed is bounded by the stream's window.
    package func serverStreaming(
        _ path: String, _ message: ByteBuffer, metadata: RPCMetadata = [:],
        timeout: Duration? = nil
    ) -> RPCMessageStream {
        preconditionFailure("not built yet")
    }

    /// Fails what is open with CANCELLED and closes the connection. Later calls fail.
    package func close() async { preconditionFailure("not built yet") }
}

/// The answers of a server-streaming call, for one reader. Ends when the server's status is OK,
/// else throws it. Dropping the iterator before its end cancels the call.
package struct RPCMessageStream: AsyncSequence, Sendable {
    package typealias Element = ByteBuffer
    package typealias Failure = RPCClientError

    package struct AsyncIterator: AsyncIteratorProtocol {
        package mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(RPCClientError) -> ByteBuffer? {
            preconditionFailure("not built yet")
        }
    }

    package func makeAsyncIterator() -> AsyncIterator { preconditionFailure("not built yet") }
}
