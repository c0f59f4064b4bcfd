import NIOCore
import RPC
import Testing

/// The HTTP/1.1 side of the port.
@Suite struct HTTP1Tests {
    private static let handler: HTTP1Handler = { request, respond in
        let text =
            "\(request.method) \(request.path)?\(request.query ?? "") "
            + "\(request.header("X-Test") ?? "-") \(String(buffer: request.body))"
        NIOSingletonsPool.run {
            respond(HTTP1Response(status: 200, contentType: "text/plain", text + ";"))
            respond(HTTP1Response(status: 500, contentType: "text/plain", "ignored"))
        }
    }

    private func exchange(
        _ request: String, settings: RPCServerSettings = .init(), http1: HTTP1Handler? = handler
    ) async throws -> String {
        try await TestServer.with(settings: settings, http1: http1) { test in
            let raw = try await RawTCPClient.connect(to: test)
            await raw.send(Array(request.utf8))
            return await raw.untilClosed
        }
    }

    @Test func requestsOnOneConnectionAreAnsweredInOrder() async throws {
        let answer = try await exchange(
            "GET /a?q=1 HTTP/1.1\r\nhost: x\r\n\r\n"
                + "POST /b HTTP/1.1\r\nhost: x\r\nx-test: yes\r\ncontent-length: 4\r\n\r\nbody"
                + "GET /c HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        #expect(answer.ranges(of: "HTTP/1.1 200 OK").count == 3)
        #expect(answer.contains("GET /a?q=1 - ;"))
        #expect(answer.contains("POST /b? yes body;"))
        #expect(answer.contains("GET /c? - ;"))
        let positions = ["/a", "/b", "/c"].compactMap { answer.firstRange(of: $0)?.lowerBound }
        #expect(positions == positions.sorted())
        #expect(!answer.contains("ignored"))
    }

    @Test func aChunkedBodyIsGathered() async throws {
        let answer = try await exchange(
            "POST /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
                + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        #expect(answer.contains("POST /b? - abcde;"))
    }

    @Test func aHeadRequestGetsTheLengthWithoutTheBody() async throws {
        let answer = try await exchange(
            "HEAD /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        #expect(answer.contains("content-length: 12"))
        #expect(answer.hasSuffix("\r\n\r\n"))
    }

    @Test(arguments: [
        "POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 101\r\n\r\n",
        "POST /b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n65\r\n"
            + String(repeating: "x", count: 101) + "\r\n0\r\n\r\n",
    ]) func aBodyAboveTheLimitIsRefused(request: String) async throws {
        var settings = RPCServerSettings()
        settings.http1BodyBytesMax = 100
        let answer = try await exchange(request, settings: settings)
        #expect(answer.hasPrefix("HTTP/1.1 413 "))
    }

    @Test(arguments: [
        "GARBAGE\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
    ])
    func garbageIsRefused(request: String) async throws {
        let answer = try await exchange(request)
        #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 400 "))
        #expect(!answer.contains("200"))
    }

    @Test func withoutAHandlerNothingIsFound() async throws {
        let answer = try await exchange(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", http1: nil)
        #expect(answer.hasPrefix("HTTP/1.1 404 "))
    }

    @Test func bothProtocolsShareThePort() async throws {
        try await TestServer.with(http1: Self.handler) { test in
            try await test.withClient { client in
                let answer1 = try await client.unary(TestMethods.echo, buffer("x"))
                #expect(answer1 == buffer("x"))
                let raw = try await RawTCPClient.connect(to: test)
                // The first byte alone decides nothing.
                await raw.send(Array("P".utf8))
                await raw.send(
                    Array("OST /p HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".utf8))
                #expect(await raw.untilClosed.contains("POST /p? - ;"))
                let answer2 = try await client.unary(TestMethods.echo, buffer("y"))
                #expect(answer2 == buffer("y"))
            }
        }
    }
}
