/// The limits and timeouts of one Raft group. Ticks are the caller's: the shell calls `ticked()`
/// at a fixed interval, and nothing here knows how long that is. Where entries are counted in bytes,
/// each counts its payload and 32 more, so that empty ones have a limit too.
package struct RaftSettings: Hashable, Sendable {
    /// Ticks without word from a leader after which a follower campaigns; each wait is drawn anew
    /// from `electionTimeoutTicks ..< 2 * electionTimeoutTicks` (thesis §3.4). It is also how long
    /// a leader is believed alive, so that votes are refused (thesis §4.2.3), how often a leader
    /// checks that a quorum still answers (§6.2), and how long a read waits for its answer.
    package var electionTimeoutTicks: Int
    /// Ticks between a leader's heartbeats. Below `electionTimeoutTicks`.
    package var heartbeatTicks: Int
    /// Bytes of the entries in one append message. A single entry above it travels alone.
    package var maxEntryBytesPerAppend: Int
    /// Append messages that a leader sends to one replicating follower ahead of its answers. At the
    /// limit that follower waits until an answer frees a place.
    package var maxInflightAppends: Int
    /// Bytes of the entries in those messages. A message may start while the sum is below the limit, so
    /// that one large entry is never stuck; the overshoot is at most one message.
    package var maxInflightBytes: Int
    /// Payload bytes of one proposed entry, without the 32. A larger one is refused with `entryTooLarge`.
    package var maxEntryBytes: Int
    /// Bytes of a leader's entries that are not yet both committed and durable on its own
    /// disk. A proposal that would exceed it is refused with `uncommittedTailFull`, unless nothing
    /// is waiting.
    package var maxUncommittedBytes: Int
    /// Bytes of entries kept in memory behind the log's end. Older entries go first, never one that is
    /// not both committed and durable; what has gone is fetched from the log when it is needed.
    package var cacheBytesMax: Int
    /// Bytes of one handout of committed entries. A single larger entry goes alone.
    package var maxHandoutBytes: Int
    /// Handouts of committed entries that may wait for `applied(through:)`. At the limit, further
    /// committed entries stay in the log until one comes back.
    package var maxHandoutsInFlight: Int
    /// Linearizable reads that may wait at this replica for their index, its own tokens and batches
    /// forwarded by followers together. Above it a read is refused with `tooManyReads`.
    package var maxPendingReads: Int
    /// Whether the state machine makes snapshots of itself. Where it makes none, entries are the only way
    /// from one replica to another, and the log is kept whole: nothing of its front goes, and the three
    /// settings that follow mean nothing.
    package var makesSnapshots: Bool
    /// Entries behind the state machine's durable state that the log keeps for followers that are
    /// behind. Those further behind get a snapshot.
    package var entriesKept: Int
    /// Entries behind the state machine's durable state that a leader's log keeps at most while
    /// a follower that lives has not acknowledged them, or is about to go on behind a snapshot. One
    /// still further behind gets a snapshot.
    package var entriesKeptForFollowers: Int
    /// Entries that must be removable before the log is truncated, so that it is done seldom.
    package var truncationBatch: Int
    /// Ticks without work after which a leader puts its group to sleep; nil for never.
    package var hibernationTicks: Int?
    /// Reads of a leader without asking a quorum; nil for never.
    package var leaderLease: LeaderLeaseSettings?
    /// Whether starts are registered with the peers (DESIGN, decision 7). Off only for tests of
    /// what stands without it.
    package var registersStarts: Bool

    package init(
        electionTimeoutTicks: Int = 10,
        heartbeatTicks: Int = 1,
        maxEntryBytesPerAppend: Int = 1 << 20,
        maxInflightAppends: Int = 256,
        maxInflightBytes: Int = 32 << 20,
        maxEntryBytes: Int = 24 << 20,
        maxUncommittedBytes: Int = 64 << 20,
        cacheBytesMax: Int = 32 << 20,
        maxHandoutBytes: Int = 4 << 20,
        maxHandoutsInFlight: Int = 4,
        maxPendingReads: Int = 16_384,
        makesSnapshots: Bool = true,
        entriesKept: Int = 10_000,
        entriesKeptForFollowers: Int = 100_000,
        truncationBatch: Int = 1_000,
        hibernationTicks: Int? = nil,
        leaderLease: LeaderLeaseSettings? = nil,
        registersStarts: Bool = true
    ) {
        precondition(
            heartbeatTicks >= 1 && electionTimeoutTicks > heartbeatTicks,
            "heartbeatTicks \(heartbeatTicks), electionTimeoutTicks \(electionTimeoutTicks)")
        precondition(
            maxEntryBytesPerAppend > 0 && maxInflightAppends > 0 && maxInflightBytes > 0
                && maxEntryBytes > 0 && maxUncommittedBytes > 0 && cacheBytesMax >= 0
                && maxHandoutBytes > 0 && maxHandoutsInFlight > 0 && maxPendingReads > 0,
            "every limit is above zero")
        precondition(
            entriesKept >= 0 && entriesKeptForFollowers >= entriesKept && truncationBatch > 0,
            """
            entriesKept \(entriesKept), for followers \(entriesKeptForFollowers), \
            truncationBatch \(truncationBatch)
            """)
        self.electionTimeoutTicks = electionTimeoutTicks
        self.heartbeatTicks = heartbeatTicks
        self.maxEntryBytesPerAppend = maxEntryBytesPerAppend
        self.maxInflightAppends = maxInflightAppends
        self.maxInflightBytes = maxInflightBytes
        self.maxEntryBytes = maxEntryBytes
        self.maxUncommittedBytes = maxUncommittedBytes
        self.cacheBytesMax = cacheBytesMax
        self.maxHandoutBytes = maxHandoutBytes
        self.maxHandoutsInFlight = maxHandoutsInFlight
        self.maxPendingReads = maxPendingReads
        self.makesSnapshots = makesSnapshots
        self.entriesKept = entriesKept
        self.entriesKeptForFollowers = entriesKeptForFollowers
        self.truncationBatch = truncationBatch
        self.hibernationTicks = hibernationTicks
        self.leaderLease = leaderLease
        self.registersStarts = registersStarts
    }
}

/// When a leader may answer linearizable reads from its own word (thesis §6.4.1).
///
/// A voter that has heard a leader refuses votes for `electionTimeoutTicks` of its own ticks. The
/// lease ends earlier than that by the margin below, so it holds as long as no node's clock runs
/// faster or slower than true time by more than `driftMax`, a tick is never shorter than
/// `tickNanoseconds` of its node's clock but for `ticksMargin` of them in a burst.
package struct LeaderLeaseSettings: Hashable, Sendable {
    /// Nanoseconds of one tick.
    package var tickNanoseconds: UInt64
    /// Bound on the drift of any clock, in parts per million.
    package var driftMaxPPM: UInt64
    /// Ticks by which a voter's count may run ahead of its clock.
    package var ticksMargin: Int

    package init(tickNanoseconds: UInt64, driftMaxPPM: UInt64 = 10_000, ticksMargin: Int = 4) {
        precondition(
            tickNanoseconds > 0 && driftMaxPPM < 1_000_000 && ticksMargin >= 1,
            "tick \(tickNanoseconds) ns, drift \(driftMaxPPM) ppm, margin \(ticksMargin)")
        self.tickNanoseconds = tickNanoseconds
        self.driftMaxPPM = driftMaxPPM
        self.ticksMargin = ticksMargin
    }
}
