import NIOCore
import NIOHPACK
import NIOHTTP2
import RPC
import Testing

/// What the server does with frames that our own client would not send.
@Suite struct ServerProtocolTests {
    @Test func theServerEnforcesADeadlineItself() async throws {
        try await TestServer.with { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            raw.send(
                1,
                headers: RawHTTP2Client.headers(TestMethods.never, [("grpc-timeout", "20m")]))
            raw.send(1, data: RawHTTP2Client.framed("x"), endStream: true)
            let answer = await raw.answer(on: 1)
            #expect(answer.status == "4")
            #expect(answer.blocks.count == 1)
            await raw.close()
        }
    }

    @Test(
        arguments: [
            ([], [("grpc-encoding", "gzip")], "12"),
            ([1, 0, 0, 0, 1, 7], [], "13"),
            ([0, 0, 0, 0, 9, 7], [], "13"),
            ([], [], "13"),
            ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [], "13"),
            ([0, 255, 255, 255, 255], [], "8"),
            ([0, 0, 0, 0, 0], [("grpc-timeout", "soon")], "13"),
        ] as [([UInt8], [(String, String)], String)])
    func malformedRequestsGetAStatus(
        data: [UInt8], extra: [(String, String)], status: String
    ) async throws {
        try await TestServer.with { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            raw.send(1, headers: RawHTTP2Client.headers(TestMethods.echo, extra))
            raw.send(1, data: data, endStream: true)
            let answer = await raw.answer(on: 1)
            #expect(answer.status == status)
            if status == "12" {
                #expect(answer.blocks.last?.first(name: "grpc-accept-encoding") == "identity")
            }
            // The connection is none the worse for it.
            raw.send(3, headers: RawHTTP2Client.headers(TestMethods.echo))
            raw.send(3, data: RawHTTP2Client.framed("x"), endStream: true)
            #expect(await raw.answer(on: 3).status == "0")
            await raw.close()
        }
    }

    @Test func whatIsNotGRPCGetsAnHTTPStatus() async throws {
        try await TestServer.with { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            var headers = RawHTTP2Client.headers(TestMethods.echo)
            headers.replaceOrAdd(name: "content-type", value: "application/json")
            raw.send(1, headers: headers, endStream: true)
            #expect(await raw.answer(on: 1).blocks.last?.first(name: ":status") == "415")
            await raw.close()
        }
    }

    @Test func anAnswerBeforeTheRequestsEndTellsTheClientToStop() async throws {
        try await TestServer.with { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            raw.send(1, headers: RawHTTP2Client.headers("/test.Echo/Nope"))
            #expect(await raw.answer(on: 1).status == "12")
            #expect(await raw.answer(on: 1).reset == .noError)
            await raw.close()
        }
    }

    /// Requests that never become whole are bounded over all streams of a connection.
    @Test func unfinishedRequestsAreBounded() async throws {
        var settings = RPCServerSettings()
        settings.partialRequestBytesMax = 100_000
        try await TestServer.with(settings: settings) { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            let part = [0, 0, 1, 0, 0] + [UInt8](repeating: 1, count: 40_000)
            for streamID in [1, 3, 5] {
                raw.send(streamID, headers: RawHTTP2Client.headers(TestMethods.echo))
                raw.send(streamID, data: part)
            }
            #expect(await raw.answer(on: 5).status == "8")
            // The failed stream's bytes are given back: a small request fits.
            raw.send(7, headers: RawHTTP2Client.headers(TestMethods.echo))
            raw.send(7, data: RawHTTP2Client.framed("x"), endStream: true)
            #expect(await raw.answer(on: 7).status == "0")
            await raw.close()
        }
    }

    /// NIO's defaults would close the connection at 200 of either.
    @Test func aThousandCancelsAndPingsAreOrdinary() async throws {
        try await TestServer.with { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            for i in 0..<1000 {
                raw.send(1 + 2 * i, headers: RawHTTP2Client.headers(TestMethods.never))
                raw.send(1 + 2 * i, data: RawHTTP2Client.framed("x"), endStream: true)
                raw.send(
                    HTTP2Frame(
                        streamID: HTTP2StreamID(1 + 2 * i), payload: .rstStream(.cancel)))
                raw.send(
                    HTTP2Frame(streamID: .rootStream, payload: .ping(.init(), ack: false)))
            }
            raw.send(2001, headers: RawHTTP2Client.headers(TestMethods.echo))
            raw.send(2001, data: RawHTTP2Client.framed("x"), endStream: true)
            #expect(await raw.answer(on: 2001).status == "0")
            await raw.close()
        }
    }

    @Test func aFloodOfResetsEndsTheConnectionOnly() async throws {
        var settings = RPCServerSettings()
        settings.resetFramesMax = 50
        settings.resetFrameWindow = .seconds(3600)
        try await TestServer.with(settings: settings) { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            for i in 0..<100 {
                raw.send(1 + 2 * i, headers: RawHTTP2Client.headers(TestMethods.never))
                raw.send(
                    HTTP2Frame(
                        streamID: HTTP2StreamID(1 + 2 * i), payload: .rstStream(.cancel)))
            }
            let code = await raw.first { frame -> HTTP2ErrorCode? in
                if case .goAway(_, let code, _) = frame.payload { return code }
                return nil
            }
            #expect(code == .enhanceYourCalm)
            try await raw.channel.closeFuture.get()
            try await test.withClient { client in
                let answer1 = try await client.unary(TestMethods.echo, buffer("x"))
                #expect(answer1 == buffer("x"))
            }
        }
    }

    @Test func aConnectionTooManyIsRefused() async throws {
        var settings = RPCServerSettings()
        settings.connectionsMax = 1
        try await TestServer.with(settings: settings) { test in
            try await test.withClient { client in
                _ = try await client.unary(TestMethods.echo, buffer("x"))
                let second = try await RawTCPClient.connect(to: test)
                await second.send(Array("GET / HTTP/1.1\r\nconnection: close\r\n\r\n".utf8))
                // One that was taken would have been answered with 404.
                #expect(await second.untilClosed == "")
                let answer2 = try await client.unary(TestMethods.echo, buffer("y"))
                #expect(answer2 == buffer("y"))
            }
        }
    }

    // MARK: Stopping

    @Test func stoppingLetsOpenCallsFinishAndRefusesNewOnes() async throws {
        let started = Signal<RPCReply>()
        var methods = TestMethods.all
        methods["/t.T/Slow"] = .unary { _, _, reply in started.send(reply) }
        try await TestServer.with(methods) { test in
            let raw = try await RawHTTP2Client.connect(to: test)
            raw.send(1, headers: RawHTTP2Client.headers("/t.T/Slow"))
            raw.send(1, data: RawHTTP2Client.framed("x"), endStream: true)
            let reply = await started.value
            let stopped = Task { await test.server.stop(within: .seconds(60)) }
            let goAway = await raw.first { frame -> (HTTP2StreamID, HTTP2ErrorCode)? in
                if case .goAway(let last, let code, _) = frame.payload { return (last, code) }
                return nil
            }
            #expect(goAway?.0 == .maxID)
            #expect(goAway?.1 == .noError)
            reply.succeed(buffer("done"))
            let answer = await raw.answer(on: 1)
            #expect(answer.bytes == RawHTTP2Client.framed("done"))
            #expect(answer.status == "0")
            // Not the 60 seconds: the last call has ended.
            await stopped.value
            try await raw.channel.closeFuture.get()
        }
    }

    @Test func aClientOfAStoppedServerKnowsThatNothingWasSent() async throws {
        try await TestServer.with { test in
            try await test.withClient { client in
                _ = try await client.unary(TestMethods.echo, buffer("x"))
                await test.server.stop(within: .seconds(60))
                let error = await failure { () async throws(RPCClientError) in
                    try await client.unary(TestMethods.echo, buffer("y"))
                }
                #expect(error?.status.code == .unavailable)
                #expect(error?.wasSent == false)
            }
        }
    }

    @Test func theGraceEndsCallsThatDoNot() async throws {
        let started = Signal<Void>()
        let cancelled = Signal<Void>()
        let method = RPCMethod.unary { _, context, _ in
            context.onCancel { cancelled.send(()) }
            started.send(())
        }
        try await TestServer.with(["/t.T/M": method]) { test in
            try await test.withClient { client in
                async let error = failure { () async throws(RPCClientError) in
                    try await client.unary("/t.T/M", buffer("x"))
                }
                await started.value
                await test.server.stop(within: .milliseconds(20))
                await cancelled.value
                #expect(await error?.status.code == .unavailable)
                #expect(await error?.wasSent == true)
            }
        }
    }

    @Test func aPortInUseIsAnErrorThatNamesIt() async throws {
        try await TestServer.with { test in
            let second = RPCServer(methods: [:], group: test.group, logger: TestServer.logger)
            let error = await #expect(throws: RPCServerError.self) {
                _ = try await second.start(host: test.host, port: test.port)
            }
            guard case .bindFailed(_, let port, _) = error else {
                Issue.record("unexpected \(String(describing: error))")
                return
            }
            #expect(port == test.port)
        }
    }
}
