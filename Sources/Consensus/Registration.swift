import Primitives

/// What a replica tells its peers when it starts (DESIGN, decision 7).
package struct Registration: Hashable, Sendable {
    package var incarnation: UInt64
    /// Drawn from the start's seed: tells two starts apart that have the same incarnation, because
    /// the disk that counts them was rolled back.
    package var start: UInt64
    /// The term that its disk has reached.
    package var term: Term
    /// Where its log ends, durably.
    package var lastIndex: LogIndex
    package var lastTerm: Term
    /// It has found itself out, and says so for good.
    package var isQuarantined: Bool

    package init(
        incarnation: UInt64, start: UInt64, term: Term, lastIndex: LogIndex, lastTerm: Term,
        isQuarantined: Bool = false
    ) {
        self.start = start
        self.term = term
        self.isQuarantined = isQuarantined
        self.incarnation = incarnation
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
    }
}

package enum RegistrationVerdict: Hashable, Sendable {
    /// Remembered, durably.
    case registered
    /// The replica had started more often, or had acknowledged more: it has forgotten.
    case quarantined(PeerRecord)
    /// Another start has had this incarnation.
    case startedTwice
}

/// How far a replica may be relied on.
package enum Standing: Hashable, Sendable {
    /// Registers with its peers: grants no vote and does not campaign until a quorum of them, itself
    /// included, has found nothing against it.
    case registering
    case trusted
    /// Its own log cannot say what it has forgotten, or a peer's record proves that it has: it
    /// neither votes, campaigns, acknowledges nor answers, and rejoins under a new `ReplicaID`.
    case quarantined
}
