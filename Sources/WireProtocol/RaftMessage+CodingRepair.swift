import Consensus
import Primitives

// Parts of the messages about starts, snapshots and repair: docs/formats/peer-protocol.md.

extension Registration {
    func encode(into writer: inout ByteWriter) {
        writer.write(incarnation)
        writer.write(start)
        writer.write(term.rawValue)
        writer.write(lastIndex.rawValue)
        writer.write(lastTerm.rawValue)
        writer.write(isQuarantined)
        writer.write(absence != nil)
        if let absence { absence.encode(into: &writer) }
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            incarnation: try reader.read("incarnation"), start: try reader.read("start"),
            term: Term(try reader.read("term")), lastIndex: LogIndex(try reader.read("lastIndex")),
            lastTerm: Term(try reader.read("lastTerm")),
            isQuarantined: try reader.readBool("isQuarantined"),
            absence: try reader.readBool("isAbsent") ? try CommittedPlace(from: &reader) : nil)
    }
}

extension CommittedPlace {
    func encode(into writer: inout ByteWriter) {
        writer.write(index.rawValue)
        writer.write(term.rawValue)
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            index: LogIndex(try reader.read("index")), term: Term(try reader.read("term")))
    }
}

extension RegistrationVerdict {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .registered(behind: nil): writer.write(UInt8(0))
        case .quarantined(let record):
            writer.write(UInt8(1))
            record.encode(into: &writer)
        case .startedTwice: writer.write(UInt8(2))
        case .forgotten: writer.write(UInt8(3))
        case .stranger(let place):
            writer.write(UInt8(4))
            place.encode(into: &writer)
        case .registered(behind: let index?):
            writer.write(UInt8(5))
            writer.write(index.rawValue)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let at = reader.offset
        switch try reader.read(UInt8.self, "verdict") {
        case 0: self = .registered(behind: nil)
        case 1: self = .quarantined(try PeerRecord(from: &reader))
        case 2: self = .startedTwice
        case 3: self = .forgotten
        case 4: self = .stranger(asOf: try CommittedPlace(from: &reader))
        case 5: self = .registered(behind: LogIndex(try reader.read("behind")))
        default: throw .invalid(field: "verdict", offset: at)
        }
    }
}

extension PeerRecord {
    func encode(into writer: inout ByteWriter) {
        writer.write(replica.rawValue)
        writer.write(incarnation)
        writer.write(start)
        writer.write(term.rawValue)
        writer.write(lastIndex.rawValue)
        writer.write(lastTerm.rawValue)
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            replica: ReplicaID(try reader.read("replica")),
            incarnation: try reader.read("incarnation"), start: try reader.read("start"),
            term: Term(try reader.read("term")),
            lastIndex: LogIndex(try reader.read("lastIndex")),
            lastTerm: Term(try reader.read("lastTerm")))
    }
}

extension SnapshotMetadata {
    func encode(into writer: inout ByteWriter) {
        writer.write(id.source.rawValue)
        writer.write(id.incarnation)
        writer.write(id.sequence)
        writer.write(index.rawValue)
        writer.write(term.rawValue)
        writer.write(timestamp.microseconds)
        writer.write(timestamp.logical)
        writer.write(configuration.index.rawValue)
        writer.writeLengthPrefixed(configuration.configuration.encoded())
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let id = SnapshotID(
            source: ReplicaID(try reader.read("source")),
            incarnation: try reader.read("incarnation"), sequence: try reader.read("sequence"))
        let index = LogIndex(try reader.read("index"))
        let term = Term(try reader.read("term"))
        let timestamp = HybridTimestamp(
            microseconds: try reader.read("microseconds"), logical: try reader.read("logical"))
        let since = LogIndex(try reader.read("configurationIndex"))
        let configuration = try Configuration(
            decoding: Bytes(try reader.readLengthPrefixed("configuration")))
        self.init(
            id: id, index: index, term: term, timestamp: timestamp,
            configuration: ConfigurationEntry(index: since, configuration: configuration))
    }
}
