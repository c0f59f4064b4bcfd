import Logging
import NIOCore
import NIOPosix
import RPC
import Synchronization

/// A server on a free port of the loopback, and clients of it.
struct TestServer: Sendable {
    let server: RPCServer
    let host: String
    let port: Int
    let group: MultiThreadedEventLoopGroup

    static let logger: Logger = {
        var logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        logger.logLevel = .critical
        return logger
    }()

    /// Suites that compute for long can keep a test from its next step for many seconds. The server's
    /// time limits are not to end a connection meanwhile, unless the test has set one itself.
    private static func patient(_ settings: RPCServerSettings) -> RPCServerSettings {
        let usual = RPCServerSettings()
        var patient = settings
        if patient.protocolDetectionTimeout == usual.protocolDetectionTimeout {
            patient.protocolDetectionTimeout = .seconds(3600)
        }
        if patient.http1IdleTimeout == usual.http1IdleTimeout {
            patient.http1IdleTimeout = .seconds(3600)
        }
        return patient
    }

    /// Runs `body` against a server with these methods, then stops the server.
    static func with<Result: Sendable>(
        _ methods: [String: RPCMethod] = TestMethods.all, settings: RPCServerSettings = .init(),
        http1: HTTP1Handler? = nil, _ body: (TestServer) async throws -> Result
    ) async throws -> Result {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let server = RPCServer(
            settings: Self.patient(settings), methods: methods, http1: http1, group: group,
            logger: logger)
        let address = try await server.start(host: "127.0.0.1", port: 0)
        let test = TestServer(
            server: server, host: "127.0.0.1", port: address.port!, group: group)
        let result: Result
        do {
            result = try await body(test)
        } catch {
            await server.stop(within: .zero)
            try await group.shutdownGracefully()
            throw error
        }
        await server.stop(within: .zero)
        try await group.shutdownGracefully()
        return result
    }

    func withClient<Result: Sendable>(
        settings: RPCClientSettings = .init(), _ body: (RPCClient) async throws -> Result
    ) async throws -> Result {
        let client = RPCClient(
            host: host, port: port, settings: settings, group: group, logger: Self.logger)
        do {
            let result = try await body(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }
}

/// Methods that most tests need.
enum TestMethods {
    static let echo = "/test.Echo/Echo"
    static let echoFromThread = "/test.Echo/EchoFromThread"
    static let fail = "/test.Echo/Fail"
    static let never = "/test.Echo/Never"

    static let all: [String: RPCMethod] = [
        echo: .unary { message, _, reply in reply.succeed(message) },
        echoFromThread: .unary { message, _, reply in
            NIOSingletons.posixBlockingThreadPool.submit { _ in reply.succeed(message) }
        },
        fail: .unary { _, _, reply in
            reply.fail(RPCStatus(.failedPrecondition, "50 % größer\n"))
        },
        never: .unary { _, context, reply in
            context.onCancel { reply.fail(RPCStatus(.cancelled)) }
        },
    ]
}

/// Something that happens once, and can be waited for.
final class Signal<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiters: [CheckedContinuation<Value, Never>] = []
    }
    private let state = Mutex(State())

    func send(_ value: Value) {
        let waiters = state.withLock { state in
            if state.value == nil { state.value = value }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: value) }
    }

    var value: Value {
        get async {
            await withCheckedContinuation { continuation in
                let value = state.withLock { state -> Value? in
                    if let value = state.value { return value }
                    state.waiters.append(continuation)
                    return nil
                }
                if let value { continuation.resume(returning: value) }
            }
        }
    }
}

func buffer(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

/// The error that a call must end with.
func failure(_ body: () async throws(RPCClientError) -> ByteBuffer) async -> RPCClientError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}

/// Runs work on a thread that is no event loop.
enum NIOSingletonsPool {
    static func run(_ body: @escaping @Sendable () -> Void) {
        NIOSingletons.posixBlockingThreadPool.submit { _ in body() }
    }
}

/// Counts from 1.
final class AtomicCounter: Sendable {
    private let count = Mutex(0)
    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}
