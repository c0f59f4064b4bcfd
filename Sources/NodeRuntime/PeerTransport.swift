import Consensus
import Logging
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
    private let receive: @Sendable (PeerFrame, NodeID) -> Bool
    private let listeners = Mutex<[any Channel]>([])
    /// Connections that peers dialled: closed with the transport, so that they notice.
    private let accepted = Mutex<[ObjectIdentifier: any Channel]>([:])
    private let metrics: NodeMetrics

    /// - Parameters:
    ///   - silence: how long bytes may go unacknowledged before a connection is given up and dialled
    ///     again: a healed network must not wait for TCP's own patience, which is minutes.
    ///   - receive: called on an event loop for each frame but hellos; must not block. False: the
    ///     node has no room for it.
    init(
        own: Own, cluster: ClusterID, peers: [Peer], group: any EventLoopGroup, logger: Logger,
        metrics: NodeMetrics, silence: Duration,
        receive: @escaping @Sendable (PeerFrame, NodeID) -> Bool
    ) {
        self.own = own
        self.cluster = cluster
        self.group = group
        self.logger = logger
        self.metrics = metrics
        self.receive = receive
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
                                metrics: metrics, receive: take))
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
    private func take(_ frame: PeerFrame, from node: NodeID) {
        if receive(frame, node) { return }
        metrics.peerFramesDropped.add(1)
        guard case .forward(let proposals) = frame else { return }
        send(
            .forwardRefused(
                ForwardRefused(
                    group: proposals.group, term: proposals.term, sequences: proposals.sequences,
                    reason: .overloaded)),
            to: node)
    }

    /// False when the frame was certainly not handed to the network.
    @discardableResult
    func send(_ frame: PeerFrame, to node: NodeID) -> Bool {
        guard let links = links[node] else { return false }
        return (frame.isBulk ? links.bulk : links.urgent).send(frame)
    }

    /// Messages in one frame carry at most this many bytes of entries, or one message.
    private static let frameBytesTarget = 4 << 20

    /// As few frames per receiver as their size allows, in the order of the messages.
    func send(_ messages: [RaftMessage]) {
        guard !messages.isEmpty else { return }
        var byReceiver: [NodeID: (urgent: [RaftMessage], bulk: [RaftMessage], bytes: Int)] = [:]
        for message in messages {
            let node = NodeID(message.to.rawValue)
            let bytes = message.entryBytes
            var waiting = byReceiver[node] ?? ([], [], 0)
            if bytes == 0 {
                waiting.urgent.append(message)
            } else {
                if !waiting.bulk.isEmpty, waiting.bytes + bytes > Self.frameBytesTarget {
                    send(.raft(waiting.bulk), to: node)
                    waiting.bulk = []
                    waiting.bytes = 0
                }
                waiting.bulk.append(message)
                waiting.bytes += bytes
            }
            byReceiver[node] = waiting
        }
        for (node, waiting) in byReceiver {
            if !waiting.urgent.isEmpty { send(.raft(waiting.urgent), to: node) }
            if !waiting.bulk.isEmpty { send(.raft(waiting.bulk), to: node) }
        }
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
