import Primitives
import Testing

@testable import ReplicatedLog

/// A log with the history that wrote it, as Raft would: an entry's content follows from its group,
/// index and term, and what replaces entries is of a later term.
struct SalvageModel {
    struct Group: Equatable {
        var hardState = HardState()
        var start = LogStart(
            index: .zero, term: .zero, timestamp: .zero, configuration: [],
            configurationIndex: .zero, replacesAll: false)
        /// The terms of the entries behind `start`.
        var terms: [Term] = []
        var peers: [ReplicaID: PeerRecord] = [:]

        var last: LogIndex { start.index + UInt64(terms.count) }
        func term(of index: LogIndex) -> Term {
            index == start.index
                ? start.term : terms[Int(index.rawValue - start.index.rawValue) - 1]
        }
    }

    let seed: UInt64
    var generator: SeededGenerator
    let device = MemoryLogDevice()
    var log: ReplicatedLog
    var groups: [GroupID: Group] = [:]
    /// What the entries of each group were, at any time.
    var history: [GroupID: Set<Place>] = [:]
    struct Place: Hashable {
        var index: LogIndex
        var term: Term
    }

    init(seed: UInt64) throws {
        self.seed = seed
        generator = SeededGenerator(seed: seed)
        log = try Fixture.open(device).log
    }

    static func entry(_ group: GroupID, _ index: LogIndex, _ term: Term) -> LogEntry {
        let seed = Int(index.rawValue &* 7 &+ term.rawValue &* 131) &+ Int(group.rawValue)
        let bytes = Bytes((0..<(seed % 5 == 0 ? 620 : seed % 90)).map { UInt8(($0 + seed) & 0xFF) })
        return LogEntry(
            term: term, index: index,
            timestamp: HybridTimestamp(
                microseconds: index.rawValue + term.rawValue * 1000, logical: group.rawValue),
            payload: seed % 11 == 0 ? .configuration(bytes) : .command(bytes))
    }

    static func entries(_ id: GroupID, _ group: Group) -> [LogEntry] {
        group.terms.enumerated().map {
            entry(id, group.start.index + UInt64($0.offset) + 1, $0.element)
        }
    }

    mutating func chance(_ n: Int, in m: Int) -> Bool {
        Int.random(in: 0..<m, using: &generator) < n
    }

    /// Something that a group may do.
    mutating func part(_ id: GroupID) -> GroupAppend {
        var group = groups[id] ?? Group()
        var part = GroupAppend(group: id)
        if chance(1, in: 60) {
            part.isReset = true
            group = Group()
        }
        if chance(1, in: 30) {
            // A snapshot, from a leader whose term this replica has heard of.
            let term = Term(
                max(group.hardState.term.rawValue, group.term(of: group.last).rawValue) + 1)
            let ahead = UInt64.random(in: 0...5, using: &generator)
            group.start = LogStart(
                index: group.last + ahead, term: term,
                timestamp: HybridTimestamp(microseconds: 5), configuration: [1, 2, UInt8(ahead)],
                configurationIndex: group.last, replacesAll: true)
            group.terms = []
            part.start = group.start
            group.start.replacesAll = false
            group.hardState = HardState(term: term)
            part.hardState = group.hardState
        } else if chance(1, in: 15), !group.terms.isEmpty {
            let count = Int.random(in: 1...group.terms.count, using: &generator)
            let index = group.start.index + UInt64(count)
            group.start = LogStart(
                index: index, term: group.term(of: index),
                timestamp: Self.entry(id, index, group.term(of: index)).timestamp,
                configuration: [9], configurationIndex: index, replacesAll: false)
            group.terms.removeFirst(count)
            part.start = group.start
        }
        if chance(1, in: 8), !group.terms.isEmpty {
            let kept = Int.random(in: 0..<group.terms.count, using: &generator)
            part.replaceFrom = group.start.index + UInt64(kept) + 1
            group.terms.removeSubrange(kept...)
            group.hardState = HardState(term: group.hardState.term.next)
            part.hardState = group.hardState
        }
        if part.hardState != nil || chance(1, in: 4) {
            if chance(1, in: 3) {
                group.hardState.term = group.hardState.term.next
                group.hardState.vote = nil
            }
            if chance(1, in: 2) { group.hardState.vote = group.hardState.vote ?? ReplicaID(7) }
            group.hardState.commitIndex = group.last
            part.hardState = group.hardState
        }
        let term = max(group.hardState.term, group.term(of: group.last), Term(1))
        var entries: [LogEntry] = []
        for _ in 0..<Int.random(in: 0...3, using: &generator) {
            entries.append(Self.entry(id, group.last.next, term))
            history[id, default: []].insert(Place(index: group.last.next, term: term))
            group.terms.append(term)
        }
        part.entries = entries[...]
        if chance(1, in: 10) {
            let peer = PeerRecord(
                replica: ReplicaID(UInt64.random(in: 1...3, using: &generator)),
                incarnation: generator.next() % 100, term: Term(generator.next()),
                lastIndex: group.last, lastTerm: term)
            group.peers[peer.replica] = peer
            part.peers = [peer]
        }
        let isEmpty =
            part.start == nil && part.hardState == nil && part.replaceFrom == nil
            && entries.isEmpty && part.peers.isEmpty
        if part.isReset || !isEmpty { groups[id] = isEmpty ? nil : group }
        return part
    }

    mutating func write(batches: Int) throws {
        for _ in 0..<batches {
            let ids = (UInt32(0)...5).shuffled(using: &generator).prefix(
                Int.random(in: 1...4, using: &generator))
            let parts = ids.map { part(GroupID($0)) }
            try log.append(parts)
            if chance(1, in: 2) { try log.sync() }
            if chance(1, in: 40) { log = try Fixture.open(device).log }
        }
        try log.sync()
        try log.seal()
    }
}
