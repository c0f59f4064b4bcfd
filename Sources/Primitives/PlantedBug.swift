// Built only with the package trait `PlantedBugs`: nothing of this is in what ships.
#if PlantedBugs

    /// Mistakes that can be switched on, one at a time, in a build made for it: the simulator must find
    /// each, or its checkers are worth nothing. Each case stands at exactly one place in the code that
    /// ships, under `#if PlantedBugs`.
    package enum PlantedBug: String, CaseIterable, Sendable {
        // Elections
        case voteNotPersisted
        case votesTwiceInATerm
        case votesForAShorterLog
        case asksForVotesBeforeItsOwn
        case witnessCampaigns
        // Starts
        case rolledBackDiskVotes
        case startsUnregistered
        case untrustedLogVotes
        // Log and commit
        case commitIgnoresTheTermCheck
        case acknowledgesBeforeTheSync
        case leaderCountsItselfBeforeTheSync
        case staleAcknowledgementCounts
        case conflictNotReplaced
        case shortAppendTruncates
        case commitBeyondTheAppend
        case heartbeatTellsTooMuch
        case handsOutBeforeItIsDurable
        case truncatesAheadOfPersisted
        // Reads
        case readsWithoutAsking
        case readsBeforeTheTermCommits
        case readsBeforeTheyAreApplied
        case leaseSurvivesTransfer
        // Membership
        case oneMajorityWhileJoint
        case learnersCount
        case secondChangeAtOnce
        case configurationNotTakenBack
        case zoneRuleForgotten
        case removedLeaderStays
        // Snapshots and repair
        case handsOutBehindASnapshot
        case snapshotForgetsConfiguration
        case snapshotAcknowledgedAtOnce
        case damagedEntryAcknowledged
        // Disk
        case tornTailTakenForRot
        case rotTakenForTornTail
        case segmentLeftUnsynced
        case appliedRowWrittenSeldom
        // Many groups
        case lostProposalSentAgainTooEarly
        case forwardTakenTwice
        case wokenGroupNotTicked

        /// The one that is switched on in this process. Set once, before anything runs.
        nonisolated(unsafe) package static var active: PlantedBug?

        /// No replica commits anything wrong by it: only what clients are told can show it, or an
        /// invariant of the replica's own.
        package var isSeenByClientsOnly: Bool {
            switch self {
            case .readsWithoutAsking, .readsBeforeTheTermCommits, .readsBeforeTheyAreApplied,
                .leaseSurvivesTransfer:
                true
            default: false
            }
        }

        /// What it breaks, in one line.
        package var breaks: String {
            switch self {
            case .voteNotPersisted: "a vote may be forgotten in a crash and given again"
            case .votesTwiceInATerm: "two leaders may be elected in one term"
            case .votesForAShorterLog: "a leader may lack committed entries"
            case .asksForVotesBeforeItsOwn:
                "a candidate may forget its campaign and vote for another in its term"
            case .witnessCampaigns: "a leader has no contents to give"
            case .rolledBackDiskVotes:
                "a replica votes though its disk has forgotten what it acknowledged"
            case .startsUnregistered: "a replica campaigns before its peers have judged its disk"
            case .untrustedLogVotes: "a replica votes though its log says that it has forgotten"
            case .commitIgnoresTheTermCheck: "an entry of an earlier term is committed by counting"
            case .acknowledgesBeforeTheSync: "what was acknowledged may be lost with the power"
            case .leaderCountsItselfBeforeTheSync:
                "what the leader counted may be lost with the power"
            case .staleAcknowledgementCounts:
                "a sync of replaced entries counts for their successors"
            case .conflictNotReplaced: "a follower keeps entries that its leader does not have"
            case .shortAppendTruncates: "an old append removes entries acknowledged since"
            case .commitBeyondTheAppend:
                "a follower commits entries that its leader has not checked"
            case .heartbeatTellsTooMuch:
                "a follower is told to commit what it has not acknowledged"
            case .handsOutBeforeItIsDurable: "the state machine gets ahead of its own log"
            case .truncatesAheadOfPersisted:
                "the log forgets what the state machine has not on disk"
            case .readsWithoutAsking: "a deposed leader answers reads"
            case .readsBeforeTheTermCommits: "a new leader answers reads below what is committed"
            case .readsBeforeTheyAreApplied: "a read is answered before its index is applied"
            case .leaseSurvivesTransfer: "a leader that handed over goes on answering reads"
            case .oneMajorityWhileJoint: "two majorities that do not meet may decide"
            case .learnersCount: "replicas without a vote commit entries"
            case .secondChangeAtOnce: "majorities of two configurations need not meet"
            case .configurationNotTakenBack:
                "a configuration stays in force whose entry was replaced"
            case .zoneRuleForgotten: "an entry is committed in too few zones"
            case .removedLeaderStays: "a leader goes on leading a group that it has left"
            case .handsOutBehindASnapshot: "the state machine goes back in time"
            case .snapshotForgetsConfiguration: "a replica counts members that are no longer there"
            case .snapshotAcknowledgedAtOnce:
                "a snapshot counts that is not installed and may never be"
            case .damagedEntryAcknowledged: "an entry that cannot be read counts as durable"
            case .tornTailTakenForRot: "a node distrusts a log that only lost unsynced writes"
            case .rotTakenForTornTail: "synced entries are dropped in silence"
            case .segmentLeftUnsynced: "the log goes on in a segment that nothing leads to"
            case .appliedRowWrittenSeldom: "entries are applied a second time after a crash"
            case .lostProposalSentAgainTooEarly: "a command is executed twice"
            case .forwardTakenTwice: "a repeated message executes a command twice"
            case .wokenGroupNotTicked: "a group that has slept elects nobody any more"
            }
        }
    }

#endif
