import NIOCore

/// Looks at the first bytes of a connection: the preface of HTTP/2 with prior knowledge
/// (RFC 9113 §3.4), or anything else, which is left to HTTP/1.1 to judge. Takes itself out of the
/// pipeline then.
final class ProtocolDetector: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    enum Detected { case http2, http1 }

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private let timeout: TimeAmount
    private let configure: (any Channel, Detected) throws -> Void
    private var first: ByteBuffer?
    private var isDone = false
    private var timer: Scheduled<Void>?

    init(timeout: TimeAmount, configure: @escaping (any Channel, Detected) throws -> Void) {
        self.timeout = timeout
        self.configure = configure
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return context.fireChannelRead(data) }
        let bytes = unwrapInboundIn(data)
        if first == nil {
            first = bytes
        } else {
            first!.writeImmutableBuffer(bytes)
        }
        guard let first, let detected = Self.detect(first) else { return }
        isDone = true
        self.first = nil
        timer?.cancel()
        do {
            try configure(context.channel, detected)
        } catch {
            // The channel is being torn down while it was set up.
            return context.close(promise: nil)
        }
        context.fireChannelRead(wrapInboundOut(first))
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    /// Nil while the bytes are a proper beginning of the preface.
    static func detect(_ bytes: ByteBuffer) -> Detected? {
        let compared = min(bytes.readableBytes, preface.count)
        guard bytes.readableBytesView.prefix(compared).elementsEqual(preface.prefix(compared))
        else {
            return .http1
        }
        return compared == preface.count ? .http2 : nil
    }
}
