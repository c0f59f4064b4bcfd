import Consensus
import Logging
import MultiRaft
import NIOCore
import NIOPosix
import Primitives
import Synchronization
import WireProtocol

/// Frames to and from the other members. To each there are two connections: one for what carries
/// entries or commands, which may take a second on a narrow line, and one for heartbeats, votes and
/// answers, which must not wait behind it or a busy leader loses its followers. Raft bears the two
/// overtaking each other. A frame that cannot be sent is dropped and counted: Raft asks again, and
/// forwarded proposals are told so.
final class PeerTransport: Sendable {
    /// Bytes that may wait for one peer to read. Beyond it frames to that peer are dropped, so a
    /// stalled peer costs bounded memory.
    static let outboundBytesMax = 96 << 20

    /// Who this node is to its peers.
    struct Own: Sendable {
        var id: NodeID
        var incarnation: UInt64
        var directory: UInt64
        var directories: MemberDirectories
        /// Called when a peer knows this member by another directory.
        var forgotten: @Sendable () -> Void
    }

    struct Peer: Sendable {
        var id: NodeID
        var addresses: [HostPort]
    }

    private struct Links: Sendable {
        var bulk: PeerLink
        var urgent: PeerLink
    }
    private let links: [NodeID: Links]
    private let own: Own
    private let cluster: ClusterID
    private let group: any EventLoopGroup
    private let logger: Logger
    private let receive: @Sendable (NodeMessages, NodeID) -> Bool
    private let receiveLeases: @Sendable (LeaseTraffic, NodeID) -> Void
    private let listeners = Mutex<[any Channel]>([])
    /// Connections that peers dialled: closed with the transport, so that they notice.
    private let accepted = Mutex<[ObjectIdentifier: any Channel]>([:])
    private let metrics: NodeMetrics

    /// - Parameters:
    ///   - silence: how long bytes may go unacknowledged before a connection is given up and dialled
    ///     again: a healed network must not wait for TCP's own patience, which is minutes.
    ///   - receive: called on an event loop for each batch, or part of one; must not block. False: the
    ///     node has no room for it.
    ///   - receiveLeases: the same for questions about leases; what there is no room for is lost.
    init(
        own: Own, cluster: ClusterID, peers: [Peer], group: any EventLoopGroup, logger: Logger,
        metrics: NodeMetrics, silence: Duration,
        receive: @escaping @Sendable (NodeMessages, NodeID) -> Bool,
        receiveLeases: @escaping @Sendable (LeaseTraffic, NodeID) -> Void
    ) {
        self.own = own
        self.cluster = cluster
        self.group = group
        self.logger = logger
        self.metrics = metrics
        self.receive = receive
        self.receiveLeases = receiveLeases
        var links: [NodeID: Links] = [:]
        for peer in peers {
            func link() -> PeerLink {
                PeerLink(
                    peer: peer,
                    hello: {
                        PeerHello(
                            cluster: cluster, from: own.id, to: peer.id,
                            fromDirectory: own.directory,
                            toDirectory: own.directories.directory(of: peer.id) ?? 0)
                    },
                    loop: group.next(), logger: logger, metrics: metrics, silence: silence)
            }
            links[peer.id] = Links(bulk: link(), urgent: link())
        }
        self.links = links
    }

    func listen(on addresses: [HostPort]) async throws(ConfigurationError) {
        let known = Set(links.keys)
        for address in addresses {
            let bootstrap = ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 64)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { [self] channel in
                    accepted.withLock { $0[ObjectIdentifier(channel)] = channel }
                    channel.closeFuture.whenComplete { _ in
                        _ = self.accepted.withLock {
                            $0.removeValue(forKey: ObjectIdentifier(channel))
                        }
                    }
                    return channel.eventLoop.makeCompletedFuture { [self] in
                        try channel.pipeline.syncOperations.addHandler(
                            PeerInboundHandler(
                                cluster: cluster, own: own, known: known, logger: logger,
                                metrics: metrics, receive: take,
                                receiveLeases: receiveLeases))
                    }
                }
            do {
                let channel = try await bootstrap.bind(host: address.host, port: address.port).get()
                listeners.withLock { $0.append(channel) }
            } catch {
                throw ConfigurationError(
                    "--listen-peer-urls: cannot listen on \(address): \(error); "
                        + "is another process using the port?")
            }
        }
    }

    func dial() {
        for link in links.values {
            link.urgent.connect()
            link.bulk.connect()
        }
    }

    /// Commands for which there is no room go back to their origin, whose clients wait for them;
    /// Raft's own messages may be lost.
    private func take(_ batch: NodeMessages, from node: NodeID) {
        if receive(batch, node) { return }
        metrics.peerFramesDropped.add(1)
        guard !batch.forwards.isEmpty else { return }
        var refusal = NodeMessages(incarnation: own.incarnation)
        refusal.refusals = batch.forwards.map {
            ForwardRefused(
                group: $0.group, term: $0.term, sequences: $0.sequences, reason: .overloaded)
        }
        _ = send(NodeBatch(to: node, messages: refusal))
    }

    /// - Returns: the parts that were certainly not handed to the network.
    func send(_ batch: NodeBatch) -> [NodeMessages] {
        guard let links = links[batch.to] else { return [batch.messages] }
        let (urgent, bulk) = batch.messages.parts()
        var undelivered: [NodeMessages] = []
        if let urgent, !links.urgent.send(.batch(urgent)) { undelivered.append(urgent) }
        for part in bulk where !links.bulk.send(.batch(part)) { undelivered.append(part) }
        return undelivered
    }

    /// May be lost: whoever asks asks again.
    func send(_ traffic: LeaseTraffic, to node: NodeID) {
        _ = links[node]?.urgent.send(.leases(traffic))
    }

    func close() async {
        let listeners = listeners.withLock { listeners in
            defer { listeners = [] }
            return listeners
        }
        for listener in listeners { try? await listener.close().get() }
        for link in links.values {
            link.urgent.close()
            link.bulk.close()
        }
        for channel in accepted.withLock({ Array($0.values) }) { channel.close(promise: nil) }
    }
}
