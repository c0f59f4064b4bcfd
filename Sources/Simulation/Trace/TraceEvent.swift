import Consensus
import Primitives

/// One line of a group's trace, in the vocabulary of etcd-io/raft's `state_trace.go`; the format is
/// `docs/formats/trace.md`.
struct TraceEvent {
    enum Name: String, CaseIterable {
        case initState = "InitState"
        case becomeCandidate = "BecomeCandidate"
        case becomeFollower = "BecomeFollower"
        case becomeLeader = "BecomeLeader"
        case commit = "Commit"
        case replicate = "Replicate"
        case ready = "Ready"
        case sendAppendEntriesRequest = "SendAppendEntriesRequest"
        case receiveAppendEntriesRequest = "ReceiveAppendEntriesRequest"
        case sendAppendEntriesResponse = "SendAppendEntriesResponse"
        case receiveAppendEntriesResponse = "ReceiveAppendEntriesResponse"
        case sendRequestVoteRequest = "SendRequestVoteRequest"
        case receiveRequestVoteRequest = "ReceiveRequestVoteRequest"
        case sendRequestVoteResponse = "SendRequestVoteResponse"
        case receiveRequestVoteResponse = "ReceiveRequestVoteResponse"
    }

    var name: Name
    var server: ReplicaID
    /// How the server stands: before the event where it receives something, else after it.
    var state: TracedServer
    var message: TraceMessage?
    var voters: [ReplicaID]
    /// Microseconds of virtual time.
    var time: UInt64

    var line: String {
        JSONText.object { json in
            json.field("tag", "trace")
            json.field("ts", time)
            json.field("event") { json in
                json.field("name", name.rawValue)
                json.field("nid", server.traceName)
                json.field("state") { json in
                    json.field("term", state.term.rawValue)
                    json.field("vote", state.vote?.traceName ?? "0")
                    json.field("commit", state.commit.rawValue)
                }
                json.field("role", state.role.rawValue)
                json.field("log", state.log.rawValue)
                json.field("conf", lists: [voters.map(\.traceName), []])
                if let message { json.field("msg") { message.write(to: &$0) } }
            }
        }
    }
}

/// What a line says of the message that is sent or received.
struct TraceMessage {
    enum Kind: String, CaseIterable {
        case vote = "MsgVote"
        case voteResponse = "MsgVoteResp"
        case append = "MsgApp"
        case appendResponse = "MsgAppResp"
        case heartbeat = "MsgHeartbeat"
        case heartbeatResponse = "MsgHeartbeatResp"
    }

    var kind: Kind
    var term: Term
    var from: ReplicaID
    var to: ReplicaID
    var entries: UInt64 = 0
    var logTerm = Term.zero
    var index = LogIndex.zero
    var commit = LogIndex.zero
    var isReject = false
    var rejectHint = LogIndex.zero

    init(_ kind: Kind, term: Term, from: ReplicaID, to: ReplicaID) {
        self.kind = kind
        self.term = term
        self.from = from
        self.to = to
    }

    fileprivate func write(to json: inout JSONText) {
        json.field("type", kind.rawValue)
        json.field("term", term.rawValue)
        json.field("from", from.traceName)
        json.field("to", to.traceName)
        json.field("entries", entries)
        json.field("logTerm", logTerm.rawValue)
        json.field("index", index.rawValue)
        json.field("commit", commit.rawValue)
        json.field("vote", "0")
        json.field("reject", isReject)
        json.field("rejectHint", rejectHint.rawValue)
    }
}

extension ReplicaID {
    fileprivate var traceName: String { String(rawValue) }
}
