import Consensus
import MultiRaft
import Primitives

// docs/formats/peer-protocol.md, "Batch". Heartbeats are most of what idle nodes say, and so are
// packed: seats that are those of the one before are not repeated.
extension NodeMessages {
    /// A batch's bytes, roughly, so that encoding seldom reserves twice.
    var estimatedBytes: Int {
        let forwarded = forwards.reduce(0) { sum, forward in
            sum + forward.commands.reduce(32) { $0 + 24 + $1.count }
        }
        return 64 + 12 * (heartbeats.count + heartbeatAnswers.count)
            + messages.reduce(0) { $0 + 72 + $1.entryBytes } + forwarded
            + refusals.reduce(0) { $0 + 24 + 8 * $1.sequences.count }
    }

    func encode(into writer: inout ByteWriter) {
        writer.writeVarint(incarnation)
        writer.write(UInt8(alive.map { $0.wantsAnswer ? 2 : 1 } ?? 0))
        writer.writeVarint(UInt64(heartbeats.count))
        var seats = Seats()
        for item in heartbeats {
            let flags: UInt8 = item.heartbeat.hibernates ? 2 : 0
            seats.encode(item.group, item.from, item.to, item.term, flags: flags, into: &writer)
            writer.writeVarint(item.heartbeat.commitIndex.rawValue)
            writer.writeVarint(item.heartbeat.round)
        }
        writer.writeVarint(UInt64(heartbeatAnswers.count))
        seats = Seats()
        for item in heartbeatAnswers {
            let flags: UInt8 = item.hibernates ? 2 : 0
            seats.encode(item.group, item.from, item.to, item.term, flags: flags, into: &writer)
            writer.writeVarint(item.round)
        }
        writer.writeVarint(UInt64(messages.count))
        for message in messages { message.encode(into: &writer) }
        writer.writeVarint(UInt64(forwards.count))
        for forward in forwards { forward.encode(into: &writer) }
        writer.writeVarint(UInt64(refusals.count))
        for refusal in refusals { refusal.encode(into: &writer) }
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init(incarnation: try reader.readVarint("incarnation"))
        let at = reader.offset
        switch try reader.read(UInt8.self, "alive") {
        case 0: alive = nil
        case 1: alive = NodeHeartbeat(wantsAnswer: false)
        case 2: alive = NodeHeartbeat(wantsAnswer: true)
        default: throw .invalid(field: "alive", offset: at)
        }
        var seats = Seats()
        for _ in 0..<(try reader.readCount("heartbeats")) {
            let (group, from, to, term, hibernates) = try seats.decode(from: &reader)
            let commitIndex = LogIndex(try reader.readVarint("commitIndex"))
            heartbeats.append(
                GroupHeartbeat(
                    group: group, from: from, to: to, term: term,
                    heartbeat: Heartbeat(
                        commitIndex: commitIndex, round: try reader.readVarint("round"),
                        hibernates: hibernates)))
        }
        seats = Seats()
        for _ in 0..<(try reader.readCount("heartbeat answers")) {
            let (group, from, to, term, hibernates) = try seats.decode(from: &reader)
            heartbeatAnswers.append(
                GroupHeartbeatAnswer(
                    group: group, from: from, to: to, term: term,
                    round: try reader.readVarint("round"), hibernates: hibernates))
        }
        for _ in 0..<(try reader.readCount("messages")) {
            messages.append(try RaftMessage(from: &reader))
        }
        for _ in 0..<(try reader.readCount("forwards")) {
            forwards.append(try ForwardedProposals(from: &reader))
        }
        for _ in 0..<(try reader.readCount("refusals")) {
            refusals.append(try ForwardRefused(from: &reader))
        }
    }
}

/// The seats of the heartbeat before.
private struct Seats {
    private var from = ReplicaID(0)
    private var to = ReplicaID(0)

    /// - Parameter flags: bit 1 is the caller's.
    mutating func encode(
        _ group: GroupID, _ from: ReplicaID, _ to: ReplicaID, _ term: Term, flags: UInt8,
        into writer: inout ByteWriter
    ) {
        let areOthers = from != self.from || to != self.to
        writer.write(flags | (areOthers ? 1 : 0))
        writer.writeVarint(UInt64(group.rawValue))
        if areOthers {
            writer.write(from.rawValue)
            writer.write(to.rawValue)
            self.from = from
            self.to = to
        }
        writer.writeVarint(term.rawValue)
    }

    mutating func decode(
        from reader: inout ByteReader
    ) throws(DecodingFailure) -> (GroupID, ReplicaID, ReplicaID, Term, Bool) {
        let at = reader.offset
        let flags = try reader.read(UInt8.self, "heartbeat flags")
        guard flags < 4 else { throw .invalid(field: "heartbeat flags", offset: at) }
        guard let group = UInt32(exactly: try reader.readVarint("group")) else {
            throw .invalid(field: "group", offset: at)
        }
        if flags & 1 != 0 {
            from = ReplicaID(try reader.read("from"))
            to = ReplicaID(try reader.read("to"))
        }
        let term = Term(try reader.readVarint("term"))
        return (GroupID(group), from, to, term, flags & 2 != 0)
    }
}

extension ForwardedProposals {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.writeVarint(id)
        writer.write(group.rawValue)
        writer.write(term.rawValue)
        writer.writeVarint(UInt64(commands.count))
        for (sequence, command) in zip(sequences, commands) {
            writer.write(sequence)
            writer.writeLengthPrefixed(command)
        }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            id: try reader.readVarint("forward"), group: GroupID(try reader.read("group")),
            term: Term(try reader.read("term")), sequences: [], commands: [])
        let count = try reader.readCount("commands")
        guard count > 0 else { throw .invalid(field: "commands", offset: reader.offset) }
        for _ in 0..<count {
            sequences.append(try reader.read("sequence"))
            commands.append(Bytes(try reader.readLengthPrefixed("command")))
        }
    }
}

extension ForwardRefused {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.write(group.rawValue)
        writer.write(term.rawValue)
        writer.write(reason.rawValue)
        writer.writeVarint(UInt64(sequences.count))
        for sequence in sequences { writer.write(sequence) }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingFailure) {
        let group = GroupID(try reader.read("group"))
        let term = Term(try reader.read("term"))
        let at = reader.offset
        guard let reason = Reason(rawValue: try reader.read("reason")) else {
            throw .invalid(field: "reason", offset: at)
        }
        var sequences: [UInt64] = []
        for _ in 0..<(try reader.readCount("sequences")) {
            sequences.append(try reader.read("sequence"))
        }
        self.init(group: group, term: term, sequences: sequences, reason: reason)
    }
}
