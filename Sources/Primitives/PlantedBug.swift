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
        case unknownVoteGivenAgain
        case rolledBackDiskVotes
        // Log and commit
        case commitIgnoresTheTermCheck
        case acknowledgesBeforeTheSync
        case leaderCountsItselfBeforeTheSync
        case staleAcknowledgementCounts
        case conflictNotReplaced
        case shortAppendTruncates
        case commitBeyondTheAppend
        case truncatesAheadOfPersisted
        // Reads
        case readsWithoutAsking
        case readsBeforeTheTermCommits
        case leaseSurvivesTransfer
        case leaseCountsFromTheAnswer
        case sleepingLeaderReadsAlone
        // Membership
        case oneMajorityWhileJoint
        case learnersCount
        case secondChangeAtOnce
        case zoneRuleForgotten
        // Snapshots and repair
        case olderSnapshotInstalled
        case snapshotForgetsConfiguration
        case suffixKeptBehindSnapshot
        case repairTakesAnyTerm
        case damagedEntryAcknowledged
        // Disk
        case tornTailTakenForRot
        case rotTakenForTornTail
        // Many groups
        case lostProposalSentAgainTooEarly

        /// The one that is switched on in this process. Set once, before anything runs.
        nonisolated(unsafe) package static var active: PlantedBug?

        /// What it breaks, in one line.
        package var breaks: String {
            switch self {
            case .voteNotPersisted: "a vote may be forgotten in a crash and given again"
            case .votesTwiceInATerm: "two leaders may be elected in one term"
            case .votesForAShorterLog: "a leader may lack committed entries"
            case .unknownVoteGivenAgain: "a vote lost to rot may be given a second time"
            case .rolledBackDiskVotes:
                "a replica votes though its disk has forgotten what it acknowledged"
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
            case .truncatesAheadOfPersisted:
                "the log forgets what the state machine has not on disk"
            case .readsWithoutAsking: "a deposed leader answers reads"
            case .readsBeforeTheTermCommits: "a new leader answers reads below what is committed"
            case .leaseSurvivesTransfer: "a leader that handed over goes on answering reads"
            case .leaseCountsFromTheAnswer: "a lease outlives the promise that it rests on"
            case .sleepingLeaderReadsAlone: "a sleeping leader answers reads without waking"
            case .oneMajorityWhileJoint: "two majorities that do not meet may decide"
            case .learnersCount: "replicas without a vote commit entries"
            case .secondChangeAtOnce: "majorities of two configurations need not meet"
            case .zoneRuleForgotten: "an entry is committed in one zone only"
            case .olderSnapshotInstalled: "the state machine goes back in time"
            case .snapshotForgetsConfiguration: "a replica counts members that are no longer there"
            case .suffixKeptBehindSnapshot:
                "uncommitted entries stand behind a snapshot that replaces them"
            case .repairTakesAnyTerm: "a damaged entry is replaced by another term's"
            case .damagedEntryAcknowledged: "an entry that cannot be read counts as durable"
            case .tornTailTakenForRot: "a node refuses a log that only lost unsynced writes"
            case .rotTakenForTornTail: "synced entries are dropped in silence"
            case .lostProposalSentAgainTooEarly: "a command is executed twice"
            }
        }
    }

#endif
