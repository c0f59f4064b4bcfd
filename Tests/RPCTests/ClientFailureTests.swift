import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import RPC
import Testing

/// What a client says of a call that failed: above all whether it may have been processed.
@Suite struct ClientFailureTests {
    @Test func withoutAServerNothingWasSent() async throws {
        // A port that was free a moment ago.
        let port = try await TestServer.with { $0.port }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = RPCClient(
            host: "127.0.0.1", port: port, group: group, logger: TestServer.logger)
        for _ in 0..<3 {
            let error = await failure { () async throws(RPCClientError) in
                try await client.unary("/t.T/M", buffer("x"))
            }
            #expect(error?.status.code == .unavailable)
            #expect(error?.wasSent == false)
        }
        await client.close()
        let error = await failure { () async throws(RPCClientError) in
            try await client.unary("/t.T/M", buffer("x"))
        }
        #expect(error?.wasSent == false)
        try await group.shutdownGracefully()
    }

    @Test func aServerThatHangsUpBeforeSpeakingGotNothing() async throws {
        try await ScriptedServer.with(speaksHTTP2: false) { _, _ in
        } body: { client in
            let error = await failure { () async throws(RPCClientError) in
                try await client.unary("/t.T/M", buffer("x"))
            }
            #expect(error?.status.code == .unavailable)
            #expect(error?.wasSent == false)
        }
    }

    @Test func aRefusedStreamWasNotProcessed() async throws {
        try await ScriptedServer.with { frame, server in
            guard case .data(let data) = frame.payload, data.endStream else { return }
            server.send(HTTP2Frame(streamID: frame.streamID, payload: .rstStream(.refusedStream)))
        } body: { client in
            let error = await failure { () async throws(RPCClientError) in
                try await client.unary("/t.T/M", buffer("x"))
            }
            #expect(error?.status.code == .unavailable)
            #expect(error?.wasSent == false)
        }
    }

    @Test func anyOtherResetMayHaveBeenProcessed() async throws {
        try await ScriptedServer.with { frame, server in
            guard case .data(let data) = frame.payload, data.endStream else { return }
            server.send(HTTP2Frame(streamID: frame.streamID, payload: .rstStream(.internalError)))
        } body: { client in
            let error = await failure { () async throws(RPCClientError) in
                try await client.unary("/t.T/M", buffer("x"))
            }
            #expect(error?.status.code == .internalError)
            #expect(error?.wasSent == true)
        }
    }

    @Test func aConnectionLostAfterSendingLeavesTheOutcomeUnknown() async throws {
        try await ScriptedServer.with { frame, server in
            guard case .data(let data) = frame.payload, data.endStream else { return }
            server.close()
        } body: { client in
            let error = await failure { () async throws(RPCClientError) in
                try await client.unary("/t.T/M", buffer("x"))
            }
            #expect(error?.status.code == .unavailable)
            #expect(error?.wasSent == true)
        }
    }

    /// GOAWAY names the last stream that was looked at: calls above it were not processed, the one
    /// at it goes on, and the next call takes a new connection.
    @Test func goAwayTellsWhichCallsWereNotProcessed() async throws {
        let connections = Signal<Void>()
        try await ScriptedServer.with { frame, server in
            guard case .data(let data) = frame.payload, data.endStream else { return }
            if server.number > 1 {
                connections.send(())
                server.answer(frame.streamID, "second connection")
            } else if frame.streamID == HTTP2StreamID(3) {
                server.send(
                    HTTP2Frame(
                        streamID: .rootStream,
                        payload: .goAway(
                            lastStreamID: HTTP2StreamID(1), errorCode: .noError, opaqueData: nil)))
                server.answer(HTTP2StreamID(1), "first connection")
            }
        } body: { client in
            let first = Signal<Result<ByteBuffer, RPCClientError>>()
            let second = Signal<Result<ByteBuffer, RPCClientError>>()
            client.unary("/t.T/M", buffer("1")) { first.send($0) }
            client.unary("/t.T/M", buffer("2")) { second.send($0) }
            let firstAnswer = try await first.value.get()
            #expect(firstAnswer == buffer("first connection"))
            guard case .failure(let error) = await second.value else {
                Issue.record("a call above the last stream succeeded")
                return
            }
            #expect(error.status.code == .unavailable)
            #expect(!error.wasSent)
            let third = try await client.unary("/t.T/M", buffer("3"))
            #expect(third == buffer("second connection"))
            await connections.value
        }
    }

    @Test(
        arguments: [
            ([(":status", "200"), ("content-type", "application/grpc")], RPCStatusCode.unknown),
            ([(":status", "503")], .unavailable),
            ([(":status", "200"), ("content-type", "text/html")], .unknown),
            (
                [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5")],
                .notFound
            ),
            (
                [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "99")],
                .unknown
            ),
            (
                [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0")],
                .internalError
            ),
        ] as [([(String, String)], RPCStatusCode)])
    func everyKindOfBadAnswerBecomesAStatus(
        headers: [(String, String)], code: RPCStatusCode
    ) async throws {
        try await ScriptedServer.with { frame, server in
            guard case .data(let data) = frame.payload, data.endStream else { return }
            server.send(
                HTTP2Frame(
                    streamID: frame.streamID,
                    payload: .headers(.init(headers: HPACKHeaders(headers), endStream: true))))
        } body: { client in
            let error = await failure { () async throws(RPCClientError) in
                try await client.unary("/t.T/M", buffer("x"))
            }
            #expect(error?.status.code == code)
            #expect(error?.wasSent == true)
        }
    }

    /// A server that never answers is noticed by its silence to PING.
    @Test func aServerThatDoesNotAnswerIsGivenUp() async throws {
        var settings = RPCClientSettings()
        settings.keepaliveInterval = .milliseconds(20)
        settings.keepaliveTimeout = .milliseconds(20)
        try await ScriptedServer.with(settings: settings) { frame, server in
            guard case .data(let data) = frame.payload, data.endStream else { return }
            server.stopReading()
        } body: { client in
            let error = await failure { () async throws(RPCClientError) in
                try await client.unary("/t.T/M", buffer("x"))
            }
            #expect(error?.status == RPCStatus(.unavailable, "the server does not answer"))
            #expect(error?.wasSent == true)
        }
    }
}

/// A server that does with each frame what a test says.
final class ScriptedServer {
    typealias Script = @Sendable (HTTP2Frame, Connection) -> Void

    /// One connection, in the hands of the script; on its event loop.
    final class Connection: ChannelInboundHandler {
        typealias InboundIn = HTTP2Frame
        typealias OutboundOut = HTTP2Frame

        /// Counts connections from 1.
        let number: Int
        private let script: Script
        private var context: ChannelHandlerContext?

        init(number: Int, script: @escaping Script) {
            self.number = number
            self.script = script
        }

        func handlerAdded(context: ChannelHandlerContext) { self.context = context }
        func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            script(unwrapInboundIn(data), self)
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {}

        func send(_ frame: HTTP2Frame) {
            context?.writeAndFlush(wrapOutboundOut(frame), promise: nil)
        }

        func answer(_ streamID: HTTP2StreamID, _ message: String) {
            let headers: HPACKHeaders = [
                ":status": "200", "content-type": "application/grpc",
            ]
            send(
                HTTP2Frame(
                    streamID: streamID, payload: .headers(.init(headers: headers))))
            let bytes = ByteBuffer(bytes: RawHTTP2Client.framed(message))
            send(
                HTTP2Frame(streamID: streamID, payload: .data(.init(data: .byteBuffer(bytes)))))
            send(
                HTTP2Frame(
                    streamID: streamID,
                    payload: .headers(.init(headers: ["grpc-status": "0"], endStream: true))))
        }

        func close() { context?.close(promise: nil) }

        func stopReading() {
            try? context?.channel.syncOptions?.setOption(.autoRead, value: false)
        }
    }

    static func with(
        speaksHTTP2: Bool = true, settings: RPCClientSettings = .init(),
        script: @escaping Script, body: (RPCClient) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let numbers = Numbers()
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                guard speaksHTTP2 else { return channel.close() }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOHTTP2Handler(mode: .server),
                        Connection(number: numbers.next(), script: script),
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let client = RPCClient(
            host: "127.0.0.1", port: listener.localAddress!.port!, settings: settings,
            group: group, logger: TestServer.logger)
        do {
            try await body(client)
        } catch {
            await client.close()
            try await listener.close().get()
            try await group.shutdownGracefully()
            throw error
        }
        await client.close()
        try await listener.close().get()
        try await group.shutdownGracefully()
    }

    private final class Numbers: Sendable {
        private let signal = AtomicCounter()
        func next() -> Int { signal.next() }
    }
}
