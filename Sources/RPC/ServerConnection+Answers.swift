import Logging
import NIOCore
import NIOHPACK
import NIOHTTP2
import Synchronization

extension HTTP2Frame {
    init(streamID: HTTP2StreamID, headers: HPACKHeaders, endStream: Bool) {
        self.init(
            streamID: streamID, payload: .headers(.init(headers: headers, endStream: endStream)))
    }
}

extension ServerConnection {
    /// Messages up to this size are copied behind their prefix into one DATA frame; longer ones
    /// follow the prefix in frames of their own.
    private static let copyBytesMax = 16 << 10

    func performAll(_ actions: [ConnectionOutbox.Action]) {
        for action in actions { perform(action) }
    }

    func perform(_ action: ConnectionOutbox.Action) {
        switch action {
        case .succeed(let call, let message):
            guard !call.finished else { return }
            write(message, of: call)
            finish(call, GRPCWire.okTrailers)
        case .write(let call, let message):
            guard !call.finished else { return }
            write(message, of: call)
        case .finish(let call, let status):
            end(call, status)
        case .overflow(let call):
            overflowed(call)
        case .becameWritable(let call):
            if !call.finished { call.handler?.becameWritable() }
        case .setReadingPaused(let call, let paused):
            setReadingPaused(call, paused)
        case .resetFinished(let call):
            if calls[call.streamID] === call, !call.requestEnded { reset(call.streamID, .noError) }
        case .drain:
            drain()
        case .close:
            close()
        }
    }

    func flushIfNeeded() {
        guard needsFlush else { return }
        needsFlush = false
        context?.flush()
    }

    func write(_ frame: HTTP2Frame) {
        needsFlush = true
        context?.write(wrapOutboundOut(frame), promise: nil)
    }

    func reset(_ streamID: HTTP2StreamID, _ code: HTTP2ErrorCode) {
        write(HTTP2Frame(streamID: streamID, payload: .rstStream(code)))
    }

    /// Ends a call with a status, wherever it stands.
    func end(_ call: RPCCallContext, _ status: RPCStatus) {
        guard !call.finished else { return }
        if call.sentHeaders {
            finish(call, GRPCWire.trailers(status))
        } else {
            finish(call, GRPCWire.trailersOnly(status))
        }
    }

    private func finish(_ call: RPCCallContext, _ trailers: HPACKHeaders) {
        call.finished = true
        call.sentHeaders = true
        write(HTTP2Frame(streamID: call.streamID, headers: trailers, endStream: true))
        call.writer?.callEnded()
    }

    /// A status would wait behind what the client does not read: only a reset frees the memory.
    private func overflowed(_ call: RPCCallContext) {
        guard !call.finished else { return }
        logger.warning(
            "resetting a stream whose client does not read",
            metadata: ["method": "\(call.path)", "bytesWaiting": "\(call.pendingBytes)"])
        call.finished = true
        call.cancel()
        reset(call.streamID, .enhanceYourCalm)
    }

    private func write(_ message: ByteBuffer, of call: RPCCallContext) {
        if !call.sentHeaders {
            call.sentHeaders = true
            write(
                HTTP2Frame(
                    streamID: call.streamID, headers: GRPCWire.responseHeaders, endStream: false))
        }
        let count = message.readableBytes
        guard let length = UInt32(exactly: count), let context else {
            preconditionFailure("a message of \(count) bytes cannot be framed")
        }
        let framed = MessageReader.prefixBytes + count
        call.pendingBytes += framed
        pendingBytes += framed
        let isShort = count <= Self.copyBytesMax
        var prefixed = context.channel.allocator.buffer(
            capacity: isShort ? framed : MessageReader.prefixBytes)
        prefixed.writeInteger(UInt8(0))
        prefixed.writeInteger(length)
        if isShort {
            prefixed.writeImmutableBuffer(message)
            writeData(prefixed, of: call)
        } else {
            writeData(prefixed, of: call)
            writeData(message, of: call)
        }
        updateBlocked()
        if pendingBytes > settings.connectionOutboundBytesMax {
            logger.warning(
                "closing a connection whose client does not read",
                metadata: ["bytesWaiting": "\(pendingBytes)"])
            fail(.enhanceYourCalm)
        }
    }

    private func writeData(_ bytes: ByteBuffer, of call: RPCCallContext) {
        write(HTTP2Frame(streamID: call.streamID, payload: .data(.init(data: .byteBuffer(bytes)))))
    }

    // MARK: What waits to be written

    /// HTTP/2 passed DATA on to the socket. Nothing may be written from here.
    func wroteData(bytes: Int, on streamID: HTTP2StreamID) {
        stallWatch.wrote()
        guard let call = calls[streamID] else { return }
        call.pendingBytes -= bytes
        pendingBytes -= bytes
        if isBlocked { updateBlocked() }
        if let writer = call.writer, writer.drained(bytes: bytes), call.handler != nil {
            outbox.enqueue(.becameWritable(call))
        }
    }

    /// Holds every stream's writer back while the connection as a whole has too much waiting.
    func updateBlocked() {
        let high = settings.connectionOutboundBytesHigh
        if !isBlocked && pendingBytes > high {
            isBlocked = true
            outbox.isBlocked.store(true, ordering: .releasing)
        } else if isBlocked && pendingBytes <= high / 2 {
            isBlocked = false
            outbox.isBlocked.store(false, ordering: .releasing)
            for call in calls.values {
                guard let writer = call.writer else { continue }
                writer.wakeWaiters()
                if call.handler != nil { outbox.enqueue(.becameWritable(call)) }
            }
        }
    }

    // MARK: Deadlines

    /// One timer per connection, set to the earliest deadline that was ever waited for: it is not
    /// moved when that call ends first, since most do.
    func watchDeadline(_ deadline: NIODeadline) {
        guard deadline < deadlineTimerFires, let context else { return }
        deadlineTimer?.cancel()
        deadlineTimerFires = deadline
        let outbox = outbox
        deadlineTimer = context.eventLoop.scheduleTask(deadline: deadline) {
            outbox.connection?.deadlineTimerFired()
        }
    }

    private func deadlineTimerFired() {
        deadlineTimerFires = .distantFuture
        let now = NIODeadline.now()
        var next: NIODeadline?
        var passed: [RPCCallContext] = []
        for call in calls.values where !call.finished {
            guard let deadline = call.deadline else { continue }
            if deadline <= now {
                passed.append(call)
            } else {
                next = min(next ?? deadline, deadline)
            }
        }
        for call in passed where !call.finished {
            end(call, RPCStatus(.deadlineExceeded, "deadline exceeded"))
            call.cancel()
        }
        if let next { watchDeadline(next) }
        flushIfNeeded()
    }

    // MARK: Liveness

    func startLivenessTimer(context: ChannelHandlerContext) {
        let interval = liveness.lookInterval
        let outbox = outbox
        livenessTimer = context.eventLoop.scheduleRepeatedTask(
            initialDelay: interval, delay: interval
        ) { _ in
            outbox.connection?.lookForLife()
        }
    }

    private func lookForLife() {
        let now = NIODeadline.now()
        if stallWatch.look(waiting: isBlocked, now: now) {
            logger.warning(
                "closing a connection whose client has stopped reading",
                metadata: ["bytesWaiting": "\(pendingBytes)"])
            return fail(.enhanceYourCalm)
        }
        switch liveness.look(now: now) {
        case .nothing:
            break
        case .sendPing:
            write(HTTP2Frame(streamID: .rootStream, payload: .ping(.init(), ack: false)))
            flushIfNeeded()
        case .giveUp:
            logger.debug("closing a connection that does not answer")
            close()
        }
    }

    /// Says why and closes.
    private func fail(_ code: HTTP2ErrorCode) {
        guard phase != .closing else { return }
        write(
            HTTP2Frame(
                streamID: .rootStream,
                payload: .goAway(lastStreamID: .maxID, errorCode: code, opaqueData: nil)))
        flushIfNeeded()
        close()
    }

    // MARK: Draining

    /// Tells the client to go elsewhere; once no call is open, closes. New streams that are under
    /// way are each refused by name, so that the client knows that they were not processed.
    private func drain() {
        if phase == .serving {
            phase = .draining
            coalescer.sendGoAway()
        }
        guard phase == .draining, calls.isEmpty else { return }
        let last = lastStreamID
        write(
            HTTP2Frame(
                streamID: .rootStream,
                payload: .goAway(lastStreamID: last, errorCode: .noError, opaqueData: nil)))
        flushIfNeeded()
        close()
    }
}
