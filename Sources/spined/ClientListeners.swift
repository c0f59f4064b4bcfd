import Logging
import NIOPosix
import NodeRuntime
import RPC

/// The client port: etcd's services and recovery over gRPC, and the status pages over HTTP/1.1.
struct ClientListeners {
    private let servers: [RPCServer]
    private let recovery: RecoveryService
    private let node: Node

    static func start(
        node: Node, urls: [HostPort], eventLoops: MultiThreadedEventLoopGroup, logger: Logger
    ) async throws -> ClientListeners {
        let recovery = RecoveryService(node: node, logger: logger)
        let methods = EtcdService(node: node).methods.merging(recovery.methods) { first, _ in
            first
        }
        var settings = RPCServerSettings()
        // A row of a recovery point holds one version of one record, whatever its size.
        settings.requestBytesMax = NodeLimits.commandBytes + (1 << 20)
        var servers: [RPCServer] = []
        for url in urls {
            let server = RPCServer(
                settings: settings, methods: methods, http1: HTTPStatusService(node: node).handler,
                group: eventLoops, logger: logger)
            do throws(RPCServerError) {
                _ = try await server.start(host: url.host, port: url.port)
            } catch {
                throw ConfigurationError(
                    "--listen-client-urls: cannot listen on \(url): \(error); is another process "
                        + "using the port?")
            }
            servers.append(server)
        }
        return ClientListeners(servers: servers, recovery: recovery, node: node)
    }

    func stop() async {
        node.endWatches()
        for server in servers { await server.stop(within: .seconds(2)) }
        await recovery.drained()
    }
}
