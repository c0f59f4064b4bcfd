import Foundation
import Glibc
import Logging
import NIOPosix
import Primitives
import RPC
import RecordModel
import SpineClient
import Testing

@testable import NodeRuntime

/// Nodes in this process, each on real files and real sockets of its own. `stop` and `start` are
/// what a clean restart is; crashes are tested on real processes (`Tests/Durability`).
final class TestCluster {
    struct Running {
        var node: Node
        var server: RPCServer
    }

    let path = temporaryPath()
    let names: [String]
    private let peerPorts: [Int]
    private let clientPorts: [Int]
    private(set) var running: [String: Running] = [:]
    private let token = UUID().uuidString

    init(nodes: Int) throws {
        names = (1...nodes).map { "n\($0)" }
        let ports = try Self.freePorts(2 * nodes)
        peerPorts = Array(ports[..<nodes])
        clientPorts = Array(ports[nodes...])
    }

    /// Runs `body` with all nodes started, and stops and removes everything after it.
    static func with(
        nodes: Int, _ body: (TestCluster) async throws -> Void
    ) async throws {
        let cluster = try TestCluster(nodes: nodes)
        do {
            for name in cluster.names { try await cluster.start(name) }
            try await body(cluster)
        } catch {
            await cluster.remove()
            throw error
        }
        await cluster.remove()
    }

    func configuration(_ name: String) throws -> NodeConfiguration {
        guard let index = names.firstIndex(of: name) else { preconditionFailure("no \(name)") }
        let peers = zip(names, peerPorts).map { "\($0)=http://127.0.0.1:\($1)" }
        return try NodeConfiguration(
            name: name, dataDirectory: "\(path)/\(name)",
            listenClientURLs: "http://127.0.0.1:\(clientPorts[index])",
            advertiseClientURLs: "http://127.0.0.1:\(clientPorts[index])",
            listenPeerURLs: "http://127.0.0.1:\(peerPorts[index])",
            initialAdvertisePeerURLs: "http://127.0.0.1:\(peerPorts[index])",
            initialCluster: peers.joined(separator: ","), clusterState: "new",
            clusterToken: token, zone: "z\(index)", heartbeatMilliseconds: 50,
            electionMilliseconds: 500)
    }

    /// - Parameter fatal: what to do when the node cannot go on; without one it is an issue of the
    ///   test run (of no test in particular: it is recorded on the node's own thread).
    func start(
        _ name: String,
        fatal: @escaping @Sendable (String) -> Void = {
            Issue.record("a node of a test cluster cannot go on: \($0)")
        }
    ) async throws {
        let logger = Logger(label: name) { _ in SwiftLogNoOpLogHandler() }
        let loops = MultiThreadedEventLoopGroup.singleton
        let node = try Node.open(
            try configuration(name), eventLoops: loops, logger: logger, fatal: fatal)
        try await node.start()
        let methods = EtcdService(node: node).methods.merging(
            RecoveryService(node: node, logger: logger).methods
        ) { first, _ in first }
        let server = RPCServer(
            methods: methods, http1: HTTPStatusService(node: node).handler, group: loops,
            logger: logger)
        guard let index = names.firstIndex(of: name) else { preconditionFailure("no \(name)") }
        _ = try await server.start(host: "127.0.0.1", port: clientPorts[index])
        running[name] = Running(node: node, server: server)
    }

    func stop(_ name: String) async {
        guard let stopped = running.removeValue(forKey: name) else { return }
        await stopped.server.stop(within: .seconds(1))
        await stopped.node.stop()
    }

    func remove() async {
        for name in names { await stop(name) }
        try? FileManager.default.removeItem(atPath: path)
    }

    func client(keyspace: String = "default") throws -> SpineClient {
        try SpineClient(
            endpoints: clientPorts.map { "127.0.0.1:\($0)" }, keyspace: keyspace)
    }

    func client(of name: String) throws -> SpineClient {
        guard let index = names.firstIndex(of: name) else { preconditionFailure("no \(name)") }
        return try SpineClient(endpoints: ["127.0.0.1:\(clientPorts[index])"])
    }

    /// The node that leads keyspace `default`, once all that run agree on it.
    func leader() async throws -> String {
        for _ in 0..<600 {
            let seen = running.values.map { $0.node.status(of: .default)?.leader }
            if let leader = seen.first ?? nil, seen.allSatisfy({ $0 == leader }),
                let name = running.first(where: { $0.value.node.id.rawValue == leader.rawValue })?
                    .key
            {
                return name
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ConfigurationError("no leader within 30 seconds")
    }

    /// Ports that were free a moment ago, below the range that the system draws from for outgoing
    /// connections: from that range a connection attempt to a node that is down may take the node's
    /// own port, and connect to itself.
    private static func freePorts(_ count: Int) throws -> [Int] {
        var ports: [Int] = []
        for _ in 0..<1000 where ports.count < count {
            let port = Int.random(in: 12_000..<30_000)
            if !ports.contains(port), isFree(port) { ports.append(port) }
        }
        guard ports.count == count else { throw ConfigurationError("no free ports") }
        return ports
    }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { _ = close(descriptor) }
        var reuse: Int32 = 1
        setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(port).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(descriptor, raw, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
