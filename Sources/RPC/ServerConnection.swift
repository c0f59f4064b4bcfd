import Logging
import NIOCore
import NIOHPACK
import NIOHTTP2

/// One HTTP/2 connection of a server. It handles frames on the connection's own channel: no
/// channel per stream, no task per call.
///
/// Everything here runs on the connection's event loop. Invariants:
///
/// 1. `calls` holds a call from its HEADERS until HTTP/2 says that its stream is closed.
/// 2. `pendingBytes` is the sum of the calls' `pendingBytes`: DATA that was handed to HTTP/2 and
///    not yet written, because a window is closed or the socket is full.
/// 3. `partialBytes` is the sum of the calls' `reader.bufferedBytes`.
/// 4. Nothing is written from within `wroteFrame`: HTTP/2 is in the middle of a write there.
final class ServerConnection: ChannelInboundHandler, NIOHTTP2FrameDelegate {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    enum Phase {
        case serving
        /// GOAWAY has gone out: open calls finish, new ones are refused.
        case draining
        case closing
    }

    let settings: RPCServerSettings
    let methods: MethodTable
    let outbox: ConnectionOutbox
    let coalescer: FrameCoalescer
    let logger: Logger

    var context: ChannelHandlerContext?
    var phase = Phase.serving
    var calls: [HTTP2StreamID: RPCCallContext] = [:]
    /// The highest stream that was looked at, for GOAWAY.
    var lastStreamID = HTTP2StreamID.rootStream
    var pendingBytes = 0
    var partialBytes = 0
    var isReading = false
    var needsFlush = false
    var deadlineTimer: Scheduled<Void>?
    var deadlineTimerFires = NIODeadline.distantFuture
    /// More than the connection's high mark waits to be written.
    var isBlocked = false
    var liveness: ConnectionLiveness
    var stallWatch: StallWatch
    var livenessTimer: RepeatedTask?
    /// HTTP/2 has told the client that the connection is in error: it must be closed.
    var failed = false

    init(
        settings: RPCServerSettings, methods: MethodTable, outbox: ConnectionOutbox,
        coalescer: FrameCoalescer, logger: Logger
    ) {
        self.settings = settings
        self.methods = methods
        self.outbox = outbox
        self.coalescer = coalescer
        self.logger = logger
        liveness = ConnectionLiveness(
            interval: settings.keepaliveInterval.timeAmount,
            timeout: settings.keepaliveTimeout.timeAmount, now: .now())
        stallWatch = StallWatch(timeout: settings.outboundStallTimeout.timeAmount, now: .now())
    }

    /// Whether an action may be performed at once: the end of the read flushes it.
    var performsDirectly: Bool { isReading }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        outbox.connection = self
        calls.reserveCapacity(64)
        startLivenessTimer(context: context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        connectionEnded()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        liveness.heard()
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers):
            receivedHeaders(headers, on: frame.streamID)
        case .data(let data):
            receivedData(data, on: frame.streamID)
        case .rstStream, .settings, .windowUpdate, .ping, .priority, .goAway, .pushPromise,
            .alternativeService, .origin:
            // HTTP/2 answers these itself; what they change arrives as events.
            break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        performAll(outbox.takeAll())
        flushIfNeeded()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let update as NIOHTTP2WindowUpdatedEvent:
            windowUpdated(update)
        case let closed as StreamClosedEvent:
            streamClosed(closed)
        case is NIOHTTP2StreamCreatedEvent, is NIOHTTP2BulkStreamWindowChangeEvent:
            break
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        connectionEnded()
        context.fireChannelInactive()
    }

    /// A stream's error has already been answered with RST_STREAM and a connection's with GOAWAY;
    /// what is left is to close the connection in the second case, which `wroteFrame` has seen.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if failed || error is IOError || error is ChannelError {
            logger.debug("closing a connection", metadata: ["error": "\(error)"])
            close()
        } else {
            logger.debug("a stream is in error", metadata: ["error": "\(error)"])
        }
    }

    func wroteFrame(_ frame: HTTP2Frame) {
        switch frame.payload {
        case .data(let data):
            wroteData(bytes: data.data.readableBytes, on: frame.streamID)
        case .headers(let headers):
            guard headers.endStream, let call = calls[frame.streamID], !call.requestEnded else {
                break
            }
            outbox.enqueue(.resetFinished(call))
        case .goAway(_, let code, _):
            if code != .noError { failed = true }
        default:
            break
        }
    }

    func close() {
        guard phase != .closing else { return }
        phase = .closing
        context?.close(promise: nil)
    }

    /// The call's stream is gone.
    func closed(_ call: RPCCallContext) {
        call.requestEnded = true
        if call.finished {
            // The client has reset the stream, or left, before all of the answer was written.
            call.writer?.callEnded()
            call.releaseHandlers()
        } else {
            call.finished = true
            call.cancel()
        }
    }

    /// Ends every call. Called once the channel is gone; again without effect.
    private func connectionEnded() {
        guard outbox.connection === self else { return }
        outbox.connection = nil
        outbox.close()
        phase = .closing
        deadlineTimer?.cancel()
        livenessTimer?.cancel()
        let open = calls.values
        calls = [:]
        pendingBytes = 0
        partialBytes = 0
        for call in open { closed(call) }
    }
}
