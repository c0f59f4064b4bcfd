import Primitives

// Starts are registered with the peers, so that a replica that comes back behind what it
// acknowledged is found out (DESIGN, decision 7).
extension RaftGroup {
    mutating func receivedRegistration(_ registration: Registration, from peer: ReplicaID) {}

    mutating func receivedVerdict(
        _ verdict: RegistrationVerdict, on incarnation: UInt64, start: UInt64, from peer: ReplicaID
    ) {}

    mutating func receivedRecords(_ records: [PeerRecord]) {}

    package var standing: Standing { .trusted }
}
