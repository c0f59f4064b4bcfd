import NIOCore

/// Stands between the socket and `NIOHTTP2Handler` and gathers the small buffers that each frame is
/// written in (nine bytes of frame header, a header block, …) into one, so that a flush is one
/// write of few vectors, and the handler above can use its own buffer again instead of allocating
/// one per frame.
final class FrameCoalescer: ChannelOutboundHandler {
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// Larger buffers pass through: copying them would cost more than a vector of their own.
    private static let copyBytesMax = 4096
    /// What is gathered is passed on when it gets this long, so that the channel's own watermark
    /// sees it.
    private static let gatheredBytesMax = 64 << 10

    private var gathered: ByteBuffer?
    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    /// Sends GOAWAY with the highest stream identifier and NO_ERROR (RFC 9113 §6.8) without
    /// `NIOHTTP2Handler`, which once it has sent one treats what is already under way for new
    /// streams as a connection error.
    func sendGoAway() {
        guard let context else { return }
        var frame = context.channel.allocator.buffer(capacity: 17)
        frame.writeBytes([0, 0, 8, 7, 0, 0, 0, 0, 0])
        frame.writeInteger(UInt32(Int32.max))
        frame.writeInteger(UInt32(0))
        append(frame, context: context)
        flush(context: context)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let outbound = unwrapOutboundIn(data)
        guard case .byteBuffer(let bytes) = outbound, promise == nil,
            bytes.readableBytes <= Self.copyBytesMax
        else {
            passOn(context: context)
            context.write(data, promise: promise)
            return
        }
        append(bytes, context: context)
        if let gathered, gathered.readableBytes >= Self.gatheredBytesMax {
            passOn(context: context)
        }
    }

    func flush(context: ChannelHandlerContext) {
        passOn(context: context)
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        passOn(context: context)
        context.flush()
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        gathered = nil
        self.context = nil
    }

    private func append(_ bytes: ByteBuffer, context: ChannelHandlerContext) {
        if gathered == nil {
            gathered = context.channel.allocator.buffer(capacity: 1024)
        }
        gathered!.writeImmutableBuffer(bytes)
    }

    private func passOn(context: ChannelHandlerContext) {
        guard let bytes = gathered else { return }
        gathered = nil
        context.write(wrapOutboundOut(.byteBuffer(bytes)), promise: nil)
    }
}
