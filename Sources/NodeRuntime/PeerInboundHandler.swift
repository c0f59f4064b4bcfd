import Logging
import MultiRaft
import NIOCore
import Primitives
import WireProtocol

/// The incoming half: frames of one peer, after a hello that names this cluster and this node.
final class PeerInboundHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let cluster: ClusterID
    private let own: PeerTransport.Own
    private let known: Set<NodeID>
    private let logger: Logger
    private let metrics: NodeMetrics
    private let receive: @Sendable (NodeMessages, NodeID) -> Void
    private let receiveLeases: @Sendable (LeaseTraffic, NodeID) -> Void
    private var buffer = ByteBuffer()
    private var peer: NodeID?
    /// Frames wait in `buffer` meanwhile.
    private var isRemembering = false

    init(
        cluster: ClusterID, own: PeerTransport.Own, known: Set<NodeID>, logger: Logger,
        metrics: NodeMetrics,
        receive: @escaping @Sendable (NodeMessages, NodeID) -> Void,
        receiveLeases: @escaping @Sendable (LeaseTraffic, NodeID) -> Void
    ) {
        self.cluster = cluster
        self.own = own
        self.known = known
        self.logger = logger
        self.metrics = metrics
        self.receive = receive
        self.receiveLeases = receiveLeases
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
                refuse(context, unreadable(error))
                return
            }
        }
        buffer.discardReadBytes()
    }

    private func unreadable(_ error: DecodingFailure) -> String {
        switch error {
        case .unsupportedVersion(let version):
            "it speaks version \(version) of the peer protocol and this member version "
                + "\(PeerFrame.version): all members must run versions of spined that agree"
        default: "a frame that cannot be read: \(error)"
        }
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
        switch frame {
        case .hello(let hello): greet(hello, context)
        case .batch(let batch):
            guard let peer else {
                refuse(context, "a frame before the hello")
                return
            }
            receive(batch, peer)
        case .leases(let traffic):
            guard let peer else {
                refuse(context, "a frame before the hello")
                return
            }
            receiveLeases(traffic, peer)
        }
    }

    private func greet(_ hello: PeerHello, _ context: ChannelHandlerContext) {
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
