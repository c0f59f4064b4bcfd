import Consensus
import Primitives

/// What the log on a disk holds durably of one replica, kept by the simulator apart from the log:
/// works count from their sync on.
struct Ledger: Hashable {
    var hardState = HardState()
    /// The last entry that is gone at the front.
    private(set) var base = LogIndex.zero
    private(set) var baseTerm = Term.zero
    /// Terms of the entries behind `base`.
    private var terms: [Term] = []
    private(set) var peers: [PeerRecord] = []
    /// Entries whose contents are lost. Ascending, apart.
    var damaged: [ClosedRange<LogIndex>] = []

    init() {}

    /// As recovered from a disk.
    init(
        hardState: HardState, base: LogIndex, baseTerm: Term, terms: [Term],
        peers: [PeerRecord] = [], damaged: [ClosedRange<LogIndex>] = []
    ) {
        self.hardState = hardState
        self.base = base
        self.baseTerm = baseTerm
        self.terms = terms
        self.peers = peers
        self.damaged = damaged
    }

    var lastIndex: LogIndex { base + UInt64(terms.count) }
    var lastTerm: Term { terms.last ?? baseTerm }

    func term(at index: LogIndex) -> Term? {
        guard index >= base, index <= lastIndex else { return nil }
        return index == base ? baseTerm : terms[Int(index.rawValue - base.rawValue) - 1]
    }

    /// Whether the replica can give the entry, or a state that contains it.
    func holds(_ index: LogIndex, _ term: Term) -> Bool {
        if index <= base { return true }
        return self.term(at: index) == term && !damaged.contains { $0.contains(index) }
    }

    mutating func apply(_ work: AppendWork) {
        if let start = work.start {
            if start.replacesAll || start.index >= lastIndex {
                terms = []
                damaged = []
            } else if start.index > base {
                terms.removeFirst(Int(start.index.rawValue - base.rawValue))
                damaged = damaged.compactMap { range in
                    guard range.upperBound > start.index else { return nil }
                    return max(range.lowerBound, start.index.next)...range.upperBound
                }
            }
            if start.replacesAll || start.index > base {
                base = start.index
                baseTerm = start.term
            }
        }
        if let state = work.hardState { hardState = state }
        if let from = work.replacedFrom, from <= lastIndex {
            terms.removeLast(Int(lastIndex.rawValue - from.rawValue) + 1)
            damaged = damaged.compactMap { range in
                guard range.lowerBound < from else { return nil }
                return range.lowerBound...min(range.upperBound, from.previous)
            }
        }
        for entry in work.entries { terms.append(entry.term) }
        for entry in work.repaired { mend(entry.index) }
        for peer in work.peers {
            peers.removeAll { $0.replica == peer.replica }
            peers.append(peer)
        }
    }

    private mutating func mend(_ index: LogIndex) {
        var rest: [ClosedRange<LogIndex>] = []
        for range in damaged {
            guard range.contains(index) else {
                rest.append(range)
                continue
            }
            if range.lowerBound < index { rest.append(range.lowerBound...index.previous) }
            if index < range.upperBound { rest.append(index.next...range.upperBound) }
        }
        damaged = rest
    }
}

extension Ledger {
    /// Whether a log that came back is this one: the commit index is a hint, and records of peers
    /// are compared apart.
    func resembles(_ found: Ledger) -> Bool {
        hardState.term == found.hardState.term && hardState.vote == found.hardState.vote
            && lastIndex == found.lastIndex && lastTerm == found.lastTerm && base == found.base
            && sameTerms(found)
    }

    private func sameTerms(_ found: Ledger) -> Bool {
        var index = max(base, found.base)
        while index <= lastIndex {
            if term(at: index) != found.term(at: index) { return false }
            index = index.next
        }
        return true
    }
}
