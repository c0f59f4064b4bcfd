import MultiRaft
import Primitives

/// What nodes say to each other over a peer connection (docs/formats/peer-protocol.md). A
/// connection carries frames one way: from the node that dialled.
package enum PeerFrame: Hashable, Sendable {
    /// First frame of a connection: who speaks, and to whom it believes it speaks.
    case hello(PeerHello)
    /// What the sender's groups say to the receiver's, and its commands for leaders there.
    case batch(NodeMessages)
    case leases(LeaseTraffic)
}

package struct PeerHello: Hashable, Sendable {
    package var cluster: ClusterID
    package var from: NodeID
    package var to: NodeID
    /// The sender's data directory.
    package var fromDirectory: UInt64
    /// The receiver's, as the sender knows it; 0: it knows none.
    package var toDirectory: UInt64
    package init(
        cluster: ClusterID, from: NodeID, to: NodeID, fromDirectory: UInt64, toDirectory: UInt64
    ) {
        self.cluster = cluster
        self.from = from
        self.to = to
        self.fromDirectory = fromDirectory
        self.toDirectory = toDirectory
    }
}

extension PeerFrame {
    /// Raised when a frame's layout changes. A node refuses a hello of another version.
    package static let version: UInt16 = 3
    package static let headerBytes = 9
    /// A frame's bytes after the header. Larger than the largest append message.
    package static let bodyBytesMax = 192 << 20

    /// Header and body: body length (u32), CRC-32C of kind and body (u32), kind (u8), body.
    package func encoded() -> Bytes {
        var writer = ByteWriter(reserving: estimatedBytes)
        writer.write(UInt32(0))
        writer.write(UInt32(0))
        writer.write(kindByte)
        encodeBody(into: &writer)
        let body = writer.count - Self.headerBytes
        precondition(body <= Self.bodyBytesMax, "peer frame of \(body) bytes")
        writer.overwrite(UInt32(body), at: 0)
        var crc = CRC32C()
        writer.bytes.withUnsafeBytes { crc.update(UnsafeRawBufferPointer(rebasing: $0[8...])) }
        writer.overwrite(crc.value, at: 4)
        return writer.bytes
    }

    /// - Parameters:
    ///   - kind: the header's last byte.
    ///   - body: what follows it; its checksum has been verified.
    package init(kind: UInt8, body: ArraySlice<UInt8>) throws(DecodingFailure) {
        var reader = ByteReader(body)
        switch kind {
        case 1:
            // First in every version, so that one can always be told from another.
            let version = UInt64(try reader.read(UInt16.self, "version"))
            guard version == UInt64(Self.version) else { throw .unsupportedVersion(version) }
            self = .hello(
                PeerHello(
                    cluster: ClusterID(try reader.read("cluster")),
                    from: NodeID(try reader.read("from")), to: NodeID(try reader.read("to")),
                    fromDirectory: try reader.read("fromDirectory"),
                    toDirectory: try reader.read("toDirectory")))
        case 2: self = .batch(try NodeMessages(from: &reader))
        case 3: self = .leases(try LeaseTraffic(from: &reader))
        default:
            throw .invalid(field: "kind", offset: 0)
        }
        try reader.expectEnd()
    }

    /// It carries entries or commands, and may be large.
    package var isBulk: Bool {
        switch self {
        case .hello, .leases: false
        case .batch(let batch): batch.isBulk
        }
    }

    private var kindByte: UInt8 {
        switch self {
        case .hello: 1
        case .batch: 2
        case .leases: 3
        }
    }

    private var estimatedBytes: Int {
        switch self {
        case .hello: return 64
        case .batch(let batch): return batch.estimatedBytes
        case .leases(let traffic): return traffic.estimatedBytes
        }
    }

    private func encodeBody(into writer: inout ByteWriter) {
        switch self {
        case .hello(let hello):
            writer.write(Self.version)
            writer.write(hello.cluster.rawValue)
            writer.write(hello.from.rawValue)
            writer.write(hello.to.rawValue)
            writer.write(hello.fromDirectory)
            writer.write(hello.toDirectory)
        case .batch(let batch): batch.encode(into: &writer)
        case .leases(let traffic): traffic.encode(into: &writer)
        }
    }
}
