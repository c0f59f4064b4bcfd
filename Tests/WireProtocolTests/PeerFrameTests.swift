import Consensus
import Primitives
import Testing
import WireProtocol

@Suite struct PeerFrameTests {
    /// docs/formats/peer-protocol.md, "Worked example".
    @Test func workedExample() throws {
        let frame = PeerFrame.raft([
            RaftMessage(
                group: GroupID(1), from: ReplicaID(2), to: ReplicaID(3), term: Term(5),
                kind: .heartbeat(Heartbeat(commitIndex: LogIndex(7), round: 9)))
        ])
        let hex = frame.encoded().map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }
        #expect(
            hex.joined(separator: " ") == """
                2e 00 00 00 7a 1d 6c dc 02 01 01 00 00 00 02 00 00 00 00 00 00 00 03 00 00 00 00 \
                00 00 00 05 00 00 00 00 00 00 00 08 07 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00
                """)
    }

    @Test(arguments: Self.frames)
    func comesBackAsItWent(frame: PeerFrame) throws {
        #expect(try Self.decode(frame.encoded()) == frame)
    }

    @Test(arguments: Self.frames)
    func shortenedOrLengthenedBodiesAreErrors(frame: PeerFrame) throws {
        let bytes = frame.encoded()
        for count in PeerFrame.headerBytes..<bytes.count {
            #expect(throws: DecodingFailure.self) { try Self.decode(Bytes(bytes[..<count])) }
        }
        #expect(throws: DecodingFailure.trailingBytes(count: 1)) {
            try Self.decode(bytes + [0])
        }
    }

    @Test func checksumCoversKindAndBody() throws {
        for frame in Self.frames {
            let bytes = frame.encoded()
            let stated = bytes[4..<8].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            #expect(CRC32C.checksum(bytes[8...]) == stated)
        }
    }

    @Test func entryCountsBeyondTheBodyReserveNothing() throws {
        var writer = ByteWriter()
        writer.writeVarint(1)
        writer.write(UInt32(1))
        for value in [2, 3, 5] as [UInt64] { writer.write(value) }
        writer.write(UInt8(5))
        for value in [1, 1, 1] as [UInt64] { writer.write(value) }
        writer.writeVarint(1 << 60)
        #expect(throws: DecodingFailure.self) { try PeerFrame(kind: 2, body: writer.bytes[...]) }
    }

    @Test func aForwardWithoutCommandsIsRefused() {
        let empty = PeerFrame.forward(
            ForwardedProposals(group: GroupID(1), term: Term(1), sequences: [], commands: []))
        #expect(throws: DecodingFailure.self) { try Self.decode(empty.encoded()) }
    }

    @Test func unknownKindsAndVersionsAreRefused() {
        #expect(throws: DecodingFailure.self) { try PeerFrame(kind: 9, body: []) }
        #expect(throws: DecodingFailure.unsupportedVersion(2)) {
            try PeerFrame(kind: 1, body: [2, 0] + [UInt8](repeating: 0, count: 40))
        }
    }

    private static func decode(_ bytes: Bytes) throws(DecodingFailure) -> PeerFrame {
        try PeerFrame(kind: bytes[8], body: bytes[PeerFrame.headerBytes...])
    }

    private static let frames: [PeerFrame] = {
        let context = ReadContext(replica: ReplicaID(4), incarnation: 2, sequence: 77)
        let entries = [
            LogEntry(
                term: Term(3), index: LogIndex(10),
                timestamp: HybridTimestamp(microseconds: 1_700_000_000_000_000, logical: 3),
                payload: .empty),
            LogEntry(
                term: Term(3), index: LogIndex(11), timestamp: HybridTimestamp(microseconds: 5),
                semantics: SemanticsLevel(2), payload: .command([1, 2, 3])),
            LogEntry(
                term: Term(3), index: LogIndex(12), timestamp: HybridTimestamp(microseconds: 6),
                payload: .configuration([])),
        ]
        let vote = VoteRequest(lastIndex: LogIndex(9), lastTerm: Term(2))
        let kinds: [RaftMessage.Kind] = [
            .preVoteRequest(vote), .preVoteResponse(granted: true), .voteRequest(vote),
            .voteResponse(granted: false),
            .appendRequest(
                AppendRequest(
                    previousIndex: LogIndex(9), previousTerm: Term(2), entries: entries,
                    commitIndex: LogIndex(8))),
            .appendResponse(.accepted(matchIndex: LogIndex(12))),
            .appendResponse(
                .rejected(
                    previousIndex: LogIndex(9), hintIndex: LogIndex(4), hintTerm: Term(1))),
            .heartbeat(Heartbeat(commitIndex: LogIndex(8), round: 3)),
            .heartbeatResponse(round: 3), .commitNotice(commitIndex: LogIndex(8)),
            .readIndexRequest(context), .readIndexResponse(context, .ready(LogIndex(8))),
            .readIndexResponse(context, .refused(.leadershipLost)), .staleTerm,
        ]
        return [
            .hello(
                PeerHello(
                    cluster: ClusterID(1), from: NodeID(2), to: NodeID(3), fromDirectory: 4,
                    toDirectory: 0)),
            .raft(
                kinds.map {
                    RaftMessage(
                        group: GroupID(2), from: ReplicaID(1), to: ReplicaID(3), term: Term(3),
                        kind: $0)
                }),
            .forward(
                ForwardedProposals(
                    group: GroupID(1), term: Term(3), sequences: [5, 6], commands: [[1], [2, 3]])),
            .forwardRefused(
                ForwardRefused(
                    group: GroupID(1), term: Term(3), sequences: [5], reason: .overloaded)),
        ]
    }()
}
