import Glibc
import NIOCore

/// Takes every address once before anything is written: a first start that is going to fail for a
/// port must not leave a data directory behind that remembers the wrong addresses.
///
/// Binds and never listens. A peer that dials while this runs must be refused: a connection that is
/// accepted here belongs to nobody, stays open, and takes the peer's heartbeats for as long as both
/// processes live. bind(2) with SO_REUSEADDR still fails beside a socket that listens (socket(7)).
package enum PortCheck {
    package static func run(_ addresses: [(flag: String, url: HostPort)]) throws(ConfigurationError)
    {
        for (flag, url) in addresses {
            let address: SocketAddress
            do {
                address = try SocketAddress.makeAddressResolvingHost(url.host, port: url.port)
            } catch {
                throw ConfigurationError("\(flag): cannot listen on \(url): \(error)")
            }
            guard let code = bindOnce(address) else { continue }
            throw ConfigurationError(
                "\(flag): cannot listen on \(url): \(String(cString: strerror(code)))")
        }
    }

    /// - Returns: the error number; nil: the address can be bound.
    private static func bindOnce(_ address: SocketAddress) -> Int32? {
        let descriptor = socket(
            Int32(address.protocol.rawValue), Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0
        )
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        var reuse: Int32 = 1
        guard
            setsockopt(
                descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse,
                socklen_t(MemoryLayout<Int32>.size)) == 0
        else { return errno }
        return address.withSockAddr { pointer, size in
            bind(descriptor, pointer, socklen_t(size)) == 0 ? nil : errno
        }
    }
}
