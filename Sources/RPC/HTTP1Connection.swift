import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// The HTTP/1.1 side of the port: one request at a time is gathered, bounded, and handed to the
/// server's callback. Pipelined requests wait in `HTTPServerPipelineHandler`, which stops reading.
final class HTTP1Connection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case idle
        case receiving(HTTPRequestHead, ByteBuffer)
        /// The body is too large: what follows of it is thrown away.
        case discarding
        case answering
    }

    private let bodyBytesMax: Int
    private let handler: HTTP1Handler?
    private var state = State.idle
    private var isDraining = false

    init(bodyBytesMax: Int, handler: HTTP1Handler?) {
        self.bodyBytesMax = bodyBytesMax
        self.handler = handler
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .idle):
            state = .receiving(head, ByteBuffer())
            if let length = head.headers.first(name: "content-length").flatMap(Int.init),
                length > bodyBytesMax
            {
                refuseBody(context: context, head)
            }
        case (.body(let part), .receiving(let head, var body)):
            guard body.readableBytes + part.readableBytes <= bodyBytesMax else {
                return refuseBody(context: context, head)
            }
            state = .idle
            body.writeImmutableBuffer(part)
            state = .receiving(head, body)
        case (.end, .receiving(let head, let body)):
            state = .answering
            answer(context: context, head, body)
        case (.body, .discarding), (.end, .discarding):
            break
        case (.head, _), (.body, _), (.end, _):
            // The pipelining handler gives one request at a time, in order.
            preconditionFailure("HTTP/1.1 part out of order in \(state)")
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is IdleStateHandler.IdleStateEvent:
            if case .answering = state { return }
            context.close(promise: nil)
        case is DrainEvent:
            isDraining = true
            if case .idle = state { context.close(promise: nil) }
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// The decoder has answered a malformed request with 400 where it could.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    /// Sent to a connection whose server stops.
    struct DrainEvent: Sendable {}

    private func refuseBody(context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        state = .discarding
        write(
            context: context,
            HTTP1Response(
                status: 413, contentType: "text/plain",
                "the body is larger than \(bodyBytesMax) bytes\n"),
            to: head, keepAlive: false)
    }

    private func answer(context: ChannelHandlerContext, _ head: HTTPRequestHead, _ body: ByteBuffer)
    {
        guard let handler else {
            return write(
                context: context,
                HTTP1Response(status: 404, contentType: "text/plain", "not found\n"), to: head,
                keepAlive: head.isKeepAlive)
        }
        let (path, query) = Self.split(head.uri)
        let request = HTTP1Request(
            method: head.method.rawValue, path: path, query: query,
            headers: head.headers.map { (name: $0.name, value: $0.value) }, body: body)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let once = Once()
        handler(request) { response in
            guard once.first() else { return }
            eventLoop.execute {
                let (connection, context) = bound.value
                guard context.channel.isActive else { return }
                connection.write(
                    context: context, response, to: head, keepAlive: head.isKeepAlive)
            }
        }
    }

    private func write(
        context: ChannelHandlerContext, _ response: HTTP1Response, to head: HTTPRequestHead,
        keepAlive: Bool
    ) {
        let keepAlive = keepAlive && !isDraining
        var headers = HTTPHeaders()
        for (name, value) in response.headers { headers.add(name: name, value: value) }
        headers.replaceOrAdd(name: "content-length", value: String(response.body.readableBytes))
        headers.replaceOrAdd(name: "connection", value: keepAlive ? "keep-alive" : "close")
        let responseHead = HTTPResponseHead(
            version: head.version, status: HTTPResponseStatus(statusCode: response.status),
            headers: headers)
        if case .answering = state { state = .idle }
        context.write(wrapOutboundOut(.head(responseHead)), promise: nil)
        if head.method != .HEAD && response.body.readableBytes > 0 {
            context.write(wrapOutboundOut(.body(.byteBuffer(response.body))), promise: nil)
        }
        if keepAlive {
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        } else {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
                bound.value.close(promise: nil)
            }
        }
    }

    private static func split(_ target: String) -> (path: String, query: String?) {
        guard let mark = target.firstIndex(of: "?") else { return (target, nil) }
        return (String(target[..<mark]), String(target[target.index(after: mark)...]))
    }

    /// Lets the first of several callers through.
    private final class Once: Sendable {
        private let taken = Atomic(false)
        func first() -> Bool { !taken.exchange(true, ordering: .acquiringAndReleasing) }
    }
}
