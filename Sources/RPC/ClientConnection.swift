import Logging
import NIOCore
import NIOHPACK
import NIOHTTP2

/// One HTTP/2 connection of a client; on its event loop.
///
/// `calls` holds a call from its HEADERS until HTTP/2 says that its stream is closed, so its count
/// is what the server's limit on streams counts.
final class ClientConnection: ChannelInboundHandler, NIOHTTP2FrameDelegate {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    let core: ClientCore
    let channel: any Channel
    let settings: RPCClientSettings
    let logger: Logger
    let authority: String

    private(set) var calls: [HTTP2StreamID: ClientCall] = [:]
    private var context: ChannelHandlerContext?
    private var nextStreamID = HTTP2StreamID(1)
    private var isReady = false
    private var isRetired = false
    private var failed = false
    private var needsFlush = false
    private var isReading = false
    /// The server's limit (SETTINGS_MAX_CONCURRENT_STREAMS). HTTP/2 sets none, but the library
    /// beneath queues beyond 100 until the server has stated one.
    private var concurrentStreamsMax = 100
    private var liveness: ConnectionLiveness
    private var livenessTimer: RepeatedTask?
    private var settingsTimer: Scheduled<Void>?
    /// Header blocks by path, without what differs between calls. Holds at most
    /// `headerTemplatesMax`.
    private var headerTemplates: [String: HPACKHeaders] = [:]
    private static let headerTemplatesMax = 256

    init(
        core: ClientCore, channel: any Channel, authority: String, settings: RPCClientSettings,
        logger: Logger
    ) {
        self.core = core
        self.channel = channel
        self.authority = authority
        self.settings = settings
        self.logger = logger
        liveness = ConnectionLiveness(
            interval: settings.keepaliveInterval.timeAmount,
            timeout: settings.keepaliveTimeout.timeAmount, now: .now())
    }

    /// Whether a call can be opened now.
    var hasRoom: Bool {
        isReady && !isRetired
            && calls.count < min(concurrentStreamsMax, settings.concurrentCallsMax)
    }

    // MARK: Calls

    func open(_ call: ClientCall) {
        let streamID = nextStreamID
        nextStreamID = streamID.advanced(by: 2)
        calls[streamID] = call
        call.phase = .open
        call.connection = self
        call.streamID = streamID
        call.wasSent = true
        call.inboundWindowBytes = settings.streamWindowBytes
        write(HTTP2Frame(streamID: streamID, headers: headers(of: call), endStream: false))
        let count = call.message.readableBytes
        guard let length = UInt32(exactly: count) else {
            preconditionFailure("a message of \(count) bytes cannot be framed")
        }
        var framed = channel.allocator.buffer(capacity: MessageReader.prefixBytes + count)
        framed.writeInteger(UInt8(0))
        framed.writeInteger(length)
        framed.writeImmutableBuffer(call.message)
        write(
            HTTP2Frame(
                streamID: streamID,
                payload: .data(.init(data: .byteBuffer(framed), endStream: true))))
        if nextStreamID > HTTP2StreamID(Int(Int32.max) - 2) { retire() }
    }

    private func headers(of call: ClientCall) -> HPACKHeaders {
        var headers: HPACKHeaders
        if let template = headerTemplates[call.path] {
            headers = template
        } else {
            headers = [
                ":method": "POST", ":scheme": "http", ":path": call.path,
                ":authority": authority, "content-type": "application/grpc", "te": "trailers",
            ]
            if headerTemplates.count < Self.headerTemplatesMax {
                headerTemplates[call.path] = headers
            }
        }
        if let deadline = call.deadline {
            headers.add(
                name: "grpc-timeout", value: GRPCWire.formatTimeout(deadline - .now()),
                indexing: .nonIndexable)
        }
        headers.add(contentsOf: call.metadata.headers)
        return headers
    }

    func cancel(_ call: ClientCall, _ status: RPCStatus) {
        guard calls[call.streamID] === call else { return }
        call.finish(status)
        reset(call, .cancel)
    }

    func failAll(_ status: RPCStatus) {
        for call in calls.values { call.finish(status) }
    }

    /// The reader of a stream has consumed enough for the server to go on.
    func consumed(_ call: ClientCall) {
        guard calls[call.streamID] === call else { return }
        renewWindow(of: call)
    }

    // MARK: Frames out

    private func write(_ frame: HTTP2Frame) {
        needsFlush = true
        context?.write(wrapOutboundOut(frame), promise: nil)
    }

    private func reset(_ call: ClientCall, _ code: HTTP2ErrorCode) {
        write(HTTP2Frame(streamID: call.streamID, payload: .rstStream(code)))
    }

    func flushIfNeeded() {
        guard needsFlush else { return }
        needsFlush = false
        context?.flush()
    }

    func wroteFrame(_ frame: HTTP2Frame) {
        switch frame.payload {
        case .data(let data) where data.endStream:
            calls[frame.streamID]?.requestWritten = true
        case .goAway(_, let code, _) where code != .noError:
            failed = true
        default:
            break
        }
    }

    // MARK: Frames in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        liveness.heard()
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers):
            guard let call = calls[frame.streamID] else { break }
            received(headers, of: call)
        case .data(let data):
            guard let call = calls[frame.streamID] else { break }
            received(data, of: call)
        case .rstStream(let code):
            guard let call = calls[frame.streamID] else { break }
            // A refused stream was not processed (RFC 9113 §8.7).
            call.finish(
                ResponseHead.status(reset: code), wasSent: code != .refusedStream)
        case .goAway(let lastStreamID, let code, _):
            receivedGoAway(lastStreamID, code)
        case .settings(.settings(let settings)):
            received(settings)
        default:
            // HTTP/2 answers these itself; what they change arrives as events.
            break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        flushIfNeeded()
    }

    private func received(_ settings: HTTP2Settings) {
        for setting in settings where setting.parameter == .maxConcurrentStreams {
            concurrentStreamsMax = setting.value
        }
        if isReady { return core.gotRoom(self) }
        isReady = true
        settingsTimer?.cancel()
        core.becameReady(self)
    }

    private func received(_ payload: HTTP2Frame.FramePayload.Headers, of call: ClientCall) {
        if payload.endStream {
            // Trailers, or headers and trailers in one.
            finish(
                call, ResponseHead.finalStatus(payload.headers, isOnlyBlock: !call.receivedHeaders))
        } else if !call.receivedHeaders {
            switch ResponseHead.parse(payload.headers) {
            case .informational: break
            case .response: call.receivedHeaders = true
            case .failure(let status): abandon(call, status)
            }
        }
    }

    private func received(_ payload: HTTP2Frame.FramePayload.Data, of call: ClientCall) {
        if call.phase != .finished, case .byteBuffer(let bytes) = payload.data {
            call.reader.append(bytes)
            takeMessages(of: call)
        }
        if payload.endStream {
            finish(call, RPCStatus(.internalError, "the answer ended without a status"))
        }
    }

    private func takeMessages(of call: ClientCall) {
        while call.phase != .finished {
            switch call.reader.next() {
            case .incomplete:
                return
            case .message(let message):
                switch call.sink {
                case .stream(let buffer):
                    buffer.push(message)
                case .unary:
                    guard call.response == nil else {
                        return abandon(
                            call, RPCStatus(.internalError, "more than one message in the answer"))
                    }
                    call.response = message
                }
            case .tooLarge(let bytes):
                abandon(
                    call,
                    RPCStatus(
                        .resourceExhausted,
                        "received message larger than max (\(bytes) vs. "
                            + "\(settings.responseBytesMax))"))
            case .compressed:
                abandon(call, RPCStatus(.internalError, "the answer is compressed"))
            }
        }
    }

    /// The server's last frame has come.
    private func finish(_ call: ClientCall, _ status: RPCStatus) {
        if status.code == .ok && call.reader.bufferedBytes > 0 {
            call.finish(RPCStatus(.internalError, "the answer ends inside a message"))
        } else {
            call.finish(status)
        }
        // The rest of the request is of no use to the server.
        if !call.requestWritten { reset(call, .cancel) }
    }

    /// The answer cannot be used.
    private func abandon(_ call: ClientCall, _ status: RPCStatus) {
        call.finish(status)
        reset(call, .cancel)
    }

    private func receivedGoAway(_ lastStreamID: HTTP2StreamID, _ code: HTTP2ErrorCode) {
        let status = RPCStatus(.unavailable, "the server is going away (\(code))")
        for call in calls.values where call.streamID > lastStreamID {
            call.finish(status, wasSent: false)
        }
        retire()
        if calls.isEmpty { close() }
    }

    // MARK: Events

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

    private func windowUpdated(_ update: NIOHTTP2WindowUpdatedEvent) {
        guard let size = update.inboundWindowSize, !failed else { return }
        if update.streamID == .rootStream {
            let target = settings.connectionWindowBytes
            guard size <= target / 2 else { return }
            write(
                HTTP2Frame(
                    streamID: .rootStream,
                    payload: .windowUpdate(windowSizeIncrement: target - size)))
        } else if let call = calls[update.streamID] {
            call.inboundWindowBytes = size
            // Held back while the reader of a stream is behind.
            if case .stream(let buffer) = call.sink, buffer.isFull { return }
            renewWindow(of: call)
        }
    }

    private func renewWindow(of call: ClientCall) {
        let target = settings.streamWindowBytes
        guard call.phase == .open, call.inboundWindowBytes <= target / 2 else { return }
        let increment = target - call.inboundWindowBytes
        call.inboundWindowBytes = target
        write(
            HTTP2Frame(
                streamID: call.streamID, payload: .windowUpdate(windowSizeIncrement: increment)))
    }

    private func streamClosed(_ event: StreamClosedEvent) {
        guard let call = calls.removeValue(forKey: event.streamID) else { return }
        if call.phase != .finished {
            call.finish(RPCStatus(.unavailable, "the stream was closed"))
        }
        if isRetired && calls.isEmpty {
            // Not from here: HTTP/2 may be in the middle of a write.
            let channel = channel
            channel.eventLoop.execute { channel.close(promise: nil) }
        } else if isReading {
            core.gotRoom(self)
        } else {
            // Within a flush: what is written now would wait for the next one.
            let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
            channel.eventLoop.execute {
                bound.value.core.gotRoom(bound.value)
                bound.value.flushIfNeeded()
            }
        }
    }

    private func retire() {
        guard !isRetired else { return }
        isRetired = true
        core.retired(self)
    }

    // MARK: Life of the connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = channel
        settingsTimer = context.eventLoop.scheduleTask(in: settings.connectTimeout.timeAmount) {
            channel.close(promise: nil)
        }
        let interval = liveness.lookInterval
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        livenessTimer = context.eventLoop.scheduleRepeatedTask(
            initialDelay: interval, delay: interval
        ) { _ in bound.value.lookForLife() }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        settingsTimer?.cancel()
        livenessTimer?.cancel()
        isRetired = true
        let open = calls.values
        calls = [:]
        for call in open { call.finish(RPCStatus(.unavailable, "the connection was lost")) }
        core.closed(self, wasReady: isReady)
        context.fireChannelInactive()
    }

    /// A stream's error has been answered with RST_STREAM and its call ends by the event; a
    /// connection's with GOAWAY, which `wroteFrame` has seen.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("an HTTP/2 error", metadata: ["error": "\(error)", "peer": "\(authority)"])
        if failed || error is IOError || error is ChannelError { close() }
    }

    func close() {
        channel.close(promise: nil)
    }

    private func lookForLife() {
        // Without calls nobody waits, and servers count PINGs of idle clients against them.
        if calls.isEmpty { liveness.heard() }
        switch liveness.look(now: .now()) {
        case .nothing:
            break
        case .sendPing:
            write(HTTP2Frame(streamID: .rootStream, payload: .ping(.init(), ack: false)))
            flushIfNeeded()
        case .giveUp:
            failAll(RPCStatus(.unavailable, "the server does not answer"))
            close()
        }
    }
}
