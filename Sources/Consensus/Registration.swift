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
    /// The last of the committed entries as of which it has been told that it is no member.
    package var absence: CommittedPlace?

    package init(
        incarnation: UInt64, start: UInt64, term: Term, lastIndex: LogIndex, lastTerm: Term,
        isQuarantined: Bool = false, absence: CommittedPlace? = nil
    ) {
        self.absence = absence
        self.start = start
        self.term = term
        self.isQuarantined = isQuarantined
        self.incarnation = incarnation
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
    }
}

/// A committed entry: all of them lie on one line, so that the index orders them.
package struct CommittedPlace: Hashable, Sendable {
    package var index: LogIndex
    package var term: Term

    package init(index: LogIndex, term: Term) {
        self.index = index
        self.term = term
    }
}

package enum RegistrationVerdict: Hashable, Sendable {
    /// Remembered, durably: the replica is a member by this one's log.
    ///
    /// - Parameter behind: the registration's `absence`, when this one's log holds that entry and a
    ///   configuration behind it that names the replica.
    case registered(behind: LogIndex?)
    /// No configuration that this one knows names the replica, up to this committed entry at least.
    /// Nothing is remembered of it.
    case stranger(asOf: CommittedPlace)
    /// The replica had started more often, or had acknowledged more: it has forgotten.
    case quarantined(PeerRecord)
    /// Another start has had this incarnation.
    case startedTwice
    /// Of no registration: none is remembered here, and promises wait for it.
    case forgotten
}

/// How far a replica may be relied on.
package enum Standing: Hashable, Sendable {
    /// Registers with its peers: grants no vote and does not campaign until a quorum of them, itself
    /// included, has found nothing against it, and as long as it may be a member no more.
    case registering
    case trusted
    /// Its own log cannot say what it has forgotten, or a peer's record proves that it has: it
    /// neither votes, campaigns, acknowledges nor answers, and rejoins under a new `ReplicaID`.
    case quarantined
}

// What a replica may forget, and what not.
//
// A record holds four floors, and a replica's disk never falls below any of them again:
//
// - `incarnation`: starts are counted durably before anything is said. A disk that was rolled back
//   counts some of them again; what each start has drawn by chance (`PeerRecord.start`) tells two of
//   one number apart, and is remembered as durably.
// - `term`: it is durable before a vote or an acknowledgement in it leaves, and never falls.
// - `lastIndex`: the highest *committed* entry that the replica had acknowledged. Committed entries
//   are never replaced (Leader Completeness, thesis §3.6.3), and a log that is cut off behind a
//   snapshot still ends at or above it.
// - `lastTerm`: of that entry. Terms rise along a log, so one that holds the entry ends in its term
//   or a later one.
//
// That the entry is committed is essential. What was acknowledged in term 3 and not committed may
// be replaced by a leader of term 4 with entries of term 2 first, and its own after them in another
// message: in between the log is legally both shorter and of an earlier last term. The same freedom
// means that an acknowledgement of what was never committed may be forgotten without harm, but for
// one case: the leader of its term still counts it. So that leader compares a returning follower
// of its own term with all that it had acknowledged to it: in one term a follower only takes the
// leader's entries, and never loses one again (Leader Append-Only, §3.4).
//
// Why registering makes voting safe again: a quorum that elected a leader, or committed an entry,
// with this replica's help, has members that know: the one helped at once, all others that it
// reached within a heartbeat or so (`memberRecords`). A replica that has forgotten is found out if
// one of them answers it, before it votes or acknowledges anything. Since it waits for all voters,
// or for a quorum and an election timeout, it misses only those that are down or cut off.
//
// Why a registering replica takes entries but does not acknowledge them: taking them forgets nothing
// and brings back what is lost. But an acknowledgement in term 5 also says "I have not gone on to
// term 6". If it had, and had forgotten, the leader of term 5 would commit with its help what the
// leader of term 6, elected with its help, does not have. For the same reason it confirms no read.
// And since what it acknowledges is remembered for its incarnation, it acknowledges to, and votes
// for, only those that have registered this start. When one of these has lost records of peers to
// damage, it may remember an earlier start of the replica: held against that, what this one says
// would look as if it had been forgotten. So it asks for the registration before such a promise
// counts (`admitsPromise`).
//
// Whoever is no member is no longer remembered: records would grow for ever. A seat that was removed,
// and whose disk was put back to a time at which it was a member, must not take that for a peer's
// having nothing against it. So who knows no such member says so, and up to which committed entry
// (`stranger`). Among the committed configurations those that name a replica come in one piece, since
// a removed id never returns (DESIGN, decision 2). Hence:
//
// - Who was a member by a committed entry that is not behind this place has been removed: it is
//   quarantined, and its node may give the seat up. What stands at index zero does not count: it may
//   be a joiner's address book.
// - Who finds no configuration that names it, behind that place and in a log that holds it, may have
//   been removed, or not be added yet: it goes on registering. Its own log may hold one, or that of
//   any peer that answers, whether committed or not: every log that holds the place at or behind the
//   removal has none (Log Matching, §3.5, and Leader Completeness). A term would not do instead of
//   the place: an entry of term 2 that was committed in term 5 is not in every log of term 3.
// - Once it is named, the word of a stranger counts as that of a peer who has nothing against it: it
//   is behind the configuration that names the replica. So a new seat whose configuration is not
//   committed can give the vote that commits it, though others have not heard of it.
//
// A replica keeps the last such place only, and a stranger nothing.
//
// Caught, as long as one that remembers is reachable at the start, and for good afterwards:
// - any return to before the latest registered start (its incarnation is used up);
// - any return to before a committed entry that it had acknowledged, or a term that it had voted or
//   acknowledged in, remembered by the leader or candidate, and a heartbeat later by everybody;
// - two starts from one image, also over restarts of those that remember the first.
// Not caught:
// - what was acknowledged in the last heartbeat interval before its only witness, the leader, was
//   lost for good or is cut off;
// - with a quorum of the replicas rolled back at once, what only they knew;
// - a vote for a candidate that is down when the forgetful voter returns and that told nobody;
// - records are written along with other writes, once in a heartbeat interval at most: what peers
//   had not written when all of them lost power together.

extension Registration {
    func isBehind(_ record: PeerRecord) -> Bool {
        term < record.term || lastIndex < record.lastIndex || lastTerm < record.lastTerm
    }
}

extension PeerRecord {
    init(unknown replica: ReplicaID) {
        self.init(replica: replica, incarnation: 0, lastIndex: .zero, lastTerm: .zero)
    }

    mutating func raise(to floor: PeerRecord) {
        if floor.incarnation > incarnation {
            incarnation = floor.incarnation
            start = floor.start
        } else if floor.incarnation == incarnation && start == 0 {
            start = floor.start
        }
        term = max(term, floor.term)
        lastIndex = max(lastIndex, floor.lastIndex)
        lastTerm = max(lastTerm, floor.lastTerm)
    }
}
