/// What a replica durably remembers of another one. Each part is a floor that the other one's disk
/// never falls below again; whoever comes back below any of them has lost what it had promised
/// (DESIGN, decision 7; why these parts: `Consensus`, `Registration`).
package struct PeerRecord: Hashable, Sendable {
    package var replica: ReplicaID
    /// Its starts, counted by itself; `quarantined` for one that must not be heard again.
    package var incarnation: UInt64
    /// The term that it had durably reached: it had voted in it, or acknowledged entries to its
    /// leader.
    package var term: Term
    /// The highest committed entry that it had acknowledged, and that entry's term.
    package var lastIndex: LogIndex
    package var lastTerm: Term

    package init(
        replica: ReplicaID, incarnation: UInt64, term: Term = .zero, lastIndex: LogIndex,
        lastTerm: Term
    ) {
        self.replica = replica
        self.incarnation = incarnation
        self.term = term
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
    }

    /// Above every incarnation that a start can have.
    package static let quarantined = UInt64.max
}
