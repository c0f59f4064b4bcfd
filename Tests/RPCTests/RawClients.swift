import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import RPC

/// A client that sends the frames it is told to and reads only what it is asked to: it never
/// renews a window.
final class RawHTTP2Client: Sendable {
    let channel: any Channel
    private let frames: Frames

    /// Frames as they come; ends when the connection is closed.
    final class Frames: Sendable {
        let stream: AsyncStream<HTTP2Frame>
        let continuation: AsyncStream<HTTP2Frame>.Continuation
        init() { (stream, continuation) = AsyncStream.makeStream() }
    }

    private final class Recorder: ChannelInboundHandler {
        typealias InboundIn = HTTP2Frame
        private let frames: Frames
        init(_ frames: Frames) { self.frames = frames }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            frames.continuation.yield(unwrapInboundIn(data))
        }
        func channelInactive(context: ChannelHandlerContext) {
            frames.continuation.finish()
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }

    private init(channel: any Channel, frames: Frames) {
        self.channel = channel
        self.frames = frames
    }

    static func connect(to test: TestServer, windowBytes: Int = 65_535) async throws
        -> RawHTTP2Client
    {
        let frames = Frames()
        let channel = try await ClientBootstrap(group: test.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    var connection = NIOHTTP2Handler.ConnectionConfiguration()
                    connection.initialSettings = [
                        HTTP2Setting(parameter: .initialWindowSize, value: windowBytes)
                    ]
                    connection.headerBlockValidation = .disabled
                    connection.contentLengthValidation = .disabled
                    // Answers to its own PINGs count.
                    connection.controlFrameRateLimit.maximumCount = 100_000
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOHTTP2Handler(mode: .client, connectionConfiguration: connection),
                        Recorder(frames),
                    ])
                }
            }
            .connect(host: test.host, port: test.port).get()
        return RawHTTP2Client(channel: channel, frames: frames)
    }

    static func headers(_ path: String, _ extra: [(String, String)] = []) -> HPACKHeaders {
        var headers: HPACKHeaders = [
            ":method": "POST", ":scheme": "http", ":path": path, ":authority": "test",
            "content-type": "application/grpc", "te": "trailers",
        ]
        headers.add(contentsOf: extra)
        return headers
    }

    func send(_ streamID: Int, headers: HPACKHeaders, endStream: Bool = false) {
        send(
            HTTP2Frame(
                streamID: HTTP2StreamID(streamID),
                payload: .headers(.init(headers: headers, endStream: endStream))))
    }

    func send(_ streamID: Int, data: [UInt8], endStream: Bool = false) {
        send(
            HTTP2Frame(
                streamID: HTTP2StreamID(streamID),
                payload: .data(
                    .init(data: .byteBuffer(ByteBuffer(bytes: data)), endStream: endStream))))
    }

    func send(_ frame: HTTP2Frame) {
        channel.writeAndFlush(frame, promise: nil)
    }

    /// One message behind its prefix.
    static func framed(_ message: String) -> [UInt8] {
        [0, 0, 0, 0, UInt8(message.utf8.count)] + Array(message.utf8)
    }

    /// What arrives on one stream until it ends: header blocks, all its bytes, its reset.
    struct Answer {
        var blocks: [HPACKHeaders] = []
        var bytes: [UInt8] = []
        var reset: HTTP2ErrorCode?
        var status: String? { blocks.last?.first(name: "grpc-status") }
    }

    /// Reads frames until the stream ends; other streams' frames are skipped.
    func answer(on streamID: Int) async -> Answer {
        var answer = Answer()
        for await frame in frames.stream where frame.streamID == HTTP2StreamID(streamID) {
            switch frame.payload {
            case .headers(let headers):
                answer.blocks.append(headers.headers)
                if headers.endStream { return answer }
            case .data(let data):
                if case .byteBuffer(let bytes) = data.data {
                    answer.bytes += Array(bytes.readableBytesView)
                }
                if data.endStream { return answer }
            case .rstStream(let code):
                answer.reset = code
                return answer
            default:
                break
            }
        }
        return answer
    }

    /// Reads frames until one is as wanted; nil when the connection closes first.
    func first<Found>(_ wanted: (HTTP2Frame) -> Found?) async -> Found? {
        for await frame in frames.stream {
            if let found = wanted(frame) { return found }
        }
        return nil
    }

    func close() async {
        try? await channel.close().get()
    }
}

/// A client that sends bytes and gathers bytes.
final class RawTCPClient: Sendable {
    let channel: any Channel
    private let received: Signal<ByteBuffer>

    private final class Gatherer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var all = ByteBuffer()
        private let received: Signal<ByteBuffer>
        init(_ received: Signal<ByteBuffer>) { self.received = received }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            all.writeImmutableBuffer(unwrapInboundIn(data))
        }
        func channelInactive(context: ChannelHandlerContext) { received.send(all) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    private init(channel: any Channel, received: Signal<ByteBuffer>) {
        self.channel = channel
        self.received = received
    }

    static func connect(to test: TestServer) async throws -> RawTCPClient {
        let received = Signal<ByteBuffer>()
        let channel = try await ClientBootstrap(group: test.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Gatherer(received))
                }
            }
            .connect(host: test.host, port: test.port).get()
        return RawTCPClient(channel: channel, received: received)
    }

    /// Waits until the bytes are with the system. A peer that has hung up is no error here.
    func send(_ bytes: [UInt8]) async {
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }

    /// All that came until the server closed the connection.
    var untilClosed: String {
        get async { String(buffer: await received.value) }
    }

    func close() async {
        try? await channel.close().get()
    }
}

/// A client that sends bytes and looks for bytes in what comes back.
final class RawHTTP2Probe: Sendable {
    private let channel: any Channel
    private let bytes: AsyncStream<ByteBuffer>

    private final class Forwarder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let continuation: AsyncStream<ByteBuffer>.Continuation
        init(_ continuation: AsyncStream<ByteBuffer>.Continuation) {
            self.continuation = continuation
        }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            continuation.yield(unwrapInboundIn(data))
        }
        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    private init(channel: any Channel, bytes: AsyncStream<ByteBuffer>) {
        self.channel = channel
        self.bytes = bytes
    }

    static func connect(to test: TestServer) async throws -> RawHTTP2Probe {
        let (stream, continuation) = AsyncStream<ByteBuffer>.makeStream()
        let channel = try await ClientBootstrap(group: test.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Forwarder(continuation))
                }
            }
            .connect(host: test.host, port: test.port).get()
        return RawHTTP2Probe(channel: channel, bytes: stream)
    }

    func send(_ bytes: [UInt8]) async {
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }

    /// False when the connection closes before these bytes have come.
    func firstBytes(containing wanted: [UInt8]) async -> Bool {
        var all: [UInt8] = []
        for await part in bytes {
            all += Array(part.readableBytesView)
            if all.firstRange(of: wanted) != nil { return true }
        }
        return false
    }

    func close() async {
        try? await channel.close().get()
    }
}
