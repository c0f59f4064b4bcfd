/// What a replica durably remembers of another one. Each part is a floor that the other one's disk
/// never falls below again; whoever comes back below any of them has lost what it had promised
/// (DESIGN, decision 7; why these parts: `Consensus`, `Registration`).
package struct PeerRecord: Hashable, Sendable {
    package var replica: ReplicaID
    /// Its starts, counted by itself; `quarantined` for one that must not be heard again.
    package var incarnation: UInt64
    /// Which start it was that had this incarnation, as that drew it by chance: another one of the
    /// same incarnation runs on a disk that was rolled back. Zero when only the count is known.
    package var start: UInt64
    /// The term that it had durably reached: it had voted in it, or acknowledged entries to its
    /// leader.
    package var term: Term
    /// The highest committed entry that it had acknowledged, and that entry's term.
    package var lastIndex: LogIndex
    package var lastTerm: Term

    package init(
        replica: ReplicaID, incarnation: UInt64, start: UInt64 = 0, term: Term = .zero,
        lastIndex: LogIndex, lastTerm: Term
    ) {
        self.replica = replica
        self.incarnation = incarnation
        self.start = start
        self.term = term
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
    }

    /// Above every incarnation that a start can have.
    package static let quarantined = UInt64.max
}
