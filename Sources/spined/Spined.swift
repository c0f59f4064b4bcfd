import ArgumentParser
import FHIRServer
import Foundation
import Glibc
import Logging
import NIOCore
import NIOPosix
import NodeRuntime
import RPC

/// The daemon: reads the flags, opens the node, puts the services on it, and stops in order on
/// SIGTERM or SIGINT.
@main
struct Spined: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spined",
        abstract:
            "One node of a Spine record store. Flags and ports are etcd's where the meaning is.",
        version: "spined 0.1.0 (etcd API \(EtcdService.version))")

    @Option(help: "Human-readable name of this member.")
    var name = "default"
    @Option(help: "Path to the data directory; NAME.spine when not given.")
    var dataDir = ""
    @Option(help: "Comma-separated URLs to listen on for clients (gRPC and HTTP/1.1).")
    var listenClientUrls = "http://localhost:2379"
    @Option(help: "Comma-separated URLs that are advertised to clients.")
    var advertiseClientUrls = "http://localhost:2379"
    @Option(help: "Comma-separated URLs to listen on for the other members.")
    var listenPeerUrls = "http://localhost:2380"
    @Option(help: "Comma-separated URLs that are advertised to the other members.")
    var initialAdvertisePeerUrls = "http://localhost:2380"
    @Option(
        help: "All members at the first start: NAME=URL,NAME=URL; this node alone when not given.")
    var initialCluster = ""
    @Option(help: "\"new\" for a first start; a node with data ignores it.")
    var initialClusterState = "new"
    @Option(help: "Part of the cluster's identity, so that two clusters never mix.")
    var initialClusterToken = "etcd-cluster"
    @Option(help: "Milliseconds between a leader's heartbeats.")
    var heartbeatInterval = 100
    @Option(help: "Milliseconds without a leader after which a member campaigns.")
    var electionTimeout = 1000
    @Option(help: "The availability zone that this node stands in.")
    var zone = ""
    @Option(
        help:
            "A measuring aid: so many Raft groups without records beside the real ones, to see what idle groups cost. Given at the first start of all members, alike, or never."
    )
    var measureIdleGroups = 0
    @Option(
        name: [
            .customLong("watch-progress-notify-interval"),
            .customLong("experimental-watch-progress-notify-interval"),
        ],
        help:
            "How often a quiet watcher that asks for it is told how far it has come, such as 10m or 500ms."
    )
    var watchProgressNotifyInterval = "10m"
    @Option(help: "Comma-separated URLs to listen on for FHIR; empty serves none.")
    var listenFhirUrls = "http://localhost:8080"

    func run() async throws {
        let signals = StopSignals()
        raiseFileLimit()
        let logger = Self.makeLogger()
        do {
            try await serve(until: signals, logger: logger)
        } catch let error as ConfigurationError {
            FileHandle.standardError.write(Data("spined: \(error)\n".utf8))
            throw ExitCode(1)
        }
    }

    private func serve(until signals: StopSignals, logger: Logger) async throws {
        var configuration = try NodeConfiguration(
            name: name, dataDirectory: dataDir, listenClientURLs: listenClientUrls,
            advertiseClientURLs: advertiseClientUrls, listenPeerURLs: listenPeerUrls,
            initialAdvertisePeerURLs: initialAdvertisePeerUrls,
            initialCluster: initialCluster.isEmpty
                ? "\(name)=\(initialAdvertisePeerUrls)" : initialCluster,
            clusterState: initialClusterState, clusterToken: initialClusterToken, zone: zone,
            heartbeatMilliseconds: heartbeatInterval, electionMilliseconds: electionTimeout)
        guard (0...NodeConfiguration.idleGroupsMax).contains(measureIdleGroups) else {
            throw ConfigurationError(
                "--measure-idle-groups: \(measureIdleGroups) must be from 0 to "
                    + "\(NodeConfiguration.idleGroupsMax)")
        }
        configuration.idleGroups = measureIdleGroups
        guard let interval = GoDuration.parse(watchProgressNotifyInterval) else {
            throw ConfigurationError(
                "--watch-progress-notify-interval: \"\(watchProgressNotifyInterval)\" is no duration "
                    + "such as 10m, 90s or 500ms")
        }
        // A shorter one is taken as the shortest, as in etcd.
        configuration.watchProgressInterval = max(
            interval, NodeConfiguration.watchProgressIntervalMin)
        let fhirURLs =
            listenFhirUrls.isEmpty
            ? [] : try HostPort.list(listenFhirUrls, flag: "--listen-fhir-urls")

        let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        try PortCheck.run(
            configuration.listenPeerURLs.map { ("--listen-peer-urls", $0) }
                + configuration.listenClientURLs.map { ("--listen-client-urls", $0) }
                + fhirURLs.map { ("--listen-fhir-urls", $0) })
        let node = try Node.open(configuration, eventLoops: eventLoops, logger: logger) { why in
            // Not a clean stop: what could not be written must not be flushed either.
            FileHandle.standardError.write(Data("spined: stopping: \(why)\n".utf8))
            _exit(1)
        }
        try await node.start()
        let clients = try await ClientListeners.start(
            node: node, urls: configuration.listenClientURLs, eventLoops: eventLoops,
            logger: logger)
        let fhir = try await FHIRListeners.start(node: node, urls: fhirURLs, logger: logger)
        logger.info(
            "serving",
            metadata: [
                "member": "\(node.id)", "cluster": "\(node.cluster)", "name": "\(name)",
                "zone": "\(zone)", "clients": "\(listenClientUrls)", "fhir": "\(listenFhirUrls)",
            ])

        let signal = await signals.next()
        logger.info("stopping", metadata: ["signal": "\(signal)"])
        await fhir.stop()
        await clients.stop()
        await node.stop()
        try await eventLoops.shutdownGracefully()
    }

    private static func makeLogger() -> Logger {
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        return Logger(label: "spined")
    }

    /// Clients, peers and table files each take a descriptor: what the system allows is taken.
    private func raiseFileLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
