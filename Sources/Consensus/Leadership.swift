import Primitives

/// What is true only while a replica leads.
struct Leadership: Sendable {
    /// The empty entry that opened the term. Once it is committed, the commit index is that of the
    /// whole group (thesis §6.4, step 1).
    let openingIndex: LogIndex
    /// All other members, and for a while whoever was one; ascending.
    var progress: [Progress] = []
    var heartbeatElapsed = 0
    var quorumElapsed = 0
    /// The commit index when the quorum was last checked.
    var commitIndexAtCheck = LogIndex.zero
    var lease = LeaderLease()
    /// Ticks without anything to do.
    var idleTicks = 0
    var lastIndexAtTick = LogIndex.zero
    /// As told with the latest tick.
    var lostNodes: [NodeID] = []
    /// What members were last told of each other, and how often they will be told again.
    var recordsTold: [PeerRecord] = []
    var recordRepeats = 0

    /// Accounted bytes of the entries above `tailFloor`, as far as they were ever in memory.
    var tailBytes = 0
    /// Up to here entries are committed, and durable on the leader's own disk.
    var tailFloor: LogIndex

    /// What a quorum holds, and the zone rule holds back.
    var zoneWait: ZoneWait?

    /// The latest read round that heartbeats carry, and the latest that a quorum has confirmed.
    var round: UInt64 = 0
    var confirmedRound: UInt64 = 0
    /// Wait for the term's first commit.
    var heldReads: [ReadOrigin] = []
    /// Wait for their round, ascending.
    var pendingReads = Queue<PendingRead>()

    struct ZoneWait: Hashable, Sendable {
        /// At a quorum when the wait began; it is over once this is committed.
        let index: LogIndex
        var ticks = 0
    }

    init(openingIndex: LogIndex, tailFloor: LogIndex) {
        self.openingIndex = openingIndex
        self.tailFloor = tailFloor
    }

    func position(of replica: ReplicaID) -> Int? {
        progress.firstIndex { $0.replica == replica }
    }

    var readCount: Int { heldReads.count + pendingReads.count }
}

/// Who wants to know a read index.
enum ReadOrigin: Hashable, Sendable {
    case token(UInt64)
    case follower(ReadContext)
}

struct PendingRead: Sendable {
    let origin: ReadOrigin
    let index: LogIndex
    /// Confirmation of this heartbeat round, or of a later one, proves that the leader was still
    /// one after the read had come.
    let round: UInt64
}

/// Reads of a replica that does not lead, on their way to the leader.
struct ForwardedReads: Sendable {
    /// Wait until the batch before them is answered, or a leader is known; ascending by deadline.
    var waiting = Queue<Read>()
    var outstanding: Batch?
    var nextSequence: UInt64 = 0

    struct Read: Sendable {
        let token: UInt64
        /// In ticks since the start.
        let deadline: UInt64
    }

    struct Batch: Sendable {
        let context: ReadContext
        /// All of them came before the context was first sent.
        var reads: Queue<Read>
        var ticksSinceSent = 0
    }

    var count: Int { waiting.count + (outstanding?.reads.count ?? 0) }
}

extension Queue<ForwardedReads.Read> {
    /// Removes those that have waited long enough.
    mutating func expired(at ticks: UInt64) -> [ForwardedReads.Read] {
        var late: [ForwardedReads.Read] = []
        while let oldest = first, oldest.deadline <= ticks {
            late.append(oldest)
            popFirst()
        }
        return late
    }
}
