import Consensus
import Primitives

/// What a run keeps to when it is traced, so that etcd-io/raft's specification, and the lines that its
/// trace validation reads, can say all of it. `docs/formats/trace.md` gives the reason for each.
enum TraceRestriction {
    static let faults = FaultSet([
        .loss, .delay, .reordering, .partition, .oneWay, .partialPartition, .kill, .power, .pause,
        .slowDisk, .skew, .clockJump, .drift,
    ])

    static func restrict(_ settings: RaftSettings) -> RaftSettings {
        var settings = settings
        settings.entriesKept = 1 << 40
        settings.entriesKeptForFollowers = 1 << 40
        settings.hibernationTicks = nil
        settings.leaderLease = nil
        settings.registersStarts = false
        settings.heartbeatTicks = 4
        return settings
    }

    /// Whether the receiver may hear the message; otherwise the network loses it.
    static func admits(_ message: RaftMessage, to receiver: RaftGroup) -> Bool {
        switch message.kind {
        case .appendRequest(let request):
            // The model answers an append that overlaps what is committed by the commit index alone,
            // and takes nothing from it; this replica takes what is new.
            let end = request.previousIndex + UInt64(request.entries.count)
            return message.term < receiver.term || request.previousIndex >= receiver.commitIndex
                || end <= receiver.commitIndex
        case .voteRequest:
            // The model gives a vote that is left to anyone, even where the term's leader is known.
            return message.term != receiver.term || receiver.vote != nil || receiver.leader == nil
        case .preVoteResponse(granted: false), .readIndexRequest, .readIndexResponse, .timeoutNow,
            .registration, .registrationAnswer, .memberRecords, .snapshotNeeded, .snapshotWanted,
            .snapshotOffer, .entriesWanted, .entriesFound:
            // A term is learned from messages of the model only.
            return message.term <= receiver.term
        case .preVoteRequest, .preVoteResponse(granted: true), .voteResponse, .appendResponse,
            .heartbeat, .heartbeatResponse, .commitNotice, .staleTerm:
            return true
        }
    }
}
