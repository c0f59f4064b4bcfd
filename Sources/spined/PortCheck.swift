import Glibc
import NIOCore
import NIOPosix
import NodeRuntime

/// Binds every address once before anything is written: a first start that is going to fail for a
/// port must not leave a data directory behind that remembers the wrong addresses.
enum PortCheck {
    static func run(
        _ addresses: [(flag: String, url: HostPort)], eventLoops: MultiThreadedEventLoopGroup
    ) async throws {
        for (flag, url) in addresses {
            let bootstrap = ServerBootstrap(group: eventLoops)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            do {
                let channel = try await bootstrap.bind(host: url.host, port: url.port).get()
                try await channel.close()
            } catch let error as IOError {
                throw ConfigurationError(
                    "\(flag): cannot listen on \(url): "
                        + "\(String(cString: strerror(error.errnoCode)))")
            } catch {
                throw ConfigurationError("\(flag): cannot listen on \(url): \(error)")
            }
        }
    }
}
