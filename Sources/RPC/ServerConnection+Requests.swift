import NIOCore
import NIOHPACK
import NIOHTTP2

extension ServerConnection {
    // MARK: HEADERS

    func receivedHeaders(_ payload: HTTP2Frame.FramePayload.Headers, on streamID: HTTP2StreamID) {
        if let call = calls[streamID] {
            // Trailers of the request: gRPC gives them no meaning but the end.
            if payload.endStream { requestEnded(call) }
            return
        }
        guard phase == .serving, calls.count < settings.concurrentStreamsMax,
            pendingBytes <= settings.connectionOutboundBytesHigh
        else {
            return reset(streamID, .refusedStream)
        }
        lastStreamID = streamID
        switch RequestHead.parse(payload.headers) {
        case .success(let head):
            open(head, payload.headers, on: streamID, requestEnded: payload.endStream)
        case .failure(.httpStatus(let status)):
            write(.init(streamID: streamID, headers: [":status": status], endStream: true))
            if !payload.endStream { reset(streamID, .noError) }
        case .failure(.status(let status)):
            reject(streamID, status, requestEnded: payload.endStream)
        }
    }

    private func open(
        _ head: RequestHead, _ headers: HPACKHeaders, on streamID: HTTP2StreamID, requestEnded: Bool
    ) {
        guard let method = methods[head.path] else {
            return reject(streamID, methods.unknown(head.path), requestEnded: requestEnded)
        }
        let deadline = head.timeout.map { NIODeadline.now() + $0 }
        let call = RPCCallContext(
            path: head.path, metadata: RPCMetadata(received: headers), deadline: deadline,
            streamID: streamID, method: method, outbox: outbox,
            requestBytesMax: settings.requestBytesMax)
        calls[streamID] = call
        call.inboundWindowBytes = settings.streamWindowBytes
        if let deadline { watchDeadline(deadline) }
        if case .bidirectional(let start) = method {
            let writer = RPCStreamWriter(call: call, settings: settings)
            call.writer = writer
            call.handler = start(call, writer)
            // A handler may finish the call at once.
            if call.finished { call.releaseHandlers() }
        }
        if requestEnded { self.requestEnded(call) }
    }

    /// Answers a request that never became a call.
    private func reject(_ streamID: HTTP2StreamID, _ status: RPCStatus, requestEnded: Bool) {
        var headers = GRPCWire.trailersOnly(status)
        if status.code == .unimplemented {
            headers.add(name: "grpc-accept-encoding", value: "identity")
        }
        write(.init(streamID: streamID, headers: headers, endStream: true))
        if !requestEnded { reset(streamID, .noError) }
    }

    // MARK: DATA

    func receivedData(_ payload: HTTP2Frame.FramePayload.Data, on streamID: HTTP2StreamID) {
        // No call: it was answered or reset while the client was still sending.
        guard let call = calls[streamID], !call.finished else { return }
        guard case .byteBuffer(let bytes) = payload.data else {
            preconditionFailure("a file region came from a socket")
        }
        partialBytes -= call.reader.bufferedBytes
        call.reader.append(bytes)
        let failure = takeMessages(of: call)
        let partialBytesMax = settings.partialRequestBytesMax
        if let failure {
            call.reader.drop()
            end(call, failure)
        } else if partialBytes + call.reader.bufferedBytes > partialBytesMax {
            call.reader.drop()
            end(
                call,
                RPCStatus(
                    .resourceExhausted, "over \(partialBytesMax) bytes of unfinished requests"))
        }
        partialBytes += call.reader.bufferedBytes
        if payload.endStream { requestEnded(call) }
    }

    private func takeMessages(of call: RPCCallContext) -> RPCStatus? {
        while !call.finished {
            switch call.reader.next() {
            case .incomplete:
                return nil
            case .message(let message):
                if let failure = received(message, call) { return failure }
            case .tooLarge(let bytes):
                return RPCStatus(
                    .resourceExhausted,
                    "received message larger than max (\(bytes) vs. \(settings.requestBytesMax))")
            case .compressed:
                return RPCStatus(.internalError, "compressed message without grpc-encoding")
            }
        }
        return nil
    }

    private func received(_ message: ByteBuffer, _ call: RPCCallContext) -> RPCStatus? {
        switch call.method {
        case .unary, .serverStreaming:
            guard call.request == nil else {
                return RPCStatus(.internalError, "more than one request message")
            }
            call.request = message
        case .bidirectional:
            if call.readingPaused {
                // A copy: the message lies in what was read from the socket, many times its size.
                var copy = ByteBufferAllocator().buffer(capacity: message.readableBytes)
                copy.writeImmutableBuffer(message)
                call.heldMessages.append(copy)
            } else {
                call.handler?.received(message: message)
            }
        }
        return nil
    }

    /// The client has sent its last frame.
    func requestEnded(_ call: RPCCallContext) {
        guard !call.requestEnded else { return }
        call.requestEnded = true
        guard !call.finished else { return }
        if call.reader.bufferedBytes > 0 {
            return end(call, RPCStatus(.internalError, "the request ends inside a message"))
        }
        switch call.method {
        case .unary(let handle):
            guard let message = takeRequest(of: call) else { return }
            handle(message, call, RPCReply(call: call))
        case .serverStreaming(let handle):
            guard let message = takeRequest(of: call) else { return }
            let writer = RPCStreamWriter(call: call, settings: settings)
            call.writer = writer
            handle(message, call, writer)
            if call.finished { call.releaseHandlers() }
        case .bidirectional:
            if !call.readingPaused { call.handler?.receivedHalfClose() }
        }
    }

    private func takeRequest(of call: RPCCallContext) -> ByteBuffer? {
        guard let message = call.request else {
            end(call, RPCStatus(.internalError, "no request message"))
            return nil
        }
        call.request = nil
        return message
    }

    func setReadingPaused(_ call: RPCCallContext, _ paused: Bool) {
        guard !call.finished, call.readingPaused != paused else { return }
        call.readingPaused = paused
        if paused { return }
        while !call.heldMessages.isEmpty && !call.readingPaused && !call.finished {
            call.handler?.received(message: call.heldMessages.removeFirst())
        }
        guard !call.readingPaused && !call.finished else { return }
        renewWindow(of: call)
        if call.requestEnded { call.handler?.receivedHalfClose() }
    }

    // MARK: Windows

    func windowUpdated(_ update: NIOHTTP2WindowUpdatedEvent) {
        guard let size = update.inboundWindowSize, phase != .closing else { return }
        if update.streamID == .rootStream {
            let target = settings.connectionWindowBytes
            if size <= target / 2 {
                write(
                    .init(
                        streamID: .rootStream,
                        payload: .windowUpdate(windowSizeIncrement: target - size)))
            }
        } else if let call = calls[update.streamID] {
            call.inboundWindowBytes = size
            if !call.readingPaused { renewWindow(of: call) }
        }
    }

    private func renewWindow(of call: RPCCallContext) {
        let target = settings.streamWindowBytes
        guard !call.requestEnded, !call.finished, call.inboundWindowBytes <= target / 2 else {
            return
        }
        let increment = target - call.inboundWindowBytes
        call.inboundWindowBytes = target
        write(
            .init(streamID: call.streamID, payload: .windowUpdate(windowSizeIncrement: increment)))
    }

    // MARK: The end of a stream

    func streamClosed(_ event: StreamClosedEvent) {
        guard let call = calls.removeValue(forKey: event.streamID) else { return }
        pendingBytes -= call.pendingBytes
        partialBytes -= call.reader.bufferedBytes
        updateBlocked()
        closed(call)
        if phase == .draining { outbox.enqueue(.drain) }
    }
}
