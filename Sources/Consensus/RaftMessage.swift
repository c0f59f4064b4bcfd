import Primitives

/// What replicas of a group say to each other. A message may be lost, delayed, repeated or
/// overtaken; nothing depends on its arrival but progress.
package struct RaftMessage: Hashable, Sendable {
    package var group: GroupID
    package var from: ReplicaID
    package var to: ReplicaID
    /// The sender's term; in `preVoteRequest` the term that it would campaign in, and so in the
    /// answer that grants it.
    package var term: Term
    package var kind: Kind

    package init(group: GroupID, from: ReplicaID, to: ReplicaID, term: Term, kind: Kind) {
        self.group = group
        self.from = from
        self.to = to
        self.term = term
        self.kind = kind
    }

    package enum Kind: Hashable, Sendable {
        /// Would you vote for me? Changes no state at the receiver (thesis §9.6).
        case preVoteRequest(VoteRequest)
        case preVoteResponse(granted: Bool)
        case voteRequest(VoteRequest)
        case voteResponse(granted: Bool)
        case appendRequest(AppendRequest)
        case appendResponse(AppendResponse)
        case heartbeat(Heartbeat)
        /// - Parameter round: the heartbeat's, returned; zero from a replica whose word does not
        ///   count yet (`Standing.registering`).
        /// - Parameter hibernates: the sender sleeps, as the heartbeat had asked.
        case heartbeatResponse(round: UInt64, hibernates: Bool = false)
        /// The commit index has moved up to here, which is no further than what this follower has
        /// acknowledged. Wants no answer: heartbeats repeat it.
        case commitNotice(commitIndex: LogIndex)
        /// A follower asks its leader for a read index, once for a batch of reads.
        case readIndexRequest(ReadContext)
        case readIndexResponse(ReadContext, ReadIndexResult)
        /// The receiver's term is behind the sender's, which is the message's: the answer to
        /// a deposed leader, which otherwise could not learn why it is not heard.
        case staleTerm
        /// From the leader to the one to which it hands over: campaign at once (thesis §3.10).
        case timeoutNow

        // Of the following, the term orders nothing: they are said and heard in any role.

        /// A replica has started (DESIGN, decision 7). Repeated until a quorum has answered.
        case registration(Registration)
        /// - Parameters: of the registration that it answers.
        case registrationAnswer(incarnation: UInt64, start: UInt64, RegistrationVerdict)
        /// What the leader knows that the group's members have acknowledged, itself included:
        /// everybody remembers it, so that it outlives the leader.
        case memberRecords([PeerRecord])
        /// The leader's log no longer holds what the receiver needs: it wants a snapshot at or
        /// above `minIndex` from one of `sources`, in the order of preference.
        case snapshotNeeded(minIndex: LogIndex, sources: [ReplicaID])
        /// Make me a snapshot at or above `minIndex`.
        case snapshotWanted(minIndex: LogIndex)
        /// The answer to `snapshotWanted`: it can be fetched from the sender.
        case snapshotOffer(SnapshotMetadata)
        /// The sender's log has lost the contents of these entries, of which it knows the terms; any
        /// replica that holds an entry of that index and term has the same (Log Matching).
        case entriesWanted([WantedEntries])
        /// Contents for some of what was asked for.
        case entriesFound([LogEntry])
    }
}

/// RequestVote's arguments (thesis §3.4, §3.6.1): where the candidate's log ends.
package struct VoteRequest: Hashable, Sendable {
    package var lastIndex: LogIndex
    package var lastTerm: Term
    /// The leader has handed over (thesis §3.10): a live leader is no reason to refuse (§4.2.3).
    package var isTransfer: Bool

    package init(lastIndex: LogIndex, lastTerm: Term, isTransfer: Bool = false) {
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
        self.isTransfer = isTransfer
    }
}

/// Entries of one term whose contents are wanted.
package struct WantedEntries: Hashable, Sendable {
    package var first: LogIndex
    package var through: LogIndex
    package var term: Term

    package init(first: LogIndex, through: LogIndex, term: Term) {
        self.first = first
        self.through = through
        self.term = term
    }
}

/// AppendEntries' arguments (thesis §3.5).
package struct AppendRequest: Hashable, Sendable {
    /// The entry before the first one sent, and the term that the leader holds there.
    package var previousIndex: LogIndex
    package var previousTerm: Term
    /// Contiguous from `previousIndex.next`; may be empty.
    package var entries: [LogEntry]
    /// The leader's commit index; it may lie above the entries sent.
    package var commitIndex: LogIndex

    package init(
        previousIndex: LogIndex, previousTerm: Term, entries: [LogEntry], commitIndex: LogIndex
    ) {
        self.previousIndex = previousIndex
        self.previousTerm = previousTerm
        self.entries = entries
        self.commitIndex = commitIndex
    }
}

package enum AppendResponse: Hashable, Sendable {
    /// The sender's log equals the leader's up to here, durably.
    case accepted(matchIndex: LogIndex)
    /// The sender's log does not hold `previousIndex` with the leader's term (`previousIndex` is
    /// the request's). The logs can agree at most up to `hintIndex`, where the sender's log has
    /// `hintTerm`: a whole term is skipped per answer, not one entry (thesis §3.5, last part).
    case rejected(previousIndex: LogIndex, hintIndex: LogIndex, hintTerm: Term)
}

package struct Heartbeat: Hashable, Sendable {
    /// No further than what the receiver has acknowledged: its log may differ beyond.
    package var commitIndex: LogIndex
    /// Counts the leader's read rounds within its term; zero before the first. A term has one
    /// leader in one incarnation, so term and round together never repeat.
    package var round: UInt64
    /// The group has nothing to do: a receiver whose log ends at `commitIndex` in the leader's term
    /// stops counting ticks until it is woken.
    package var hibernates: Bool

    package init(commitIndex: LogIndex, round: UInt64, hibernates: Bool = false) {
        self.commitIndex = commitIndex
        self.round = round
        self.hibernates = hibernates
    }
}

/// Names a follower's batch of reads, uniquely over its restarts.
package struct ReadContext: Hashable, Sendable {
    package var replica: ReplicaID
    package var incarnation: UInt64
    package var sequence: UInt64

    package init(replica: ReplicaID, incarnation: UInt64, sequence: UInt64) {
        self.replica = replica
        self.incarnation = incarnation
        self.sequence = sequence
    }
}

package enum ReadIndexResult: Hashable, Sendable {
    /// Reads of the batch are linearizable once this index is applied.
    case ready(LogIndex)
    case refused(ReadRefusal)
}

/// Why a read got no index. The reader may ask again.
package enum ReadRefusal: Hashable, Sendable {
    /// No answer for an election timeout: no leader, or the leader has lost its quorum.
    case timedOut
    /// The leader stepped down before a quorum confirmed it.
    case leadershipLost
    /// `RaftSettings.maxPendingReads`.
    case tooManyReads
}
