import NIOCore
import NIOHTTP2

/// One call of a client. What changes is touched on the client's event loop only, which is what
/// makes the class safe to send.
final class ClientCall: @unchecked Sendable {
    typealias Completion = @Sendable (Result<ByteBuffer, RPCClientError>) -> Void

    enum Sink {
        case unary(Completion)
        case stream(MessageStreamBuffer)
    }

    enum Phase {
        /// Not handed to the event loop yet.
        case new
        case queued
        case open
        case finished
    }

    let path: String
    let message: ByteBuffer
    let metadata: RPCMetadata
    let deadline: NIODeadline?

    var sink: Sink
    var phase = Phase.new
    var cancelledBeforeStart = false
    /// The connection that carries the call, once it is open.
    weak var connection: ClientConnection?
    var streamID = HTTP2StreamID.rootStream
    /// The request has been handed to HTTP/2.
    var wasSent = false
    /// HTTP/2 has written the request's last frame.
    var requestWritten = false
    var receivedHeaders = false
    var reader: MessageReader
    var response: ByteBuffer?
    var inboundWindowBytes = 0

    init(
        path: String, message: ByteBuffer, metadata: RPCMetadata, timeout: Duration?, sink: Sink,
        responseBytesMax: Int
    ) {
        self.path = path
        self.message = message
        self.metadata = metadata
        self.sink = sink
        deadline = timeout.map { .now() + $0.timeAmount }
        reader = MessageReader(bytesMax: responseBytesMax)
    }

    /// Ends the call for its caller, once.
    func finish(_ status: RPCStatus, wasSent: Bool) {
        guard phase != .finished else { return }
        phase = .finished
        reader.drop()
        let error = RPCClientError(status: status, wasSent: wasSent)
        switch sink {
        case .unary(let completion):
            sink = .unary { _ in }
            if status.code == .ok, let response {
                completion(.success(response))
            } else if status.code == .ok {
                let status = RPCStatus(.internalError, "status OK without a message")
                completion(.failure(RPCClientError(status: status, wasSent: true)))
            } else {
                completion(.failure(error))
            }
        case .stream(let buffer):
            buffer.finish(status.code == .ok ? nil : error)
        }
    }

    /// Ends the call from this side.
    func finish(_ status: RPCStatus) {
        finish(status, wasSent: wasSent)
    }
}
