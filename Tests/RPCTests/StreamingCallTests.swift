import NIOCore
import NIOHTTP2
import RPC
import Synchronization
import Testing

/// Streams of answers, and what happens to a client that does not read them.
@Suite struct StreamingCallTests {
    private static let stream = "/t.T/Stream"

    @Test func messagesArriveInOrderAndTheStatusEndsThem() async throws {
        let method = RPCMethod.serverStreaming { message, _, writer in
            for i in 0..<50 { writer.write(buffer("\(String(buffer: message)) \(i)")) }
            writer.finish()
        }
        try await TestServer.with([Self.stream: method]) { test in
            try await test.withClient { client in
                var messages: [String] = []
                for try await message in client.serverStreaming(Self.stream, buffer("part")) {
                    messages.append(String(buffer: message))
                }
                #expect(messages == (0..<50).map { "part \($0)" })
            }
        }
    }

    @Test func aFailureComesAfterTheMessagesBeforeIt() async throws {
        let method = RPCMethod.serverStreaming { _, _, writer in
            writer.write(buffer("one"))
            writer.finish(RPCStatus(.dataLoss, "no more"))
        }
        try await TestServer.with([Self.stream: method]) { test in
            try await test.withClient { client in
                var messages: [ByteBuffer] = []
                var status: RPCStatus?
                do {
                    for try await message in client.serverStreaming(Self.stream, ByteBuffer()) {
                        messages.append(message)
                    }
                } catch let error as RPCClientError {
                    status = error.status
                }
                #expect(messages == [buffer("one")])
                #expect(status == RPCStatus(.dataLoss, "no more"))
            }
        }
    }

    /// A writer that keeps to `isWritable` is stopped by a client that does not read, and goes on
    /// when it does.
    @Test func aSlowReaderStopsTheWriterAndLosesNothing() async throws {
        let size = 100_000
        let count = 100
        let stopped = Signal<Int>()
        let method = RPCMethod.serverStreaming { _, _, writer in
            NIOSingletonsPool.run {
                for i in 0..<count {
                    if !writer.isWritable { stopped.send(i) }
                    guard writer.waitUntilWritable(timeout: .seconds(60)) == .writable else {
                        return
                    }
                    writer.write(ByteBuffer(repeating: UInt8(i), count: size))
                }
                stopped.send(count)
                writer.finish()
            }
        }
        try await TestServer.with([Self.stream: method]) { test in
            try await test.withClient { client in
                let messages = client.serverStreaming(Self.stream, ByteBuffer())
                // Both ends' limits of 1 MiB, the window renewed once, the sockets: below 5 MB.
                let written = await stopped.value
                #expect(written * size < 5_000_000)
                var next = 0
                for try await message in messages {
                    #expect(message == ByteBuffer(repeating: UInt8(next), count: size))
                    next += 1
                }
                #expect(next == count)
            }
        }
    }

    /// The window of a stream that nobody reads is not renewed, whatever else goes on.
    @Test func aReaderThatDoesNotReadHoldsTheServerBack() async throws {
        let writing = Signal<RPCStreamWriter>()
        var methods = TestMethods.all
        methods[Self.stream] = .serverStreaming { _, _, writer in
            for _ in 0..<80 { writer.write(ByteBuffer(repeating: 1, count: 100_000)) }
            writing.send(writer)
        }
        try await TestServer.with(methods) { test in
            try await test.withClient { client in
                let messages = client.serverStreaming(Self.stream, ByteBuffer())
                let writer = await writing.value
                // Each round trip would carry a renewal; sixteen are enough for 8 MB.
                for i in 0..<50 {
                    _ = try await client.unary(TestMethods.echo, buffer("\(i)"))
                }
                #expect(!writer.isWritable)
                writer.finish()
                var count = 0
                for try await message in messages { count += message.readableBytes }
                #expect(count == 8_000_000)
            }
        }
    }

    @Test func aWriterThatGoesOnRegardlessIsEnded() async throws {
        var settings = RPCServerSettings()
        settings.streamOutboundBytesHigh = 100_000
        settings.streamOutboundBytesLow = 50_000
        settings.streamOutboundBytesMax = 1_000_000
        let accepted = Signal<Int>()
        let method = RPCMethod.serverStreaming { _, _, writer in
            NIOSingletonsPool.run {
                var bytes = 0
                while writer.write(ByteBuffer(repeating: 1, count: 9_995)) { bytes += 10_000 }
                accepted.send(bytes)
            }
        }
        var methods = TestMethods.all
        methods[Self.stream] = method
        try await TestServer.with(methods, settings: settings) { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            raw.send(1, headers: RawHTTP2Client.headers(Self.stream))
            raw.send(1, data: RawHTTP2Client.framed(""), endStream: true)
            // What the client's window took has left; what is held is bounded.
            let bytes = await accepted.value
            #expect(bytes >= 1_000_000)
            #expect(bytes <= 1_000_000 + 65_535)
            #expect(await raw.answer(on: 1).reset == .enhanceYourCalm)
            // The stream's end has freed the connection's buffers: small calls go on.
            raw.send(
                HTTP2Frame(
                    streamID: .rootStream, payload: .windowUpdate(windowSizeIncrement: 1000)))
            raw.send(3, headers: RawHTTP2Client.headers(TestMethods.echo))
            raw.send(3, data: RawHTTP2Client.framed("still"), endStream: true)
            let answer = await raw.answer(on: 3)
            #expect(answer.bytes == RawHTTP2Client.framed("still"))
            #expect(answer.status == "0")
            await raw.close()
        }
    }

    @Test func callsOfAClientThatReadsNothingAreRefused() async throws {
        var settings = RPCServerSettings()
        settings.connectionOutboundBytesHigh = 1 << 20
        settings.connectionOutboundBytesMax = 4 << 20
        let handled = Mutex(0)
        let method = RPCMethod.unary { _, _, reply in
            handled.withLock { $0 += 1 }
            reply.succeed(ByteBuffer(repeating: 1, count: 256 << 10))
        }
        try await TestServer.with(["/t.T/M": method], settings: settings) { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            for i in 0..<50 {
                raw.send(1 + 2 * i, headers: RawHTTP2Client.headers("/t.T/M"))
                raw.send(1 + 2 * i, data: RawHTTP2Client.framed(""), endStream: true)
            }
            let refused = await raw.first { frame -> Bool? in
                if case .rstStream(let code) = frame.payload { return code == .refusedStream }
                return nil
            }
            #expect(refused == true)
            await raw.close()
        }
        // 1 MiB holds four answers, the window took a part of one more.
        #expect(handled.withLock { $0 } <= 6)
    }

    @Test func aConnectionThatHoldsTooMuchIsClosed() async throws {
        var settings = RPCServerSettings()
        settings.connectionOutboundBytesHigh = 1 << 20
        settings.connectionOutboundBytesMax = 2 << 20
        let replies = Mutex<[RPCReply]>([])
        let all = Signal<Void>()
        let method = RPCMethod.unary { _, _, reply in
            let count = replies.withLock { replies in
                replies.append(reply)
                return replies.count
            }
            if count == 20 { all.send(()) }
        }
        var methods = TestMethods.all
        methods["/t.T/M"] = method
        try await TestServer.with(methods, settings: settings) { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            for i in 0..<20 {
                raw.send(1 + 2 * i, headers: RawHTTP2Client.headers("/t.T/M"))
                raw.send(1 + 2 * i, data: RawHTTP2Client.framed(""), endStream: true)
            }
            await all.value
            for reply in replies.withLock({ $0 }) {
                reply.succeed(ByteBuffer(repeating: 1, count: 256 << 10))
            }
            let code = await raw.first { frame -> HTTP2ErrorCode? in
                if case .goAway(_, let code, _) = frame.payload { return code }
                return nil
            }
            #expect(code == .enhanceYourCalm)
            try await raw.channel.closeFuture.get()
            try await test.withClient { client in
                let firstAnswer = try await client.unary(TestMethods.echo, buffer("x"))
                #expect(firstAnswer == buffer("x"))
            }
        }
    }

    @Test func droppingTheStreamCancelsTheCall() async throws {
        let ended = Signal<RPCStreamWriter.Readiness>()
        let method = RPCMethod.serverStreaming { _, _, writer in
            writer.write(buffer("first"))
            NIOSingletonsPool.run {
                // Never not writable, so it returns for the call's end only.
                while writer.waitUntilWritable(timeout: .seconds(60)) == .writable {
                    writer.write(ByteBuffer(repeating: 0, count: 1 << 20))
                }
                ended.send(writer.isClosed ? .closed : .timedOut)
            }
        }
        try await TestServer.with([Self.stream: method]) { test in
            try await test.withClient { client in
                do {
                    var messages = client.serverStreaming(Self.stream, ByteBuffer())
                        .makeAsyncIterator()
                    let secondAnswer = try await messages.next()
                    #expect(secondAnswer == buffer("first"))
                }
                #expect(await ended.value == .closed)
            }
        }
    }

    // MARK: Both sides stream

    private final class EchoHandler: RPCStreamHandler {
        let writer: RPCStreamWriter
        let log: Mutex<[String]>
        init(_ writer: RPCStreamWriter) {
            self.writer = writer
            log = Mutex([])
        }
        func received(message: ByteBuffer) { writer.write(message) }
        func receivedHalfClose() { writer.finish(RPCStatus(.ok)) }
        func cancelled() {}
    }

    @Test func aBidirectionalCallAnswersAsItGoes() async throws {
        let method = RPCMethod.bidirectional { _, writer in EchoHandler(writer) }
        try await TestServer.with(["/t.T/Both": method]) { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            raw.send(1, headers: RawHTTP2Client.headers("/t.T/Both"))
            let wire = RawHTTP2Client.framed("one") + RawHTTP2Client.framed("two")
            // One frame holds a message and a half.
            raw.send(1, data: Array(wire[..<11]))
            let first = await raw.first { frame -> [UInt8]? in
                guard case .data(let data) = frame.payload, case .byteBuffer(let bytes) = data.data
                else { return nil }
                return Array(bytes.readableBytesView)
            }
            #expect(first == RawHTTP2Client.framed("one"))
            raw.send(1, data: Array(wire[11...]))
            raw.send(1, data: [], endStream: true)
            let answer = await raw.answer(on: 1)
            #expect(answer.bytes == RawHTTP2Client.framed("two"))
            #expect(answer.status == "0")
            await raw.close()
        }
    }

    private final class PausingHandler: RPCStreamHandler {
        let writer: RPCStreamWriter
        let messages = Mutex<[String]>([])
        let paused: Signal<Void>
        let ended: Signal<[String]>
        init(_ writer: RPCStreamWriter, paused: Signal<Void>, ended: Signal<[String]>) {
            self.writer = writer
            self.paused = paused
            self.ended = ended
        }
        func received(message: ByteBuffer) {
            let count = messages.withLock { messages in
                messages.append(String(buffer: message))
                return messages.count
            }
            if count == 1 {
                writer.pauseReading()
                writer.write(buffer("paused"))
                paused.send(())
            }
        }
        func receivedHalfClose() {
            ended.send(messages.withLock { $0 })
            writer.finish()
        }
        func cancelled() {}
    }

    @Test func aPausedHandlerIsToldNothingUntilItResumes() async throws {
        let paused = Signal<Void>()
        let ended = Signal<[String]>()
        let handler = Signal<PausingHandler>()
        let method = RPCMethod.bidirectional { _, writer in
            let made = PausingHandler(writer, paused: paused, ended: ended)
            handler.send(made)
            return made
        }
        var methods = TestMethods.all
        methods["/t.T/Both"] = method
        try await TestServer.with(methods) { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            raw.send(1, headers: RawHTTP2Client.headers("/t.T/Both"))
            raw.send(1, data: RawHTTP2Client.framed("a"))
            await paused.value
            raw.send(1, data: RawHTTP2Client.framed("b") + RawHTTP2Client.framed("c"))
            raw.send(1, data: [], endStream: true)
            // An answer on the same connection shows that the server has seen all of it.
            raw.send(3, headers: RawHTTP2Client.headers(TestMethods.echo))
            raw.send(3, data: RawHTTP2Client.framed("x"), endStream: true)
            #expect(await raw.answer(on: 3).status == "0")
            let made = await handler.value
            #expect(made.messages.withLock { $0 } == ["a"])
            made.writer.resumeReading()
            #expect(await ended.value == ["a", "b", "c"])
            await raw.close()
        }
    }

    private final class OneByOneHandler: RPCStreamHandler {
        let writer: RPCStreamWriter
        let messages = Mutex<[String]>([])
        let first: Signal<Void>
        init(_ writer: RPCStreamWriter, first: Signal<Void>) {
            self.writer = writer
            self.first = first
        }
        func received(message: ByteBuffer) {
            messages.withLock { $0.append(String(buffer: message)) }
            writer.pauseReading()
            first.send(())
        }
        func receivedHalfClose() {}
        func cancelled() {}
    }

    /// Thousands of small messages fit into what a window holds back: a handler that takes few at a
    /// time is not to be given all of them as it resumes.
    @Test func aHandlerThatPausesAgainIsToldOfOneMessage() async throws {
        let first = Signal<Void>()
        let handler = Signal<OneByOneHandler>()
        var methods = TestMethods.all
        methods["/t.T/OneByOne"] = .bidirectional { _, writer in
            let made = OneByOneHandler(writer, first: first)
            handler.send(made)
            return made
        }
        try await TestServer.with(methods) { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            raw.send(1, headers: RawHTTP2Client.headers("/t.T/OneByOne"))
            raw.send(1, data: ["a", "b", "c", "d"].flatMap { RawHTTP2Client.framed($0) })
            await first.value
            let made = await handler.value
            for (number, expected) in [["a"], ["a", "b"], ["a", "b", "c"]].enumerated() {
                let stream = 3 + 2 * number
                // An answer on the same connection shows that the server has come so far.
                raw.send(stream, headers: RawHTTP2Client.headers(TestMethods.echo))
                raw.send(stream, data: RawHTTP2Client.framed("x"), endStream: true)
                #expect(await raw.answer(on: stream).status == "0")
                #expect(made.messages.withLock { $0 } == expected)
                made.writer.resumeReading()
            }
            await raw.close()
        }
    }
}
