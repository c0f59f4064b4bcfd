import Logging
import NIOCore

/// Why a server did not start.
package enum RPCServerError: Error, Sendable {
    /// The address is in use, or is not one of this machine.
    case bindFailed(host: String, port: Int, reason: String)
    /// `start` was called on a server that runs or has been stopped.
    case alreadyStarted
}

/// Serves gRPC over HTTP/2 with prior knowledge, and HTTP/1.1, on one port.
///
/// Knows neither protobuf nor records: bytes come in, bytes go out. `grpc.health.v1.Health/Check`
/// is built in.
package final class RPCServer: Sendable {
    /// - Parameters:
    ///   - methods: what to do by path, such as `/etcdserverpb.KV/Range`.
    ///   - http1: answers HTTP/1.1 requests; without it each is answered with 404.
    package init(
        settings: RPCServerSettings = RPCServerSettings(), methods: [String: RPCMethod],
        http1: HTTP1Handler? = nil, group: any EventLoopGroup, logger: Logger
    ) {
        preconditionFailure("not built yet")
    }

    /// Binds and serves. Port 0 takes a free one.
    ///
    /// - Returns: the address it listens on.
    package func start(host: String, port: Int) async throws(RPCServerError) -> SocketAddress {
        preconditionFailure("not built yet")
    }

    /// Stops accepting, sends GOAWAY, lets open calls finish for at most `grace`, then closes
    /// every connection. A second call waits for the first.
    package func stop(within grace: Duration) async {
        preconditionFailure("not built yet")
    }

    /// What `grpc.health.v1.Health/Check` answers for a service; the empty name is the whole
    /// server, which serves from the start. Any thread.
    package func setHealth(serving: Bool, service: String = "") {
        preconditionFailure("not built yet")
    }
}
