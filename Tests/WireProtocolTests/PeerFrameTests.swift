import Consensus
import MultiRaft
import Primitives
import RecordModel
import Testing
import WireProtocol

@Suite struct PeerFrameTests {
    /// docs/formats/peer-protocol.md, "Worked example".
    @Test func workedExample() throws {
        var batch = NodeMessages(incarnation: 4)
        batch.alive = NodeHeartbeat(wantsAnswer: true)
        for group in [1, 2] as [UInt32] {
            batch.append(
                RaftMessage(
                    group: GroupID(group), from: ReplicaID(2), to: ReplicaID(3), term: Term(5),
                    kind: .heartbeat(Heartbeat(commitIndex: LogIndex(7), round: 9))))
        }
        let hex = PeerFrame.batch(batch).encoded().map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }
        #expect(
            hex.joined(separator: " ") == """
                21 00 00 00 6e 25 44 8e 02 04 02 02 01 01 02 00 00 00 00 00 00 00 03 00 \
                00 00 00 00 00 00 05 07 09 00 02 05 07 09 00 00 00 00
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

    /// A peer cannot make the clock believe in a lease longer than any may be.
    @Test func leaseRepliesBeyondTheLongestLeaseAreRefused() throws {
        for seconds in [Lease.secondsMax + 1, -1] {
            var traffic = LeaseTraffic()
            traffic.replies = [LeaseReply(id: 1, outcome: .renewed(seconds: seconds))]
            #expect(throws: DecodingFailure.self) {
                try Self.decode(PeerFrame.leases(traffic).encoded())
            }
        }
    }

    @Test func countsBeyondTheBodyReserveNothing() throws {
        var writer = ByteWriter()
        writer.writeVarint(1)  // incarnation
        for _ in 0..<3 { writer.write(UInt8(0)) }  // no sign of life, no heartbeats
        writer.writeVarint(1)
        writer.write(UInt32(1))
        for value in [2, 3, 5] as [UInt64] { writer.write(value) }
        writer.write(UInt8(5))
        for value in [1, 1, 1] as [UInt64] { writer.write(value) }
        writer.writeVarint(1 << 60)
        #expect(throws: DecodingFailure.self) { try PeerFrame(kind: 2, body: writer.bytes[...]) }
    }

    @Test func aForwardWithoutCommandsIsRefused() {
        var batch = NodeMessages(incarnation: 1)
        batch.forwards = [
            ForwardedProposals(
                id: 1, group: GroupID(1), term: Term(1), sequences: [], commands: [])
        ]
        let bytes = PeerFrame.batch(batch).encoded()
        #expect(throws: DecodingFailure.self) { try Self.decode(bytes) }
    }

    @Test func unknownKindsAndVersionsAreRefused() {
        #expect(throws: DecodingFailure.self) { try PeerFrame(kind: 3, body: []) }
        #expect(throws: DecodingFailure.unsupportedVersion(1)) {
            try PeerFrame(kind: 1, body: [1, 0] + [UInt8](repeating: 0, count: 40))
        }
    }

    /// Bytes that chance has changed are read as something, or refused; they never stop the reader.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func changedBytesAreReadOrRefused(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var refused = 0
        for frame in Self.frames {
            let good = frame.encoded()
            for _ in 0..<200 {
                var bytes = good
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    let at = Int.random(
                        in: PeerFrame.headerBytes..<bytes.count, using: &generator)
                    bytes[at] = UInt8.random(in: 0...255, using: &generator)
                }
                do throws(DecodingFailure) {
                    let read = try Self.decode(bytes)
                    #expect(try Self.decode(read.encoded()) == read, "seed \(seed)")
                } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 0)
    }

    /// 10,000 heartbeats between the same nodes: what an interval costs when all groups are awake.
    @Test func heartbeatsOfOneNodePairAreSmall() {
        var batch = NodeMessages(incarnation: 4)
        for group in 0..<10_000 as Range<UInt32> {
            batch.append(
                RaftMessage(
                    group: GroupID(65_536 + group), from: ReplicaID(2), to: ReplicaID(3),
                    term: Term(5), kind: .heartbeat(Heartbeat(commitIndex: LogIndex(7), round: 0))))
        }
        #expect(PeerFrame.batch(batch).encoded().count < 7 * 10_000 + 64)
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
        let record = PeerRecord(
            replica: ReplicaID(2), incarnation: .max, start: 7, term: Term(5),
            lastIndex: LogIndex(6), lastTerm: Term(4))
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
            .readIndexResponse(context, .refused(.leadershipLost)), .staleTerm, .timeoutNow,
            .voteRequest(
                VoteRequest(lastIndex: LogIndex(9), lastTerm: Term(2), isTransfer: true)),
            .registration(
                Registration(
                    incarnation: 3, start: 77, term: Term(4), lastIndex: LogIndex(5),
                    lastTerm: Term(4), isQuarantined: true)),
            .registration(
                Registration(
                    incarnation: 3, start: 77, term: Term(4), lastIndex: LogIndex(5),
                    lastTerm: Term(4),
                    absence: CommittedPlace(index: LogIndex(8), term: Term(3)))),
            .registrationAnswer(incarnation: 3, start: 77, .registered(behind: nil)),
            .registrationAnswer(incarnation: 3, start: 77, .registered(behind: LogIndex(8))),
            .registrationAnswer(
                incarnation: 3, start: 77,
                .stranger(asOf: CommittedPlace(index: LogIndex(8), term: Term(3)))),
            .registrationAnswer(incarnation: 3, start: 77, .quarantined(record)),
            .registrationAnswer(incarnation: 3, start: 77, .startedTwice),
            .registrationAnswer(incarnation: 0, start: 0, .forgotten),
            .memberRecords([record, record]),
            .snapshotNeeded(minIndex: LogIndex(7), sources: [ReplicaID(1), ReplicaID(9)]),
            .snapshotWanted(minIndex: LogIndex(7)),
            .snapshotOffer(
                SnapshotMetadata(
                    id: SnapshotID(source: ReplicaID(1), incarnation: 2, sequence: 3),
                    index: LogIndex(9), term: Term(2),
                    timestamp: HybridTimestamp(microseconds: 8, logical: 9),
                    configuration: ConfigurationEntry(
                        index: LogIndex(4),
                        configuration: Configuration(voters: [ReplicaID(1), ReplicaID(2)])))),
            .entriesWanted([
                WantedEntries(first: LogIndex(1), through: LogIndex(2), term: Term(1))
            ]),
            .entriesFound(entries),
        ]
        var batch = NodeMessages(incarnation: 7)
        batch.alive = NodeHeartbeat(wantsAnswer: false)
        for kind in kinds {
            batch.append(
                RaftMessage(
                    group: GroupID(2), from: ReplicaID(1), to: ReplicaID(3), term: Term(3),
                    kind: kind))
        }
        for from in [1, 1, 4] as [UInt64] {
            batch.heartbeats.append(
                GroupHeartbeat(
                    group: GroupID(.max), from: ReplicaID(from), to: ReplicaID(3), term: Term(3),
                    heartbeat: Heartbeat(commitIndex: LogIndex(1), round: 2, hibernates: true)))
        }
        batch.heartbeatAnswers.append(
            GroupHeartbeatAnswer(
                group: GroupID(3), from: ReplicaID(9), to: ReplicaID(8), term: Term(3), round: 0,
                hibernates: true))
        batch.forwards = [
            ForwardedProposals(
                id: 300, group: GroupID(1), term: Term(3), sequences: [5, 6],
                commands: [[1], [2, 3]])
        ]
        batch.refusals = [
            ForwardRefused(
                group: GroupID(1), term: Term(3), sequences: [5], reason: .overloaded)
        ]
        var traffic = LeaseTraffic()
        traffic.questions = [
            LeaseQuestion(id: 1, group: GroupID(1), lease: LeaseID(-5), kind: .keepAlive),
            LeaseQuestion(id: .max, group: GroupID(2), lease: LeaseID(.max), kind: .timeToLive),
        ]
        traffic.replies = [
            LeaseReply(id: 7, outcome: .renewed(seconds: Lease.secondsMax)),
            LeaseReply(id: 8, outcome: .left(seconds: 0, granted: 2)),
            LeaseReply(id: 9, outcome: .notFound), LeaseReply(id: 10, outcome: .notLeader),
        ]
        return [
            .leases(traffic), .leases(LeaseTraffic()),
            .hello(
                PeerHello(
                    cluster: ClusterID(1), from: NodeID(2), to: NodeID(3), fromDirectory: 4,
                    toDirectory: 0)),
            .batch(batch), .batch(NodeMessages(incarnation: 0)),
        ]
    }()
}
