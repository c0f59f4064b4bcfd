/// What a replica durably remembers of another one of its group: how far it had come in which
/// incarnation. One that comes back behind this has forgotten what it acknowledged.
package struct PeerRecord: Hashable, Sendable {
    package var replica: ReplicaID
    package var incarnation: UInt64
    package var lastIndex: LogIndex
    package var lastTerm: Term

    package init(replica: ReplicaID, incarnation: UInt64, lastIndex: LogIndex, lastTerm: Term) {
        self.replica = replica
        self.incarnation = incarnation
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
    }
}
