import Consensus
import Primitives

/// What nodes say to each other over a peer connection (docs/formats/peer-protocol.md). A
/// connection carries frames one way: from the node that dialled.
package enum PeerFrame: Hashable, Sendable {
    /// First frame of a connection: who speaks, and to whom it believes it speaks.
    case hello(PeerHello)
    /// Raft messages of any groups, in order.
    case raft([RaftMessage])
    /// Commands that a follower's clients proposed, for the leader to append.
    case forward(ForwardedProposals)
    /// The receiver's forwarded commands were not appended, and never will be by that message.
    case forwardRefused(ForwardRefused)
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

/// The leader appends these only in exactly this term: so once an entry of a later term is applied,
/// what was forwarded and has not been applied never will be, and may be proposed again.
package struct ForwardedProposals: Hashable, Sendable {
    package var group: GroupID
    package var term: Term
    /// Sequence numbers of the origin's proposals, one for each command.
    package var sequences: [UInt64]
    package var commands: [Bytes]
    package init(group: GroupID, term: Term, sequences: [UInt64], commands: [Bytes]) {
        self.group = group
        self.term = term
        self.sequences = sequences
        self.commands = commands
    }
}

package struct ForwardRefused: Hashable, Sendable {
    package enum Reason: UInt8, Sendable {
        /// Not the leader of that term: the origin looks for the leader and sends again.
        case notLeader = 1
        /// The leader's uncommitted tail is full: the client is told to slow down.
        case overloaded = 2
    }
    package var group: GroupID
    package var term: Term
    package var sequences: [UInt64]
    package var reason: Reason
    package init(group: GroupID, term: Term, sequences: [UInt64], reason: Reason) {
        self.group = group
        self.term = term
        self.sequences = sequences
        self.reason = reason
    }
}

extension PeerFrame {
    /// Raised when a frame's layout changes. A node refuses a hello of another version.
    package static let version: UInt16 = 1
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
            let version = UInt64(try reader.read(UInt16.self, "version"))
            guard version == UInt64(Self.version) else { throw .unsupportedVersion(version) }
            self = .hello(
                PeerHello(
                    cluster: ClusterID(try reader.read("cluster")),
                    from: NodeID(try reader.read("from")), to: NodeID(try reader.read("to")),
                    fromDirectory: try reader.read("fromDirectory"),
                    toDirectory: try reader.read("toDirectory")))
        case 2:
            let count = try reader.readCount("messages")
            var messages: [RaftMessage] = []
            for _ in 0..<count { messages.append(try RaftMessage(from: &reader)) }
            self = .raft(messages)
        case 3:
            let group = GroupID(try reader.read("group"))
            let term = Term(try reader.read("term"))
            let count = try reader.readCount("commands")
            guard count > 0 else { throw .invalid(field: "commands", offset: reader.offset) }
            var sequences: [UInt64] = []
            var commands: [Bytes] = []
            for _ in 0..<count {
                sequences.append(try reader.read("sequence"))
                commands.append(Bytes(try reader.readLengthPrefixed("command")))
            }
            self = .forward(
                ForwardedProposals(
                    group: group, term: term, sequences: sequences, commands: commands))
        case 4:
            let group = GroupID(try reader.read("group"))
            let term = Term(try reader.read("term"))
            guard let reason = ForwardRefused.Reason(rawValue: try reader.read("reason")) else {
                throw .invalid(field: "reason", offset: reader.offset)
            }
            let count = try reader.readCount("sequences")
            var sequences: [UInt64] = []
            for _ in 0..<count { sequences.append(try reader.read("sequence")) }
            self = .forwardRefused(
                ForwardRefused(group: group, term: term, sequences: sequences, reason: reason))
        default:
            throw .invalid(field: "kind", offset: 0)
        }
        try reader.expectEnd()
    }

    /// It carries entries or commands, and may be large.
    package var isBulk: Bool {
        switch self {
        case .hello, .forwardRefused: false
        case .raft(let messages): messages.contains { $0.entryBytes > 0 }
        case .forward: true
        }
    }

    private var kindByte: UInt8 {
        switch self {
        case .hello: 1
        case .raft: 2
        case .forward: 3
        case .forwardRefused: 4
        }
    }

    private var estimatedBytes: Int {
        switch self {
        case .hello: return 64
        case .raft(let messages):
            return messages.reduce(64) { $0 + 64 + $1.entryBytes }
        case .forward(let forwarded):
            return forwarded.commands.reduce(64) { $0 + 24 + $1.count }
        case .forwardRefused(let refused): return 64 + 8 * refused.sequences.count
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
        case .raft(let messages):
            writer.writeVarint(UInt64(messages.count))
            for message in messages { message.encode(into: &writer) }
        case .forward(let forwarded):
            writer.write(forwarded.group.rawValue)
            writer.write(forwarded.term.rawValue)
            writer.writeVarint(UInt64(forwarded.commands.count))
            for (sequence, command) in zip(forwarded.sequences, forwarded.commands) {
                writer.write(sequence)
                writer.writeLengthPrefixed(command)
            }
        case .forwardRefused(let refused):
            writer.write(refused.group.rawValue)
            writer.write(refused.term.rawValue)
            writer.write(refused.reason.rawValue)
            writer.writeVarint(UInt64(refused.sequences.count))
            for sequence in refused.sequences { writer.write(sequence) }
        }
    }
}
