import Logging
import NIOCore
import NIOPosix
import RPC
import SwiftProtobuf
import Synchronization
import WireProtocol

/// A client of a Spine record store, or of etcd v3: it speaks etcd's protocol to whichever endpoint
/// answers. Safe to share between tasks.
///
/// Fail-over: a call is given to the endpoint that answered last, then to the others. A read is
/// tried on; a write only while it is certain that it was not done. A write that was sent and not
/// answered ends in `SpineError.Code.outcomeUnknown` and is never sent again by the client.
public final class SpineClient: Sendable {
    /// What bounds a call.
    public struct Settings: Sendable {
        /// Time for one call, over all endpoints it is tried at.
        public var timeout: Duration = .seconds(10)
        public init() {}
    }

    private let connections: [Connection]
    private let preferred = Atomic<Int>(0)
    private let settings: Settings
    let keyspace: String

    struct Connection: Sendable {
        var endpoint: Endpoint
        var rpc: RPCClient
    }

    /// - Parameters:
    ///   - endpoints: `host:port`, at least one.
    ///   - keyspace: which keyspace the calls speak of; against plain etcd only `default` means
    ///     anything.
    /// - Throws: `invalidArgument`.
    public init(
        endpoints: [String], keyspace: String = "default", settings: Settings = Settings()
    ) throws(SpineError) {
        guard !endpoints.isEmpty else {
            throw SpineError(code: .invalidArgument, message: "no endpoints were given")
        }
        guard !keyspace.isEmpty, keyspace.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw SpineError(
                code: .invalidArgument, message: "keyspace names are printable ASCII")
        }
        var connections: [Connection] = []
        for text in endpoints {
            let endpoint = try Endpoint(text)
            connections.append(
                Connection(
                    endpoint: endpoint,
                    rpc: RPCClient(
                        host: endpoint.host, port: endpoint.port,
                        group: MultiThreadedEventLoopGroup.singleton,
                        logger: Logger(label: "spine.client") { _ in SwiftLogNoOpLogHandler() })))
        }
        self.connections = connections
        self.keyspace = keyspace
        self.settings = settings
    }

    /// Ends what is open and closes the connections.
    public func close() async {
        for connection in connections { await connection.rpc.close() }
    }

    var endpoints: [Endpoint] { connections.map(\.endpoint) }

    /// Whether a call may be given to another endpoint after it may have been received.
    enum Repetition: Sendable {
        /// Changes nothing, or the same however often it is done.
        case harmless
        case harmful
    }

    var metadata: RPCMetadata {
        keyspace == "default" ? [:] : ["spine-keyspace": keyspace]
    }

    /// One call, at the first endpoint that answers.
    func call<Response: SwiftProtobuf.Message>(
        _ path: String, _ request: some SwiftProtobuf.Message, _ type: Response.Type,
        repetition: Repetition
    ) async throws(SpineError) -> Response {
        let deadline = ContinuousClock.now + settings.timeout
        let bytes = try encode(request)
        let first = preferred.load(ordering: .relaxed)
        var last = SpineError(code: .unavailable, message: "no endpoint answered")
        for offset in connections.indices {
            let index = (first + offset) % connections.count
            let remaining = deadline - .now
            guard remaining > .zero else { break }
            // A read that hangs must leave the other endpoints their time; a write is not tried
            // again after it was sent, so it may use all there is.
            let patience =
                repetition == .harmless ? remaining / (connections.count - offset) : remaining
            let response: ByteBuffer
            do throws(SpineError) {
                response = try await attempt(
                    connections[index], path, bytes, timeout: patience, repetition)
            } catch {
                if error.code == .unavailable || error.code == .outcomeUnknown {
                    preferred.store((index + 1) % connections.count, ordering: .relaxed)
                }
                guard error.code == .unavailable else { throw error }
                last = error
                continue
            }
            preferred.store(index, ordering: .relaxed)
            do throws(SpineError) {
                return try decode(response)
            } catch {
                if repetition == .harmless { throw error }
                throw SpineError(
                    code: .outcomeUnknown, message: "outcome unknown: \(error.message)",
                    endpoint: connections[index].endpoint.description)
            }
        }
        throw last
    }

    /// One call to one endpoint, by its place in the list.
    func call<Response: SwiftProtobuf.Message>(
        endpoint index: Int, _ path: String, _ request: some SwiftProtobuf.Message,
        _ type: Response.Type
    ) async throws(SpineError) -> Response {
        let response = try await attempt(
            connections[index], path, try encode(request), timeout: settings.timeout, .harmless)
        return try decode(response)
    }

    /// A stream of answers from the first endpoint that opens one.
    func connection(_ index: Int) -> Connection {
        connections[(preferred.load(ordering: .relaxed) + index) % connections.count]
    }

    private func attempt(
        _ connection: Connection, _ path: String, _ bytes: ByteBuffer, timeout: Duration,
        _ repetition: Repetition
    ) async throws(SpineError) -> ByteBuffer {
        do throws(RPCClientError) {
            return try await connection.rpc.unary(
                path, bytes, metadata: metadata, timeout: timeout)
        } catch {
            throw SpineError(error, endpoint: connection.endpoint, repetition)
        }
    }

    func encode(_ message: some SwiftProtobuf.Message) throws(SpineError) -> ByteBuffer {
        do {
            let bytes: [UInt8] = try message.serializedBytes()
            return ByteBuffer(bytes: bytes)
        } catch {
            throw SpineError(code: .invalidArgument, message: "the request cannot be encoded")
        }
    }

    func decode<Message: SwiftProtobuf.Message>(_ bytes: ByteBuffer) throws(SpineError) -> Message {
        do {
            return try Message(serializedBytes: Array(bytes.readableBytesView))
        } catch {
            throw SpineError(
                code: .protocolViolation, message: "the answer is not a \(Message.protoMessageName)"
            )
        }
    }
}

extension SpineError {
    /// Messages with which a server says that it has certainly not done what was asked.
    private static let certainlyNotDone: Set<String> = [
        "etcdserver: no leader", "etcdserver: too many requests",
    ]

    init(_ error: RPCClientError, endpoint: Endpoint, _ repetition: SpineClient.Repetition) {
        let status = error.status
        let code: Code
        switch status.code {
        case .resourceExhausted where status.message.hasPrefix(EtcdError.answerTooLargeText):
            code = .refused
        case .unavailable, .deadlineExceeded, .cancelled, .unknown, .internalError, .dataLoss,
            .aborted, .resourceExhausted:
            let isCertain = !error.wasSent || Self.certainlyNotDone.contains(status.message)
            code = isCertain || repetition == .harmless ? .unavailable : .outcomeUnknown
        case .ok, .invalidArgument, .notFound, .alreadyExists, .permissionDenied,
            .failedPrecondition, .outOfRange, .unimplemented, .unauthenticated:
            code = error.wasSent ? .refused : .unavailable
        }
        let text = status.message.isEmpty ? "\(status.code)" : status.message
        self.init(
            code: code,
            message: code == .outcomeUnknown ? "outcome unknown: \(text)" : text,
            grpcStatus: status.code.rawValue, endpoint: endpoint.description)
    }
}
