import NIOCore
import RPC
import Synchronization
import Testing

/// Unary calls over real sockets, our client against our server.
@Suite struct UnaryCallTests {
    @Test func answersFromTheEventLoopAndFromAThread() async throws {
        try await TestServer.with { test in
            try await test.withClient { client in
                let direct = try await client.unary(TestMethods.echo, buffer("here"))
                #expect(direct == buffer("here"))
                let hopped = try await client.unary(TestMethods.echoFromThread, buffer("there"))
                #expect(hopped == buffer("there"))
                let empty = try await client.unary(TestMethods.echo, ByteBuffer())
                #expect(empty.readableBytes == 0)
            }
        }
    }

    /// Above every window and frame size, both ways.
    @Test func eightMebibytesBothWays() async throws {
        let large = ByteBuffer(bytes: (0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        try await TestServer.with { test in
            try await test.withClient { client in
                let answers = try await withThrowingTaskGroup(of: ByteBuffer.self) { tasks in
                    for _ in 0..<3 {
                        tasks.addTask { try await client.unary(TestMethods.echoFromThread, large) }
                    }
                    return try await tasks.reduce(into: []) { $0.append($1) }
                }
                #expect(answers.count == 3)
                #expect(answers.allSatisfy { $0 == large })
            }
        }
    }

    @Test func aThousandCallsAtOnceEachGetTheirOwnAnswer() async throws {
        try await TestServer.with { test in
            try await test.withClient { client in
                let wrong = try await withThrowingTaskGroup(of: Bool.self) { tasks in
                    for i in 0..<1000 {
                        let path = i % 2 == 0 ? TestMethods.echo : TestMethods.echoFromThread
                        tasks.addTask {
                            try await client.unary(path, buffer("call \(i)"))
                                != buffer("call \(i)")
                        }
                    }
                    return try await tasks.reduce(into: 0) { $0 += $1 ? 1 : 0 }
                }
                #expect(wrong == 0)
            }
        }
    }

    /// More calls than the server lets be open: the client queues, none is refused.
    @Test func theServersLimitOnStreamsIsRespected() async throws {
        let open = Mutex((now: 0, most: 0))
        let method = RPCMethod.unary { message, _, reply in
            open.withLock {
                $0.now += 1
                $0.most = max($0.most, $0.now)
            }
            NIOSingletonsPool.run {
                open.withLock { $0.now -= 1 }
                reply.succeed(message)
            }
        }
        var settings = RPCServerSettings()
        settings.concurrentStreamsMax = 3
        try await TestServer.with(["/t.T/M": method], settings: settings) { test in
            try await test.withClient { client in
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for i in 0..<200 {
                        tasks.addTask { _ = try await client.unary("/t.T/M", buffer("\(i)")) }
                    }
                    try await tasks.waitForAll()
                }
            }
        }
        #expect(open.withLock { $0.most } <= 3)
    }

    @Test func aQueueThatIsFullFailsWhatWasNotSent() async throws {
        var settings = RPCClientSettings()
        settings.concurrentCallsMax = 1
        settings.queuedCallsMax = 2
        let started = Signal<Void>()
        let method = RPCMethod.unary { _, context, reply in
            started.send(())
            context.onCancel { reply.fail(RPCStatus(.cancelled)) }
        }
        try await TestServer.with(["/t.T/M": method]) { test in
            try await test.withClient(settings: settings) { client in
                client.unary("/t.T/M", buffer("open")) { _ in }
                await started.value
                client.unary("/t.T/M", buffer("queued 1")) { _ in }
                client.unary("/t.T/M", buffer("queued 2")) { _ in }
                let error = await failure { () async throws(RPCClientError) in
                    try await client.unary("/t.T/M", buffer("too many"))
                }
                #expect(error?.status.code == .resourceExhausted)
                #expect(error?.wasSent == false)
            }
        }
    }

    @Test func statusAndMessageArriveWhole() async throws {
        try await TestServer.with { test in
            try await test.withClient { client in
                let error = await failure { () async throws(RPCClientError) in
                    try await client.unary(TestMethods.fail, buffer("x"))
                }
                #expect(error?.status == RPCStatus(.failedPrecondition, "50 % größer\n"))
                #expect(error?.wasSent == true)
            }
        }
    }

    @Test func metadataReachesTheMethod() async throws {
        let method = RPCMethod.unary { _, context, reply in
            let text = context.metadata.value(for: "Keyspace") ?? "none"
            let bytes = context.metadata.binaryValue(for: "token-bin") ?? []
            let deadline = context.deadline == nil ? "never" : "soon"
            reply.succeed(buffer("\(context.path) \(text) \(bytes) \(deadline)"))
        }
        try await TestServer.with(["/t.T/M": method]) { test in
            try await test.withClient { client in
                var metadata: RPCMetadata = ["keyspace": "fhir"]
                metadata.addBinary("token-bin", [0, 128, 255])
                let answer = try await client.unary(
                    "/t.T/M", buffer("x"), metadata: metadata, timeout: .seconds(60))
                #expect(answer == buffer("/t.T/M fhir [0, 128, 255] soon"))
                let plain = try await client.unary("/t.T/M", buffer("x"))
                #expect(plain == buffer("/t.T/M none [] never"))
            }
        }
    }

    @Test func unknownMethodsAndServicesAreUnimplemented() async throws {
        try await TestServer.with { test in
            try await test.withClient { client in
                let method = await failure { () async throws(RPCClientError) in
                    try await client.unary("/test.Echo/Nope", buffer("x"))
                }
                #expect(
                    method?.status
                        == RPCStatus(.unimplemented, "unknown method Nope for service test.Echo"))
                let service = await failure { () async throws(RPCClientError) in
                    try await client.unary("/no.Such/Thing", buffer("x"))
                }
                #expect(service?.status == RPCStatus(.unimplemented, "unknown service no.Such"))
            }
        }
    }

    @Test func aRequestAboveTheLimitIsRefusedAndTheConnectionLives() async throws {
        var settings = RPCServerSettings()
        settings.requestBytesMax = 100_000
        try await TestServer.with(settings: settings) { test in
            try await test.withClient { client in
                let error = await failure { () async throws(RPCClientError) in
                    try await client.unary(
                        TestMethods.echo, ByteBuffer(repeating: 1, count: 5_000_000))
                }
                #expect(error?.status.code == .resourceExhausted)
                let exact = ByteBuffer(repeating: 1, count: 100_000)
                let answer1 = try await client.unary(TestMethods.echo, exact)
                #expect(answer1 == exact)
            }
        }
    }

    @Test func anAnswerAboveTheLimitIsRefused() async throws {
        var settings = RPCClientSettings()
        settings.responseBytesMax = 1000
        try await TestServer.with { test in
            try await test.withClient(settings: settings) { client in
                let error = await failure { () async throws(RPCClientError) in
                    try await client.unary(
                        TestMethods.echo, ByteBuffer(repeating: 1, count: 1001))
                }
                #expect(error?.status.code == .resourceExhausted)
                let answer2 = try await client.unary(TestMethods.echo, buffer("y"))
                #expect(answer2 == buffer("y"))
            }
        }
    }

    @Test func cancellingTheTaskReachesTheMethod() async throws {
        let started = Signal<RPCCallContext>()
        let cancelled = Signal<Bool>()
        let method = RPCMethod.unary { _, context, reply in
            context.onCancel {
                cancelled.send(context.isCancelled)
                reply.succeed(buffer("too late"))
            }
            started.send(context)
        }
        try await TestServer.with(["/t.T/M": method]) { test in
            try await test.withClient { client in
                let call = Task { () -> RPCClientError? in
                    await failure { () async throws(RPCClientError) in
                        try await client.unary("/t.T/M", buffer("x"))
                    }
                }
                let context = await started.value
                #expect(!context.isCancelled)
                call.cancel()
                #expect(await cancelled.value)
                let error = await call.value
                #expect(error?.status.code == .cancelled)
                #expect(error?.wasSent == true)
            }
        }
    }

    @Test func aCallCancelledBeforeItStartsIsNotSent() async throws {
        try await TestServer.with { test in
            try await test.withClient { client in
                let go = Signal<Void>()
                let call = Task { () -> RPCClientError? in
                    await go.value
                    return await failure { () async throws(RPCClientError) in
                        try await client.unary(TestMethods.echo, buffer("x"))
                    }
                }
                call.cancel()
                go.send(())
                let error = await call.value
                #expect(error?.status.code == .cancelled)
                #expect(error?.wasSent == false)
            }
        }
    }

    /// The server's own enforcement is tested in `ServerProtocolTests`.
    @Test func aDeadlineEndsTheCallWhateverTheServerDoes() async throws {
        let method = RPCMethod.unary { _, _, _ in }
        try await TestServer.with(["/t.T/M": method]) { test in
            try await test.withClient { client in
                let error = await failure { () async throws(RPCClientError) in
                    try await client.unary("/t.T/M", buffer("x"), timeout: .milliseconds(20))
                }
                #expect(error?.status.code == .deadlineExceeded)
            }
        }
    }

    @Test func healthIsAnsweredAndCanBeChanged() async throws {
        let path = "/grpc.health.v1.Health/Check"
        func request(_ service: String) -> ByteBuffer {
            ByteBuffer(bytes: [0x0A, UInt8(service.utf8.count)] + Array(service.utf8))
        }
        let serving = ByteBuffer(bytes: [0x08, 1])
        let notServing = ByteBuffer(bytes: [0x08, 2])
        try await TestServer.with { test in
            try await test.withClient { client in
                let answer3 = try await client.unary(path, ByteBuffer())
                #expect(answer3 == serving)
                let answer4 = try await client.unary(path, request("test.Echo"))
                #expect(answer4 == serving)
                test.server.setHealth(serving: false, service: "test.Echo")
                let answer5 = try await client.unary(path, request("test.Echo"))
                #expect(answer5 == notServing)
                let answer6 = try await client.unary(path, ByteBuffer())
                #expect(answer6 == serving)
                let unknown = await failure { () async throws(RPCClientError) in
                    try await client.unary(path, request("other"))
                }
                #expect(unknown?.status.code == .notFound)
                let malformed = await failure { () async throws(RPCClientError) in
                    try await client.unary(path, ByteBuffer(bytes: [0x0A, 200]))
                }
                #expect(malformed?.status.code == .internalError)
            }
        }
    }
}
