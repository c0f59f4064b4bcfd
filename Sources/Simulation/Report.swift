import Primitives

/// What decides a run, wholly: the same options give the same trace digest in any process.
package struct SimulationOptions: Hashable, Sendable {
    package var seed: UInt64
    package var faults: FaultSet
    /// Times that the cluster is hurt and healed.
    package var cycles: Int
    /// The run ends after this many events, and has failed then unless it was to be cut off.
    package var eventsMax: Int
    /// The run ends, without demanding progress, after `eventsMax`.
    package var isCutOff: Bool
    /// Lines of the trace that are kept, the last ones; 0 for none.
    package var traceLines: Int
    /// Deliberate faults of the simulated world itself: the checkers must find them.
    package var sabotage: Sabotage?
    /// The run keeps to what etcd-io/raft's specification models, and `Report.groupTraces` says it.
    package var isTraced: Bool

    package init(
        seed: UInt64, faults: FaultSet = .all, cycles: Int = 3, eventsMax: Int = 2_000_000,
        isCutOff: Bool = false,
        traceLines: Int = 0, sabotage: Sabotage? = nil,
        isTraced: Bool = false
    ) {
        self.seed = seed
        self.faults = faults
        self.cycles = cycles
        self.eventsMax = eventsMax
        self.isCutOff = isCutOff
        self.traceLines = traceLines
        self.sabotage = sabotage
        self.isTraced = isTraced
    }

    var faultsInForce: FaultSet {
        isTraced ? FaultSet(faults.classes.filter(TraceRestriction.faults.contains)) : faults
    }
}

/// Ways in which the world can be made to lie, so that a test sees each checker fail.
package enum Sabotage: String, CaseIterable, Hashable, Sendable {
    /// A state machine does not apply one entry.
    case skippedEntry
    /// A state machine applies another command than the log holds.
    case changedEntry
    /// Messages that wait for the disk leave at once.
    case earlyMessages
    /// A node answers a linearizable read from what it has applied, without asking.
    case staleReads
    /// The log forgets what it had synced, and nobody is told.
    case forgetfulDisk
    /// A client is told that a write was done before it is committed.
    case earlyAnswers
}

/// What a run found.
package struct Report: Sendable {
    package var options: SimulationOptions
    /// Empty when all is well. The first is where it began.
    package var failures: [String] = []
    package var digest: UInt64 = 0
    package var events = 0
    /// Microseconds.
    package var virtualTime: UInt64 = 0
    package var faults: [FaultClass: Int] = [:]
    package var enabledFaults = FaultSet.none
    package var paths: [RarePath: Int] = [:]
    package var operations = OperationCounts()
    /// Verdicts that gave up: neither a success nor a failure.
    package var undecided: [String] = []
    package var trace: [String] = []
    /// Of a traced run, by group.
    package var groupTraces: [GroupTracer] = []

    package var isClean: Bool { failures.isEmpty }
}

package struct OperationCounts: Hashable, Sendable {
    package var invoked = 0
    package var answered = 0
    package var refused = 0
    package var unknown = 0

    package init() {}
}

/// States that only an unlikely course leads to: a list of seeds that reaches them all has tried
/// what stands behind them.
package enum RarePath: String, CaseIterable, Hashable, Sendable {
    case election
    case leaderSteppedDown
    case candidateLost
    case entriesReplaced
    case entriesReplacedInFlight
    case appendRejected
    case staleAppendAcknowledged
    case staleTermTold
    case handoutFromLog
    case entriesFetched
    case readRefused
    case readForwarded
    case tornTailDropped
    case unsyncedWritesKept
    case stateBehindLog
    case snapshotMade
    case snapshotInstalled
    case snapshotDuringJoint
    case snapshotFromFollower
    case snapshotBrokeOff
    case logTruncated
    case jointEntered
    case jointLeft
    case configurationRolledBack
    case learnerAdded
    case learnerPromoted
    case voterDemoted
    case voterRemoved
    case leaderRemoved
    case transferDone
    case transferTimedOut
    case transferLost
    case hibernated
    case woken
    case quarantined
    case removedSeatFound
    case seatReplaced
    case damageFound
    case entryRepaired
    case voteUnknown
    case logUntrusted
    case stateLost
    case diskFull
    case proposalForwarded
    case readByLease
    /// A lease given up before its time, for a transfer.
    case leaseForfeited
    /// What a quorum holds waits for another zone, for an election timeout.
    case zoneRuleUnmet
    case zoneRuleOverridden
    /// An entry is committed that no quorum of full members holds.
    case witnessInQuorum
    /// A preferred voter leads, because the leader before it found it stable.
    case priorityHandover
    /// A deadline wakes a group.
    case deadlineReached
    /// The node is lost that leads groups asleep.
    case sleepersLeaderLost
}
