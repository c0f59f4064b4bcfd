import Primitives

/// What a leader knows of one other replica (etcd-io/raft `tracker`, thesis §10.2.1).
struct Progress: Sendable {
    let replica: ReplicaID
    /// The replica's log durably equals the leader's up to here.
    var matchIndex = LogIndex.zero
    /// The next entry to send. Behind a probe it is a guess, in `replicate` it runs ahead of the
    /// answers.
    var nextIndex: LogIndex
    var flow = Flow.probe(paused: false)
    /// Empty unless replicating.
    var inflight = Inflight()
    /// Heard from since the leader's last check of its quorum.
    var isActive = false
    /// The tick at which it was last heard in this term.
    var heardAt: UInt64?
    /// Checks of the quorum in a row that found it alive and in step.
    var stableChecks = 0
    /// It has said that it sleeps, and nothing since.
    var isAsleep = false
    /// The latest read round that it has confirmed.
    var ackedRound: UInt64 = 0
    /// The highest commit index that it has been told.
    var sentCommitIndex = LogIndex.zero
    /// Gets no commands, only where they stand.
    let isWitness: Bool
    /// Set for a replica that is no member any more.
    var leaving: Leaving?
    /// The fetch that must be answered before more entries can go out.
    var fetch: UInt64?

    enum Flow: Hashable, Sendable {
        /// Where the logs agree is unknown: one append, then a pause until it is answered or the
        /// replica shows life.
        case probe(paused: Bool)
        /// They agree up to `matchIndex`; appends are sent ahead of their answers.
        case replicate
        /// What it needs next has gone from the leader's log. Until it acknowledges `minIndex` or
        /// more it gets heartbeats, and is told again and again that a snapshot is needed.
        ///
        /// - Parameter toldAt: in the leader's ticks.
        case snapshot(minIndex: LogIndex, toldAt: UInt64)
    }

    /// The last entry before those that it needs of the leader's log.
    var neededIndex: LogIndex {
        if case .snapshot(let minIndex, _) = flow { return minIndex }
        return matchIndex
    }

    struct Leaving: Hashable, Sendable {
        /// The configuration entry that no longer names it.
        let since: LogIndex
        /// Passed since that entry was committed.
        var ticks = 0
    }

    init(replica: ReplicaID, nextIndex: LogIndex, isWitness: Bool = false) {
        self.isWitness = isWitness
        self.replica = replica
        self.nextIndex = nextIndex
    }

    mutating func becomeProbe() {
        flow = .probe(paused: false)
        nextIndex = matchIndex.next
        inflight.removeAll()
        fetch = nil
    }

    mutating func becomeReplicate() {
        flow = .replicate
        nextIndex = matchIndex.next
        inflight.removeAll()
        fetch = nil
    }

    mutating func becomeSnapshot(minIndex: LogIndex, toldAt: UInt64) {
        flow = .snapshot(minIndex: minIndex, toldAt: toldAt)
        nextIndex = max(matchIndex, minIndex).next
        inflight.removeAll()
        fetch = nil
    }

    /// - Returns: false for an answer that was overtaken by a later one.
    mutating func accepted(through index: LogIndex) -> Bool {
        if case .snapshot(let minIndex, _) = flow, index < minIndex {
            matchIndex = max(matchIndex, index)
            return false
        }
        let isProbing = flow != .replicate
        guard index > matchIndex || (isProbing && index == matchIndex) else { return false }
        matchIndex = index
        if isProbing {
            becomeReplicate()
        } else {
            nextIndex = max(nextIndex, index.next)
            inflight.free(through: index)
        }
        return true
    }

    /// - Parameter agreement: where the logs can agree at most.
    /// - Returns: false for an answer that was overtaken by a later one.
    mutating func rejected(previousIndex: LogIndex, agreement: LogIndex) -> Bool {
        switch flow {
        case .replicate:
            // An append was lost or overtaken; what is acknowledged stands.
            guard previousIndex > matchIndex else { return false }
            becomeProbe()
            return true
        case .probe:
            guard previousIndex.next == nextIndex else { return false }
            nextIndex = max(matchIndex.next, min(previousIndex, agreement.next))
            flow = .probe(paused: false)
            return true
        case .snapshot: return false
        }
    }
}

/// The appends sent to one follower and not answered: the window of its flow control.
struct Inflight: Sendable {
    private var appends = Queue<Sent>()
    private(set) var bytes = 0

    private struct Sent: Sendable {
        var lastIndex: LogIndex
        var bytes: Int
    }

    var count: Int { appends.count }

    var bytesBeforeLast: Int { bytes - (appends.last?.bytes ?? 0) }

    func isFull(_ settings: RaftSettings) -> Bool {
        count >= settings.maxInflightAppends || bytes >= settings.maxInflightBytes
    }

    mutating func add(lastIndex: LogIndex, bytes added: Int) {
        appends.append(Sent(lastIndex: lastIndex, bytes: added))
        bytes += added
    }

    mutating func free(through index: LogIndex) {
        while let oldest = appends.first, oldest.lastIndex <= index {
            bytes -= oldest.bytes
            appends.popFirst()
        }
    }

    mutating func removeAll() {
        appends.removeAll()
        bytes = 0
    }
}
