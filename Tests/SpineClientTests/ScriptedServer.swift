import Logging
import NIOCore
import NIOPosix
import RPC
import SpineClient
import SwiftProtobuf
import Synchronization
import WireProtocol

/// A server that answers as its script says and counts what it was asked: what a node could do to
/// a client, without a node.
final class ScriptedServer: Sendable {
    enum Answer: Sendable {
        case put(revision: Int64)
        case range(revision: Int64)
        case status(RPCStatus)
        /// Takes the request and closes every connection instead of answering.
        case hangUp
    }

    private let script: Mutex<[Answer]>
    private let asked = Mutex<[String]>([])
    private let server = Mutex<RPCServer?>(nil)
    private let port = Mutex(0)

    init(_ script: [Answer]) {
        self.script = Mutex(script)
    }

    /// The methods that were called, in order.
    var calls: [String] { asked.withLock { $0 } }
    var endpoint: String { "127.0.0.1:\(port.withLock { $0 })" }

    func start() async throws {
        let handler: RPCUnaryHandler = { [self] _, context, reply in answer(context, reply) }
        let paths = [
            MethodPath.KV.put, MethodPath.KV.range, MethodPath.KV.deleteRange, MethodPath.KV.txn,
        ]
        let server = RPCServer(
            methods: Dictionary(uniqueKeysWithValues: paths.map { ($0, .unary(handler)) }),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "scripted") { _ in SwiftLogNoOpLogHandler() })
        let address = try await server.start(host: "127.0.0.1", port: 0)
        self.server.withLock { $0 = server }
        port.withLock { $0 = address.port ?? 0 }
    }

    func stop() async {
        await server.withLock { $0 }?.stop(within: .zero)
    }

    private func answer(_ context: RPCCallContext, _ reply: RPCReply) {
        asked.withLock { $0.append(context.path) }
        let next = script.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        switch next {
        case .put(let revision):
            var response = Etcdserverpb_PutResponse()
            response.header.revision = revision
            succeed(response, reply)
        case .range(let revision):
            var response = Etcdserverpb_RangeResponse()
            response.header.revision = revision
            succeed(response, reply)
        case .status(let status): reply.fail(status)
        case .hangUp:
            Task {
                await stop()
                reply.fail(RPCStatus(.unavailable, "nobody hears this"))
            }
        case nil: reply.fail(RPCStatus(.internalError, "the script has ended"))
        }
    }

    private func succeed(_ message: some SwiftProtobuf.Message, _ reply: RPCReply) {
        do {
            let bytes: [UInt8] = try message.serializedBytes()
            reply.succeed(ByteBuffer(bytes: bytes))
        } catch {
            reply.fail(RPCStatus(.internalError, "\(error)"))
        }
    }

    /// Runs `body` with the servers started, and a client of all of them in order.
    static func with(
        _ scripts: [Answer]..., body: (SpineClient, [ScriptedServer]) async throws -> Void
    ) async throws {
        let servers = scripts.map(ScriptedServer.init)
        for server in servers { try await server.start() }
        // None of these scenarios is about time, and other tests may hold the threads for long.
        var settings = SpineClient.Settings()
        settings.timeout = .seconds(600)
        let client = try SpineClient(endpoints: servers.map(\.endpoint), settings: settings)
        do {
            try await body(client, servers)
        } catch {
            await client.close()
            for server in servers { await server.stop() }
            throw error
        }
        await client.close()
        for server in servers { await server.stop() }
    }
}
