import Primitives

/// What a replica tells its peers when it starts (DESIGN, decision 7).
package struct Registration: Hashable, Sendable {
    package var incarnation: UInt64
    /// Where its log ends, durably.
    package var lastIndex: LogIndex
    package var lastTerm: Term

    package init(incarnation: UInt64, lastIndex: LogIndex, lastTerm: Term) {
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
