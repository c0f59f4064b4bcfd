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
    private let core: ClientCore
    private let settings: RPCClientSettings

    package init(
        host: String, port: Int, settings: RPCClientSettings = RPCClientSettings(),
        group: any EventLoopGroup, logger: Logger
    ) {
        self.settings = settings
        core = ClientCore(
            host: host, port: port, settings: settings, eventLoop: group.next(), logger: logger)
    }

    deinit {
        core.submit(.close(nil))
    }

    /// One request, one answer. Cancelling the task cancels the call.
    ///
    /// - Parameter timeout: sent as `grpc-timeout` and kept here: after it the call ends with
    ///   DEADLINE_EXCEEDED, whatever the server does.
    package func unary(
        _ path: String, _ message: ByteBuffer, metadata: RPCMetadata = [:],
        timeout: Duration? = nil
    ) async throws(RPCClientError) -> ByteBuffer {
        let call = ClientCall(
            path: path, message: message, metadata: metadata, timeout: timeout,
            sink: .unary { _ in }, responseBytesMax: settings.responseBytesMax)
        let core = core
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation {
                (continuation: CheckedContinuation<Result<ByteBuffer, RPCClientError>, Never>) in
                core.submit(.start(call, .unary { continuation.resume(returning: $0) }))
            }
        } onCancel: {
            core.submit(.cancel(call))
        }
        return try result.get()
    }

    /// The same without `async`, for threads and event loops. `completion` is called once, on the
    /// client's event loop (at once, on this thread, when the client is closed), and must not block.
    ///
    /// - Returns: cancels the call.
    @discardableResult
    package func unary(
        _ path: String, _ message: ByteBuffer, metadata: RPCMetadata = [:],
        timeout: Duration? = nil,
        completion: @escaping @Sendable (Result<ByteBuffer, RPCClientError>) -> Void
    ) -> @Sendable () -> Void {
        let call = ClientCall(
            path: path, message: message, metadata: metadata, timeout: timeout,
            sink: .unary { _ in }, responseBytesMax: settings.responseBytesMax)
        let core = core
        core.submit(.start(call, .unary(completion)))
        return { core.submit(.cancel(call)) }
    }

    /// One request, a stream of answers. A reader that stops reading stops the server: what it has
    /// not consumed is bounded by the stream's window. The call starts at once.
    package func serverStreaming(
        _ path: String, _ message: ByteBuffer, metadata: RPCMetadata = [:],
        timeout: Duration? = nil
    ) -> RPCMessageStream {
        let buffer = MessageStreamBuffer(windowBytes: settings.streamWindowBytes)
        let call = ClientCall(
            path: path, message: message, metadata: metadata, timeout: timeout,
            sink: .stream(buffer), responseBytesMax: settings.responseBytesMax)
        core.submit(.start(call, .stream(buffer)))
        return RPCMessageStream(call: call, buffer: buffer, core: core)
    }

    /// Fails what is open with CANCELLED and closes the connection. Later calls fail.
    package func close() async {
        await withCheckedContinuation { continuation in
            core.submit(.close { continuation.resume() })
        }
    }
}
