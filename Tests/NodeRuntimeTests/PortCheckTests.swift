import Glibc
import Synchronization
import Testing

@testable import NodeRuntime

@Suite struct PortCheckTests {
    private func address(_ port: Int) -> HostPort { HostPort(host: "127.0.0.1", port: port) }

    /// A connection that the check took would stay open, and what the peer sends on it would reach
    /// nobody.
    @Test func whoDialsDuringTheCheckIsRefused() throws {
        let port = try TestCluster.freePorts(1)[0]
        let dialler = Dialler(port: port)
        let thread = dialler.start()
        let result = Result {
            while dialler.count < 20_000 {
                try PortCheck.run([("--listen-peer-urls", address(port))])
            }
        }
        let (dialled, taken) = dialler.stop(thread)
        try result.get()
        #expect(taken == 0, "\(taken) of \(dialled) connections were taken")
    }

    @Test func aPortThatIsListenedOnIsNamedWithItsFlag() throws {
        let port = try TestCluster.freePorts(1)[0]
        let listener = tcpSocket()
        defer { close(listener) }
        #expect(withLoopback(port) { bind(listener, $0, $1) } == 0)
        #expect(listen(listener, 1) == 0)
        do {
            try PortCheck.run([("--listen-fhir-urls", address(port))])
            Issue.record("a port in use was found free")
        } catch {
            #expect(error.description.contains("--listen-fhir-urls"))
            #expect(error.description.contains("Address already in use"))
        }
    }

    @Test func aHostThatDoesNotResolveIsNamed() {
        #expect(throws: ConfigurationError.self) {
            try PortCheck.run([("--listen-peer-urls", HostPort(host: "256.1.1.1", port: 2380))])
        }
    }
}

/// Dials a port until it is told to stop, on a thread of its own.
private final class Dialler: Sendable {
    private let port: Int
    private let isDone = Atomic(false)
    private let dialled = Atomic(0)
    private let taken = Atomic(0)

    init(port: Int) { self.port = port }

    func start() -> DedicatedThread {
        DedicatedThread(name: "dialler") { [self] in
            while !isDone.load(ordering: .acquiring) {
                let socket = tcpSocket()
                if withLoopback(port, { connect(socket, $0, $1) }) == 0 {
                    taken.add(1, ordering: .relaxed)
                }
                close(socket)
                dialled.add(1, ordering: .relaxed)
            }
        }
    }

    var count: Int { dialled.load(ordering: .relaxed) }

    func stop(_ thread: DedicatedThread) -> (dialled: Int, taken: Int) {
        isDone.store(true, ordering: .releasing)
        thread.join()
        return (dialled.load(ordering: .relaxed), taken.load(ordering: .relaxed))
    }
}

private func tcpSocket() -> Int32 { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }

private func withLoopback(
    _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    address.sin_port = UInt16(port).bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
            body(raw, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
