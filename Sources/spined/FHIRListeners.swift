import FHIRServer
import Logging
import NodeRuntime

/// The FHIR port, on the node in this process.
struct FHIRListeners {
    private let servers: [FHIRHTTPServer]

    static func start(
        node: Node, urls: [HostPort], logger: Logger
    ) async throws -> FHIRListeners {
        var servers: [FHIRHTTPServer] = []
        for url in urls {
            let server = FHIRHTTPServer(
                service: NodeRecordService(node: node),
                settings: FHIRServerSettings(host: url.host, port: url.port), logger: logger)
            do {
                _ = try await server.start()
            } catch {
                throw ConfigurationError(
                    "--listen-fhir-urls: cannot listen on \(url): \(error); is another process "
                        + "using the port?")
            }
            servers.append(server)
        }
        return FHIRListeners(servers: servers)
    }

    func stop() async {
        for server in servers { await server.stop() }
    }
}
