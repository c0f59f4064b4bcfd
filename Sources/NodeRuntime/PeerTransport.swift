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

/// The outgoing half to one peer: dials, says hello, and dials again when the connection ends.
private final class PeerLink: Sendable {
    private struct State {
        var channel: (any Channel)?
        var isConnecting = false
        var isClosed = false
        var failures = 0
        /// Nanoseconds of CLOCK_MONOTONIC.
        var connectedAt: UInt64 = 0
    }
    /// A connection that ends sooner counts as a failure: a peer that refuses the hello is not
    /// dialled without a pause.
    private static let settledAfterNanoseconds: UInt64 = 2_000_000_000
    /// TCP_USER_TIMEOUT of tcp(7), which the C library's module does not name.
    private static let tcpUserTimeout = ChannelOptions.Types.SocketOption(
        level: .tcp, name: .init(rawValue: 18))
    private let state = Mutex(State())
    private let pendingBytes = Atomic<Int>(0)
    private let peer: PeerTransport.Peer
    private let hello: @Sendable () -> PeerHello
    private let loop: any EventLoop
    private let logger: Logger
    private let metrics: NodeMetrics
    private let silence: Duration

    init(
        peer: PeerTransport.Peer, hello: @escaping @Sendable () -> PeerHello, loop: any EventLoop,
        logger: Logger,
        metrics: NodeMetrics, silence: Duration
    ) {
        self.silence = silence
        self.peer = peer
        self.hello = hello
        self.loop = loop
        self.logger = logger
        self.metrics = metrics
    }

    func connect() {
        let address: HostPort? = state.withLock { state in
            guard !state.isClosed, !state.isConnecting, state.channel == nil else { return nil }
            state.isConnecting = true
            return peer.addresses[state.failures % peer.addresses.count]
        }
        guard let address else { return }
        ClientBootstrap(group: loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(
                Self.tcpUserTimeout, value: Int(clamping: silence.nanoseconds / 1_000_000)
            )
            .connectTimeout(.seconds(1))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(PeerOutboundHandler())
                }
            }
            .connect(host: address.host, port: address.port)
            .whenComplete { [self] result in
                switch result {
                case .success(let channel): connected(channel)
                case .failure: disconnected()
                }
            }
    }

    private func connected(_ channel: any Channel) {
        let bytes = PeerFrame.hello(hello()).encoded()
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        pendingBytes.store(0, ordering: .relaxed)
        let wanted = state.withLock { state in
            state.isConnecting = false
            state.connectedAt = monotonicNanoseconds()
            if !state.isClosed { state.channel = channel }
            return !state.isClosed
        }
        guard wanted else {
            channel.close(promise: nil)
            return
        }
        logger.info("peer connected", metadata: ["peer": "\(peer.id)"])
        channel.closeFuture.whenComplete { [self] _ in
            logger.info("peer disconnected", metadata: ["peer": "\(peer.id)"])
            disconnected()
        }
    }

    /// Dials again after 20 ms, then twice as long each time, up to 640 ms for a peer that is not
    /// there and 5 s for one that hangs up at once, because it refuses the hello.
    private func disconnected() {
        let delay: Int64? = state.withLock { state in
            let wasConnected = state.channel != nil
            if wasConnected,
                monotonicNanoseconds() - state.connectedAt > Self.settledAfterNanoseconds
            {
                state.failures = 0
            }
            state.channel = nil
            state.isConnecting = false
            guard !state.isClosed else { return nil }
            state.failures += 1
            return 20 << Int64(min(state.failures - 1, wasConnected ? 8 : 5))
        }
        guard let delay else { return }
        loop.scheduleTask(in: .milliseconds(delay)) { self.connect() }
    }

    func send(_ frame: PeerFrame) -> Bool {
        guard let channel = state.withLock({ $0.channel }),
            pendingBytes.load(ordering: .relaxed) <= PeerTransport.outboundBytesMax
        else {
            metrics.peerFramesDropped.add(1)
            return false
        }
        let bytes = frame.encoded()
        let count = bytes.count
        let waiting = pendingBytes.wrappingAdd(count, ordering: .relaxed).newValue
        // A single frame above the limit passes when nothing else waits.
        guard waiting <= PeerTransport.outboundBytesMax || waiting == count else {
            pendingBytes.wrappingSubtract(count, ordering: .relaxed)
            metrics.peerFramesDropped.add(1)
            return false
        }
        metrics.peerSentBytes.add(count)
        channel.writeAndFlush(ByteBuffer(bytes: bytes)).whenComplete { [self] _ in
            pendingBytes.wrappingSubtract(count, ordering: .relaxed)
        }
        return true
    }

    func close() {
        let channel = state.withLock { state in
            state.isClosed = true
            return state.channel
        }
        channel?.close(promise: nil)
    }
}

/// The peer never writes on our outgoing connection; bytes there are a broken contract.
private final class PeerOutboundHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.close(promise: nil)
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// The incoming half: frames of one peer, after a hello that names this cluster and this node.
private final class PeerInboundHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let cluster: ClusterID
    private let own: PeerTransport.Own
    private let known: Set<NodeID>
    private let logger: Logger
    private let metrics: NodeMetrics
    private let receive: @Sendable (PeerFrame, NodeID) -> Void
    private var buffer = ByteBuffer()
    private var peer: NodeID?
    /// Frames wait in `buffer` meanwhile.
    private var isRemembering = false

    init(
        cluster: ClusterID, own: PeerTransport.Own, known: Set<NodeID>, logger: Logger,
        metrics: NodeMetrics,
        receive: @escaping @Sendable (PeerFrame, NodeID) -> Void
    ) {
        self.cluster = cluster
        self.own = own
        self.known = known
        self.logger = logger
        self.metrics = metrics
        self.receive = receive
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var incoming = unwrapInboundIn(data)
        metrics.peerReceivedBytes.add(incoming.readableBytes)
        if buffer.readableBytes == 0 {
            buffer = incoming
        } else {
            buffer.writeBuffer(&incoming)
        }
        takeFrames(context)
    }

    private func takeFrames(_ context: ChannelHandlerContext) {
        while !isRemembering, let (kind, body) = nextFrame(context) {
            do throws(DecodingFailure) {
                try handle(PeerFrame(kind: kind, body: body[...]), context)
            } catch {
                refuse(context, "a frame that cannot be read: \(error)")
                return
            }
        }
        buffer.discardReadBytes()
    }

    private func nextFrame(_ context: ChannelHandlerContext) -> (UInt8, Bytes)? {
        let at = buffer.readerIndex
        guard buffer.readableBytes >= PeerFrame.headerBytes,
            let length: UInt32 = buffer.getInteger(at: at, endianness: .little),
            let checksum: UInt32 = buffer.getInteger(at: at + 4, endianness: .little),
            let kind: UInt8 = buffer.getInteger(at: at + 8)
        else { return nil }
        // Before the hello nobody may make this node hold more than a hello.
        let limit = peer == nil ? 64 : PeerFrame.bodyBytesMax
        guard Int(length) <= limit else {
            refuse(context, "a frame of \(length) bytes")
            return nil
        }
        guard buffer.readableBytes >= PeerFrame.headerBytes + Int(length) else { return nil }
        let valid = buffer.withUnsafeReadableBytes { raw in
            CRC32C.checksum(
                UnsafeRawBufferPointer(rebasing: raw[8..<PeerFrame.headerBytes + Int(length)]))
                == checksum
        }
        guard valid else {
            refuse(context, "a frame with a wrong checksum")
            return nil
        }
        buffer.moveReaderIndex(forwardBy: PeerFrame.headerBytes)
        guard let body = buffer.readBytes(length: Int(length)) else {
            preconditionFailure("frame body of \(length) bytes is not there")
        }
        return (kind, body)
    }

    private func handle(_ frame: PeerFrame, _ context: ChannelHandlerContext) {
        if case .hello(let hello) = frame {
            guard hello.cluster == cluster, hello.to == own.id, known.contains(hello.from) else {
                refuse(
                    context,
                    "a hello from member \(hello.from) of cluster \(hello.cluster) to \(hello.to); "
                        + "this is member \(own.id) of cluster \(cluster)")
                return
            }
            guard hello.toDirectory == 0 || hello.toDirectory == own.directory else {
                refuse(context, "member \(hello.from) knows this member by another directory")
                own.forgotten()
                return
            }
            switch own.directories.check(hello.fromDirectory, of: hello.from) {
            case .known: peer = hello.from
            case .other: refuseForgetful(hello.from, context)
            case .new: remember(hello, context)
            }
            return
        }
        guard let peer else {
            refuse(context, "a frame before the hello")
            return
        }
        receive(frame, peer)
    }

    /// The first time that a member is heard, its directory is made durable before anything else that
    /// it says is taken: on a thread that may wait for the disk.
    private func remember(_ hello: PeerHello, _ context: ChannelHandlerContext) {
        isRemembering = true
        let promise = context.eventLoop.makePromise(of: Bool.self)
        promise.futureResult.assumeIsolated().whenComplete { [self] result in
            isRemembering = false
            switch result {
            case .success(true):
                peer = hello.from
                takeFrames(context)
            case .success(false): refuseForgetful(hello.from, context)
            case .failure(let error):
                refuse(context, "a member that cannot be remembered: \(error)")
            }
        }
        let directories = own.directories
        _ = DedicatedThread(name: "spine-remember") {
            promise.completeWith(
                Result { try directories.remember(hello.fromDirectory, of: hello.from) })
        }
    }

    private func refuseForgetful(_ member: NodeID, _ context: ChannelHandlerContext) {
        refuse(
            context,
            "member \(member) comes with another data directory than it had: it has lost its disk "
                + "and must not take part")
    }

    private func refuse(_ context: ChannelHandlerContext, _ what: String) {
        logger.warning(
            "peer connection refused: \(what)",
            metadata: ["remote": "\(context.remoteAddress?.description ?? "unknown")"])
        buffer.clear()
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
