import Logging
import NIOCore
import NIOPosix
import Primitives
import Synchronization
import WireProtocol

/// The outgoing half to one peer: dials, says hello, and dials again when the connection ends.
final class PeerLink: Sendable {
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
