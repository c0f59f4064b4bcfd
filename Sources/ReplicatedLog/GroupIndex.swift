import Primitives

/// Where an entry's record stands: 12 bytes for each entry in the log.
struct EntryLocation: Hashable, Sendable {
    var segment: UInt32
    /// Byte offset in the segment of the record's first byte. Segments end below 4 GiB
    /// (`LogLimits`).
    var offset: UInt32
    /// Length of the record, without what sectors add.
    var length: UInt32

    /// Of an entry whose content is lost. Segments are numbered from 1.
    static let damaged = EntryLocation(segment: 0, offset: 0, length: 0)
    var isDamaged: Bool { segment == 0 }
}

/// An entry's record, as far as the index needs it.
struct EntryPlace: Hashable, Sendable {
    var index: LogIndex
    var term: Term
    var isConfiguration: Bool
    var location: EntryLocation
}

/// What a record changes in the index of its group.
enum IndexChange: Hashable, Sendable {
    case reset
    case start(LogStart, lastIndex: LogIndex, lastTerm: Term)
    case hardState(HardState)
    case replaceFrom(LogIndex)
    case entry(EntryPlace)
    case repaired(EntryPlace)
    case peer(PeerRecord)
    case trusted
    case standing(GroupStanding)
}

/// One group's part of the log, in memory.
///
/// Invariants:
/// 1. `locations[i]` is entry `start.index + 1 + i`. They ascend, but for repaired ones.
/// 2. `runs` ascend strictly in index and term, begin at `start.index + 1`, and are empty exactly
///    when `locations` is.
/// 3. `configurations` ascend and lie in the log; `peers` ascend by replica.
/// 4. `damagedCount` locations are `damaged`; `oldestSegment` is the smallest segment of the
///    others.
/// 5. `start.replacesAll` is `false`: how the start came about does not matter any more.
struct GroupIndex: Sendable {
    private(set) var hardState = HardState()
    private(set) var voteIsUnknown = false
    private(set) var start = LogStart(
        index: .zero, term: .zero, timestamp: .zero, configuration: [], configurationIndex: .zero,
        replacesAll: false)
    private(set) var locations: [EntryLocation] = []
    private(set) var runs: [TermRun] = []
    /// The entries that hold a configuration and can be read.
    private(set) var configurations: [LogIndex] = []
    private(set) var peers: [PeerRecord] = []
    private(set) var peersAreIncomplete = false
    private(set) var distrust: LogDistrust?
    private(set) var damagedCount = 0
    private(set) var oldestSegment: UInt32?
    private var ascends = true

    init() {}

    /// - Parameter isNew: whether it is certain that nothing came before.
    init(isNew: Bool) {
        if !isNew { distrust = .recordsLost }
    }

    var last: LogIndex { start.index + UInt64(locations.count) }
    var lastTerm: Term { runs.last?.term ?? start.term }
    /// Nothing is missing, unknown or distrusted.
    var isIntact: Bool {
        damagedCount == 0 && !voteIsUnknown && !peersAreIncomplete && distrust == nil
    }

    func contains(_ index: LogIndex) -> Bool { index > start.index && index <= last }

    private func position(_ index: LogIndex) -> Int {
        precondition(contains(index), "entry \(index) is outside \(start.index.next)...\(last)")
        return Int(index.rawValue - start.index.rawValue - 1)
    }

    func location(of index: LogIndex) -> EntryLocation { locations[position(index)] }

    /// The term of an entry in `start.index...last`.
    func term(of index: LogIndex) -> Term {
        if index == start.index { return start.term }
        _ = position(index)
        return runs[runs.position(of: index)].term
    }

    var damaged: [ClosedRange<LogIndex>] {
        guard damagedCount > 0 else { return [] }
        var ranges: [ClosedRange<LogIndex>] = []
        for (offset, location) in locations.enumerated() where location.isDamaged {
            let index = start.index + UInt64(offset) + 1
            if let range = ranges.last, range.upperBound.next == index {
                ranges[ranges.count - 1] = range.lowerBound...index
            } else {
                ranges.append(index...index)
            }
        }
        return ranges
    }

    var standing: GroupStanding {
        GroupStanding(
            hardState: hardState, voteIsUnknown: voteIsUnknown, start: start, last: last,
            runs: runs, damaged: damaged, peers: peers, peersAreIncomplete: peersAreIncomplete,
            distrust: distrust)
    }

    /// A group as a checkpoint states it, with the records of its entries as far as they have been
    /// met: the others are damaged. Entries are known by index and term (Log Matching, thesis
    /// §3.5), so it does not matter what became of them in between.
    init(_ standing: GroupStanding, entries: inout EntryCatalogue) {
        hardState = standing.hardState
        voteIsUnknown = standing.voteIsUnknown
        start = standing.start
        runs = standing.runs
        peers = standing.peers
        peersAreIncomplete = standing.peersAreIncomplete
        distrust = standing.distrust
        let count = Int(standing.last.rawValue - start.index.rawValue)
        locations = Array(repeating: .damaged, count: count)
        for entry in entries.sorted() where contains(entry.index) {
            guard term(of: entry.index) == entry.term else { continue }
            locations[position(entry.index)] = entry.location
            if entry.isConfiguration { note(configuration: entry.index) }
        }
        ascends = false
        recount()
    }

    /// Applies a change that a record states. `false`, and nothing changed, when the change cannot
    /// follow what came before it.
    mutating func apply(_ change: IndexChange) -> Bool {
        switch change {
        case .reset:
            self = GroupIndex()
        case .hardState(let state):
            guard state.term >= hardState.term else { return false }
            // Who does not know the vote of a term cannot restate it.
            if state.term > hardState.term { voteIsUnknown = false }
            hardState = state
        case .replaceFrom(let index):
            guard index > start.index, index <= last.next else { return false }
            removeSuffix(from: index)
        case .entry(let place):
            guard place.index == last.next, place.term >= lastTerm else { return false }
            append(place)
        case .repaired(let place):
            guard contains(place.index), term(of: place.index) == place.term else { return false }
            replace(place)
        case .start(let new, let lastIndex, let lastTerm):
            return begin(new, lastIndex: lastIndex, lastTerm: lastTerm)
        case .peer(let peer):
            note(peer)
        case .trusted:
            distrust = nil
            peersAreIncomplete = false
        case .standing(var stated):
            // What a reader found damaged since is not what a record says.
            stated.damaged = damaged
            return stated == standing
        }
        return true
    }

    /// The content of an entry is lost.
    mutating func noteDamage(_ index: LogIndex) {
        guard !location(of: index).isDamaged else { return }
        locations[position(index)] = .damaged
        configurations.removeAll { $0 == index }
        ascends = false
        recount()
    }

    /// Takes a state that stands alone: what was known before may be from another life.
    mutating func restate(_ state: HardState) {
        if state.term != hardState.term { voteIsUnknown = false }
        hardState = state
    }

    /// Begins behind an entry, whatever was known before.
    mutating func restart(at new: LogStart) {
        start = new
        start.replacesAll = false
        locations.removeAll()
        runs.removeAll()
        configurations.removeAll()
        recount()
    }

    mutating func noteUnknownVote() { voteIsUnknown = true }
    mutating func noteLostPeer() { peersAreIncomplete = true }
    mutating func noteDistrust(_ reason: LogDistrust) { distrust = distrust ?? reason }

    // MARK: - Parts

    private mutating func append(_ place: EntryPlace) {
        if place.term != runs.last?.term {
            runs.append(TermRun(firstIndex: place.index, term: place.term))
        }
        locations.append(place.location)
        if place.isConfiguration, !place.location.isDamaged { configurations.append(place.index) }
        if place.location.isDamaged {
            damagedCount += 1
            ascends = false
        } else {
            oldestSegment = min(oldestSegment ?? .max, place.location.segment)
        }
    }

    private mutating func replace(_ place: EntryPlace) {
        locations[position(place.index)] = place.location
        if place.isConfiguration { note(configuration: place.index) }
        ascends = false
        recount()
    }

    private mutating func note(configuration index: LogIndex) {
        let next = configurations.firstIndex { $0 >= index } ?? configurations.endIndex
        if next < configurations.endIndex, configurations[next] == index { return }
        configurations.insert(index, at: next)
    }

    private mutating func note(_ peer: PeerRecord) {
        let next = peers.firstIndex { $0.replica >= peer.replica } ?? peers.endIndex
        if next < peers.endIndex, peers[next].replica == peer.replica {
            peers[next] = peer
        } else {
            peers.insert(peer, at: next)
        }
    }

    private mutating func begin(_ new: LogStart, lastIndex: LogIndex, lastTerm: Term) -> Bool {
        guard new.index >= start.index else { return false }
        if new.replacesAll {
            guard lastIndex == new.index, lastTerm == new.term else { return false }
            locations.removeAll()
            runs.removeAll()
        } else {
            guard lastIndex == last, lastTerm == self.lastTerm, new.index <= last,
                term(of: new.index) == new.term
            else { return false }
            removePrefix(through: new.index)
        }
        start = new
        start.replacesAll = false
        let last = last
        configurations.removeAll { $0 <= new.index || $0 > last }
        recount()
        return true
    }

    private mutating func removeSuffix(from index: LogIndex) {
        locations.removeLast(Int(last.next.rawValue - index.rawValue))
        while let run = runs.last, run.firstIndex >= index { runs.removeLast() }
        while let configuration = configurations.last, configuration >= index {
            configurations.removeLast()
        }
        recount()
    }

    private mutating func removePrefix(through index: LogIndex) {
        let removed = Int(index.rawValue - start.index.rawValue)
        if removed == 0 { return }
        if removed < locations.count {
            runs.removeFirst(runs.position(of: index.next))
            runs[0].firstIndex = index.next
        } else {
            runs.removeAll()
        }
        locations.removeFirst(removed)
    }

    /// Invariant 4 again. Only a log that has been repaired is searched.
    private mutating func recount() {
        if locations.isEmpty { ascends = true }
        if ascends {
            damagedCount = 0
            oldestSegment = locations.first?.segment
            return
        }
        damagedCount = locations.count { $0.isDamaged }
        oldestSegment = locations.lazy.filter { !$0.isDamaged }.map(\.segment).min()
        ascends = damagedCount == 0 && !zip(locations, locations.dropFirst()).contains { $0 >= $1 }
    }
}

extension EntryLocation: Comparable {
    static func < (a: Self, b: Self) -> Bool { (a.segment, a.offset) < (b.segment, b.offset) }
}

extension [TermRun] {
    /// Position of the run that holds an index which is not before the first.
    func position(of index: LogIndex) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].firstIndex <= index { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }
}
