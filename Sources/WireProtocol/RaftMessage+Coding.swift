import Consensus
import Primitives

extension RaftMessage {
    /// docs/formats/peer-protocol.md, "Raft messages".
    package func encode(into writer: inout ByteWriter) {
        writer.write(group.rawValue)
        writer.write(from.rawValue)
        writer.write(to.rawValue)
        writer.write(term.rawValue)
        switch kind {
        case .preVoteRequest(let request):
            writer.write(UInt8(1))
            request.encode(into: &writer)
        case .preVoteResponse(let granted):
            writer.write(UInt8(2))
            writer.write(granted)
        case .voteRequest(let request):
            writer.write(UInt8(3))
            request.encode(into: &writer)
        case .voteResponse(let granted):
            writer.write(UInt8(4))
            writer.write(granted)
        case .appendRequest(let request):
            writer.write(UInt8(5))
            writer.write(request.previousIndex.rawValue)
            writer.write(request.previousTerm.rawValue)
            writer.write(request.commitIndex.rawValue)
            writer.writeVarint(UInt64(request.entries.count))
            for entry in request.entries { entry.encode(into: &writer) }
        case .appendResponse(.accepted(let matchIndex)):
            writer.write(UInt8(6))
            writer.write(matchIndex.rawValue)
        case .appendResponse(.rejected(let previousIndex, let hintIndex, let hintTerm)):
            writer.write(UInt8(7))
            writer.write(previousIndex.rawValue)
            writer.write(hintIndex.rawValue)
            writer.write(hintTerm.rawValue)
        case .heartbeat(let heartbeat):
            writer.write(UInt8(8))
            writer.write(heartbeat.commitIndex.rawValue)
            writer.write(heartbeat.round)
            writer.write(heartbeat.hibernates)
        case .heartbeatResponse(let round, let hibernates):
            writer.write(UInt8(9))
            writer.write(round)
            writer.write(hibernates)
        case .commitNotice(let commitIndex):
            writer.write(UInt8(10))
            writer.write(commitIndex.rawValue)
        case .readIndexRequest(let context):
            writer.write(UInt8(11))
            context.encode(into: &writer)
        case .readIndexResponse(let context, .ready(let index)):
            writer.write(UInt8(12))
            context.encode(into: &writer)
            writer.write(index.rawValue)
        case .readIndexResponse(let context, .refused(let reason)):
            writer.write(UInt8(13))
            context.encode(into: &writer)
            writer.write(reason.wireByte)
        case .staleTerm:
            writer.write(UInt8(14))
        case .timeoutNow: writer.write(UInt8(15))
        case .registration(let registration):
            writer.write(UInt8(16))
            registration.encode(into: &writer)
        case .registrationAnswer(let incarnation, let start, let verdict):
            writer.write(UInt8(17))
            writer.write(incarnation)
            writer.write(start)
            verdict.encode(into: &writer)
        case .memberRecords(let records):
            writer.write(UInt8(18))
            writer.writeVarint(UInt64(records.count))
            for record in records { record.encode(into: &writer) }
        case .snapshotNeeded(let minIndex, let sources):
            writer.write(UInt8(19))
            writer.write(minIndex.rawValue)
            writer.writeVarint(UInt64(sources.count))
            for source in sources { writer.write(source.rawValue) }
        case .snapshotWanted(let minIndex):
            writer.write(UInt8(20))
            writer.write(minIndex.rawValue)
        case .snapshotOffer(let metadata):
            writer.write(UInt8(21))
            metadata.encode(into: &writer)
        case .entriesWanted(let wanted):
            writer.write(UInt8(22))
            writer.writeVarint(UInt64(wanted.count))
            for run in wanted {
                writer.write(run.first.rawValue)
                writer.write(run.through.rawValue)
                writer.write(run.term.rawValue)
            }
        case .entriesFound(let entries):
            writer.write(UInt8(23))
            writer.writeVarint(UInt64(entries.count))
            for entry in entries { entry.encode(into: &writer) }
        }
    }

    package init(from reader: inout ByteReader) throws(DecodingFailure) {
        let group = GroupID(try reader.read("group"))
        let from = ReplicaID(try reader.read("from"))
        let to = ReplicaID(try reader.read("to"))
        let term = Term(try reader.read("term"))
        self.init(
            group: group, from: from, to: to, term: term, kind: try Self.readKind(&reader))
    }

    private static func readEntries(
        _ reader: inout ByteReader
    ) throws(DecodingFailure) -> [LogEntry] {
        let at = reader.offset
        let count = try reader.readCount("entries")
        // An entry takes at least 31 bytes: a count that cannot be true reserves nothing.
        guard count <= reader.remaining / 31 else { throw .invalid(field: "entries", offset: at) }
        var entries: [LogEntry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count { entries.append(try LogEntry(from: &reader)) }
        return entries
    }

    private static func readKind(_ reader: inout ByteReader) throws(DecodingFailure) -> Kind {
        let at = reader.offset
        switch try reader.read(UInt8.self, "message kind") {
        case 1: return .preVoteRequest(try VoteRequest(from: &reader))
        case 2: return .preVoteResponse(granted: try reader.readBool("granted"))
        case 3: return .voteRequest(try VoteRequest(from: &reader))
        case 4: return .voteResponse(granted: try reader.readBool("granted"))
        case 5:
            let previousIndex = LogIndex(try reader.read("previousIndex"))
            let previousTerm = Term(try reader.read("previousTerm"))
            let commitIndex = LogIndex(try reader.read("commitIndex"))
            let entries = try readEntries(&reader)
            return .appendRequest(
                AppendRequest(
                    previousIndex: previousIndex, previousTerm: previousTerm, entries: entries,
                    commitIndex: commitIndex))
        case 6: return .appendResponse(.accepted(matchIndex: LogIndex(try reader.read("match"))))
        case 7:
            return .appendResponse(
                .rejected(
                    previousIndex: LogIndex(try reader.read("previousIndex")),
                    hintIndex: LogIndex(try reader.read("hintIndex")),
                    hintTerm: Term(try reader.read("hintTerm"))))
        case 8:
            return .heartbeat(
                Heartbeat(
                    commitIndex: LogIndex(try reader.read("commitIndex")),
                    round: try reader.read("round"),
                    hibernates: try reader.readBool("hibernates")))
        case 9:
            return .heartbeatResponse(
                round: try reader.read("round"), hibernates: try reader.readBool("hibernates"))
        case 10: return .commitNotice(commitIndex: LogIndex(try reader.read("commitIndex")))
        case 11: return .readIndexRequest(try ReadContext(from: &reader))
        case 12:
            let context = try ReadContext(from: &reader)
            return .readIndexResponse(context, .ready(LogIndex(try reader.read("index"))))
        case 13:
            let context = try ReadContext(from: &reader)
            guard let reason = ReadRefusal(wireByte: try reader.read("reason")) else {
                throw .invalid(field: "reason", offset: at)
            }
            return .readIndexResponse(context, .refused(reason))
        case 14: return .staleTerm
        case 15: return .timeoutNow
        case 16: return .registration(try Registration(from: &reader))
        case 17:
            return .registrationAnswer(
                incarnation: try reader.read("incarnation"), start: try reader.read("start"),
                try RegistrationVerdict(from: &reader))
        case 18:
            var records: [PeerRecord] = []
            for _ in 0..<(try reader.readCount("records")) {
                records.append(try PeerRecord(from: &reader))
            }
            return .memberRecords(records)
        case 19:
            let minIndex = LogIndex(try reader.read("minIndex"))
            var sources: [ReplicaID] = []
            for _ in 0..<(try reader.readCount("sources")) {
                sources.append(ReplicaID(try reader.read("source")))
            }
            return .snapshotNeeded(minIndex: minIndex, sources: sources)
        case 20: return .snapshotWanted(minIndex: LogIndex(try reader.read("minIndex")))
        case 21: return .snapshotOffer(try SnapshotMetadata(from: &reader))
        case 22:
            var wanted: [WantedEntries] = []
            for _ in 0..<(try reader.readCount("wanted")) {
                wanted.append(
                    WantedEntries(
                        first: LogIndex(try reader.read("first")),
                        through: LogIndex(try reader.read("through")),
                        term: Term(try reader.read("term"))))
            }
            return .entriesWanted(wanted)
        case 23: return .entriesFound(try readEntries(&reader))
        default: throw .invalid(field: "message kind", offset: at)
        }
    }
}

extension VoteRequest {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.write(lastIndex.rawValue)
        writer.write(lastTerm.rawValue)
        writer.write(isTransfer)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            lastIndex: LogIndex(try reader.read("lastIndex")),
            lastTerm: Term(try reader.read("lastTerm")),
            isTransfer: try reader.readBool("isTransfer"))
    }
}

extension ReadContext {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.write(replica.rawValue)
        writer.write(incarnation)
        writer.write(sequence)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            replica: ReplicaID(try reader.read("replica")),
            incarnation: try reader.read("incarnation"), sequence: try reader.read("sequence"))
    }
}

extension ReadRefusal {
    fileprivate var wireByte: UInt8 {
        switch self {
        case .timedOut: 1
        case .leadershipLost: 2
        case .tooManyReads: 3
        }
    }

    fileprivate init?(wireByte: UInt8) {
        switch wireByte {
        case 1: self = .timedOut
        case 2: self = .leadershipLost
        case 3: self = .tooManyReads
        default: return nil
        }
    }
}

extension LogEntry {
    /// docs/formats/peer-protocol.md, "Entries".
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.write(term.rawValue)
        writer.write(index.rawValue)
        writer.write(timestamp.microseconds)
        writer.write(timestamp.logical)
        writer.write(semantics.rawValue)
        switch payload {
        case .empty:
            writer.write(UInt8(0))
        case .command(let bytes):
            writer.write(UInt8(1))
            writer.writeLengthPrefixed(bytes)
        case .configuration(let bytes):
            writer.write(UInt8(2))
            writer.writeLengthPrefixed(bytes)
        }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingFailure) {
        let term = Term(try reader.read("term"))
        let index = LogIndex(try reader.read("index"))
        let timestamp = HybridTimestamp(
            microseconds: try reader.read("microseconds"), logical: try reader.read("logical"))
        let semantics = SemanticsLevel(try reader.read("semantics"))
        let at = reader.offset
        let payload: Payload
        switch try reader.read(UInt8.self, "payload kind") {
        case 0: payload = .empty
        case 1: payload = .command(Bytes(try reader.readLengthPrefixed("command")))
        case 2: payload = .configuration(Bytes(try reader.readLengthPrefixed("configuration")))
        default: throw .invalid(field: "payload kind", offset: at)
        }
        self.init(
            term: term, index: index, timestamp: timestamp, semantics: semantics, payload: payload)
    }
}
