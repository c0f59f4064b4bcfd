/// What a replica durably remembers of another one: how often that had started, and how far its log
/// had been durable. Whoever comes back with less has lost what it acknowledged (DESIGN, decision 7).
package struct PeerRecord: Hashable, Sendable {
    package var replica: ReplicaID
    package var incarnation: UInt64
    package var lastIndex: LogIndex
    package var lastTerm: Term

    package init(
        replica: ReplicaID, incarnation: UInt64, lastIndex: LogIndex, lastTerm: Term
    ) {
        self.replica = replica
        self.incarnation = incarnation
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
    }
}
