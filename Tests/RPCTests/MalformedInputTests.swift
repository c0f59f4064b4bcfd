import NIOCore
import RPC
import Testing

/// Whatever bytes come, the server neither stops nor stops serving others. The server runs in this
/// process, so a trap in it is a failure of the test run.
@Suite struct MalformedInputTests {
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    private static let settingsFrame: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]

    /// `:method POST`, `:scheme http`, `:path /test.Echo/Echo`, `content-type application/grpc`,
    /// in HPACK literals, then DATA with one message: a whole request on stream 1.
    private static let request: [UInt8] = {
        func literal(_ name: String, _ value: String) -> [UInt8] {
            [0x00, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)]
                + Array(value.utf8)
        }
        let block =
            literal(":method", "POST") + literal(":scheme", "http")
            + literal(":path", "/test.Echo/Echo") + literal(":authority", "x")
            + literal("content-type", "application/grpc")
        let headers: [UInt8] = [0, 0, UInt8(block.count), 1, 4, 0, 0, 0, 1] + block
        let message: [UInt8] = [0, 0, 0, 0, 2, 7, 7]
        return headers + [0, 0, UInt8(message.count), 0, 1, 0, 0, 0, 1] + message
    }()

    private func expectServing(_ client: RPCClient, _ context: String) async throws {
        let answer = try await client.unary(TestMethods.echo, buffer(context))
        #expect(answer == buffer(context))
    }

    @Test func aRequestWrittenByHandIsUnderstood() async throws {
        try await TestServer.with { test in
            let raw = try await RawHTTP2Probe.connect(to: test)
            await raw.send(Self.preface + Self.settingsFrame + Self.request)
            #expect(await raw.firstBytes(containing: [0, 0, 0, 0, 2, 7, 7]))
            await raw.close()
        }
    }

    @Test func everyTruncationOfARequest() async throws {
        let whole = Self.preface + Self.settingsFrame + Self.request
        try await TestServer.with { test in
            try await test.withClient { client in
                for length in 0..<whole.count {
                    let raw = try await RawTCPClient.connect(to: test)
                    await raw.send(Array(whole[..<length]))
                    await raw.close()
                }
                try await expectServing(client, "after truncations")
            }
        }
    }

    @Test func everySingleByteChanged() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("MalformedInputTests.everySingleByteChanged seed \(seed)")
        var generator = Generator(state: seed)
        let whole = Self.preface + Self.settingsFrame + Self.request
        try await TestServer.with { test in
            try await test.withClient { client in
                for position in whole.indices {
                    var bytes = whole
                    bytes[position] ^= UInt8.random(in: 1...255, using: &generator)
                    let raw = try await RawTCPClient.connect(to: test)
                    await raw.send(bytes)
                    await raw.close()
                }
                try await expectServing(client, "after changes, seed \(seed)")
            }
        }
    }

    @Test func randomFrames() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("MalformedInputTests.randomFrames seed \(seed)")
        var generator = Generator(state: seed)
        try await TestServer.with { test in
            try await test.withClient { client in
                for _ in 0..<300 {
                    var bytes = Self.preface + Self.settingsFrame
                    for _ in 0..<Int.random(in: 1...20, using: &generator) {
                        bytes += Self.randomFrame(&generator)
                    }
                    let raw = try await RawTCPClient.connect(to: test)
                    await raw.send(bytes)
                    await raw.close()
                }
                try await expectServing(client, "after frames, seed \(seed)")
            }
        }
    }

    @Test func randomBytes() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("MalformedInputTests.randomBytes seed \(seed)")
        var generator = Generator(state: seed)
        try await TestServer.with { test in
            try await test.withClient { client in
                for i in 0..<300 {
                    let count = Int.random(in: 1...2000, using: &generator)
                    var bytes = (0..<count).map { _ in
                        UInt8.random(in: .min ... .max, using: &generator)
                    }
                    if i % 3 == 0 { bytes = Self.preface + bytes }
                    let raw = try await RawTCPClient.connect(to: test)
                    await raw.send(bytes)
                    await raw.close()
                }
                try await expectServing(client, "after bytes, seed \(seed)")
            }
        }
    }

    /// A frame of any type, flags and stream; half the time a proper request is mixed in, so that
    /// there are streams for the rest to disturb.
    private static func randomFrame(_ generator: inout Generator) -> [UInt8] {
        if Bool.random(using: &generator) {
            var request = Self.request
            let stream = UInt8.random(in: 0...15, using: &generator)
            let dataHeader = 9 + Int(request[2])
            request[8] = stream
            request[dataHeader + 8] = stream
            return request
        }
        let count = Int.random(in: 0...40, using: &generator)
        var frame: [UInt8] = [
            0, 0, UInt8(count), UInt8.random(in: 0...12, using: &generator),
            UInt8.random(in: .min ... .max, using: &generator), 0, 0, 0,
            UInt8.random(in: 0...15, using: &generator),
        ]
        for _ in 0..<count { frame.append(UInt8.random(in: .min ... .max, using: &generator)) }
        return frame
    }

    /// SplitMix64, so that a printed seed repeats a run.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
