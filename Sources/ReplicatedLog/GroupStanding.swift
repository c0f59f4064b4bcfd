import Primitives

/// All that is known of a group but where its entries stand: what a checkpoint says of it.
struct GroupStanding: Hashable, Sendable {
    var hardState: HardState
    var voteIsUnknown: Bool
    var start: LogStart
    var last: LogIndex
    var runs: [TermRun]
    var damaged: [ClosedRange<LogIndex>]
    var peers: [PeerRecord]
    var peersAreIncomplete: Bool
    var distrust: LogDistrust?

    var lastTerm: Term { runs.last?.term ?? start.term }
}

extension GroupStanding {
    private static let hasVote: UInt8 = 1
    private static let voteIsUnknown: UInt8 = 2
    private static let peersAreIncomplete: UInt8 = 4

    /// The payload of its record, which holds `last`, `lastTerm` and the start's stamp besides:
    /// integers are LEB128 but for replica ids, which are 8 bytes.
    func encoded() -> Bytes {
        var writer = ByteWriter(reserving: 64)
        writer.write(
            (hardState.vote == nil ? 0 : Self.hasVote) | (voteIsUnknown ? Self.voteIsUnknown : 0)
                | (peersAreIncomplete ? Self.peersAreIncomplete : 0))
        writer.write(distrust?.rawValue ?? 0)
        writer.writeVarint(hardState.term.rawValue)
        writer.writeVarint(hardState.commitIndex.rawValue)
        if let vote = hardState.vote { writer.write(vote.rawValue) }
        writer.writeVarint(start.index.rawValue)
        writer.writeVarint(start.term.rawValue)
        writer.writeVarint(start.configurationIndex.rawValue)
        writer.writeLengthPrefixed(start.configuration)
        writer.writeVarint(UInt64(runs.count))
        for run in runs {
            writer.writeVarint(run.firstIndex.rawValue)
            writer.writeVarint(run.term.rawValue)
        }
        writer.writeVarint(UInt64(damaged.count))
        for range in damaged {
            writer.writeVarint(range.lowerBound.rawValue)
            writer.writeVarint(range.upperBound.rawValue)
        }
        writer.writeVarint(UInt64(peers.count))
        for peer in peers {
            writer.write(peer.replica.rawValue)
            writer.writeVarint(peer.incarnation)
            writer.writeVarint(peer.term.rawValue)
            writer.writeVarint(peer.lastIndex.rawValue)
            writer.writeVarint(peer.lastTerm.rawValue)
        }
        return writer.bytes
    }

    /// `nil` when the record is no standing, or one that contradicts itself.
    init?(_ header: RecordHeader, payload: UnsafeRawBufferPointer) {
        guard let standing = try? Self.read(header, payload: Bytes(payload)), standing.isSound,
            standing.lastTerm == header.term
        else { return nil }
        self = standing
    }

    private static func read(
        _ header: RecordHeader, payload: Bytes
    ) throws(DecodingFailure) -> GroupStanding {
        var reader = ByteReader(payload)
        let flags: UInt8 = try reader.read("flags")
        guard flags <= hasVote | voteIsUnknown | peersAreIncomplete else {
            throw .invalid(field: "flags", offset: 0)
        }
        let distrust: UInt8 = try reader.read("distrust")
        guard distrust == 0 || LogDistrust(rawValue: distrust) != nil else {
            throw .invalid(field: "distrust", offset: 1)
        }
        var state = HardState()
        state.term = Term(try reader.readVarint("term"))
        state.commitIndex = LogIndex(try reader.readVarint("commit index"))
        if flags & hasVote != 0 { state.vote = ReplicaID(try reader.read("vote")) }
        let start = LogStart(
            index: LogIndex(try reader.readVarint("start")),
            term: Term(try reader.readVarint("start term")), timestamp: header.timestamp,
            configuration: [],
            configurationIndex: LogIndex(try reader.readVarint("configuration index")),
            replacesAll: false)
        var standing = GroupStanding(
            hardState: state, voteIsUnknown: flags & voteIsUnknown != 0, start: start,
            last: header.index, runs: [], damaged: [], peers: [],
            peersAreIncomplete: flags & peersAreIncomplete != 0,
            distrust: LogDistrust(rawValue: distrust))
        standing.start.configuration = Bytes(try reader.readLengthPrefixed("configuration"))
        for _ in 0..<(try reader.readCount("runs")) {
            standing.runs.append(
                TermRun(
                    firstIndex: LogIndex(try reader.readVarint("first index")),
                    term: Term(try reader.readVarint("term"))))
        }
        for _ in 0..<(try reader.readCount("damaged")) {
            let first = LogIndex(try reader.readVarint("first damaged"))
            let last = LogIndex(try reader.readVarint("last damaged"))
            guard first <= last else {
                throw .invalid(field: "last damaged", offset: reader.offset)
            }
            standing.damaged.append(first...last)
        }
        for _ in 0..<(try reader.readCount("peers")) {
            let replica = ReplicaID(try reader.read("replica"))
            standing.peers.append(
                PeerRecord(
                    replica: replica, incarnation: try reader.readVarint("incarnation"),
                    term: Term(try reader.readVarint("term")),
                    lastIndex: LogIndex(try reader.readVarint("last index")),
                    lastTerm: Term(try reader.readVarint("last term"))))
        }
        try reader.expectEnd()
        return standing
    }

    private var isSound: Bool {
        let isEmpty = last == start.index
        guard last >= start.index, runs.isEmpty == isEmpty,
            isEmpty || runs[0].firstIndex == start.index.next,
            runs.last?.firstIndex ?? .zero <= last, runs.first?.term ?? start.term >= start.term
        else { return false }
        for (run, next) in zip(runs, runs.dropFirst())
        where run.firstIndex >= next.firstIndex || run.term >= next.term {
            return false
        }
        for (peer, next) in zip(peers, peers.dropFirst()) where peer.replica >= next.replica {
            return false
        }
        return damaged.allSatisfy { $0.lowerBound > start.index && $0.upperBound <= last }
    }
}
