import Consensus
import MultiRaft
import Primitives

// Lines of messages that leave.
extension GroupTracer {
    mutating func speak(_ message: RaftMessage, _ step: GroupStep, _ server: TracedServer) {
        let replica = step.after.replica
        switch message.kind {
        case .voteRequest, .voteResponse, .appendResponse, .heartbeatResponse, .staleTerm:
            let (kind, said) = translated(message)!
            say(kind.sent, server, replica, said)
        case .appendRequest(let request):
            let end = request.previousIndex + UInt64(request.entries.count)
            let (kind, said) = translated(message)!
            if said.commit != min(server.commit, end)
                || request.previousIndex < server.match[message.to] ?? .zero
            {
                unsaid.append("at \(time) replica \(replica) sends \(said) while \(server.summary)")
            }
            say(kind.sent, server, replica, said)
        case .heartbeat(let heartbeat):
            tellsNoMore(heartbeat.commitIndex, than: server, message)
            if heartbeat.commitIndex > .zero, servers[message.to]?.commit == .zero {
                let news = CommitNews(message, heartbeat.commitIndex)
                firstNews[news, default: []].append(server.match[message.to] ?? .zero)
                say(
                    .sendAppendEntriesRequest, server, replica,
                    emptyAppend(news, at: server.match[message.to] ?? .zero, step.after))
            }
            let (kind, said) = translated(message)!
            say(kind.sent, server, replica, said)
        case .commitNotice(let commitIndex):
            tellsNoMore(commitIndex, than: server, message)
            let news = CommitNews(message, commitIndex)
            notices[news, default: []].append(server.match[message.to] ?? .zero)
            say(
                .sendAppendEntriesRequest, server, replica,
                emptyAppend(news, at: server.match[message.to] ?? .zero, step.after))
        case .preVoteRequest, .preVoteResponse, .readIndexRequest, .readIndexResponse:
            // Not modelled: they change nothing that is.
            break
        case .timeoutNow, .registration, .registrationAnswer, .memberRecords, .snapshotNeeded,
            .snapshotWanted, .snapshotOffer, .entriesWanted, .entriesFound:
            unsaid.append("at \(time) replica \(replica) sends \(message.kind)")
        }
    }

    /// A commit index never goes beyond what its receiver has acknowledged.
    private mutating func tellsNoMore(
        _ commitIndex: LogIndex, than server: TracedServer, _ message: RaftMessage
    ) {
        let most = min(server.commit, server.match[message.to] ?? .zero)
        if commitIndex != most {
            unsaid.append(
                "at \(time) replica \(message.from) tells \(message.to) of \(commitIndex) committed, "
                    + "and by the model \(most)")
        }
    }

    /// Commit news in the model: an append without entries, behind what its receiver has acknowledged.
    func emptyAppend(_ news: CommitNews, at index: LogIndex, _ leader: RaftGroup?) -> TraceMessage {
        var message = TraceMessage(.append, term: news.term, from: news.from, to: news.to)
        message.index = index
        message.logTerm = leader?.term(at: index) ?? .zero
        message.commit = news.commit
        return message
    }

    /// The message as its own line says it; nil where the vocabulary has none.
    func translated(_ message: RaftMessage) -> (TraceMessage.Kind, TraceMessage)? {
        func said(_ kind: TraceMessage.Kind) -> TraceMessage {
            TraceMessage(kind, term: message.term, from: message.from, to: message.to)
        }
        var result: TraceMessage
        switch message.kind {
        case .voteRequest(let request):
            result = said(.vote)
            result.index = request.lastIndex
            result.logTerm = request.lastTerm
        case .voteResponse(let granted):
            result = said(.voteResponse)
            result.isReject = !granted
        case .appendRequest(let request):
            result = said(.append)
            result.entries = UInt64(request.entries.count)
            result.index = request.previousIndex
            result.logTerm = request.previousTerm
            // The receiver would take no more of it: the model's message says no more.
            result.commit = min(request.commitIndex, request.previousIndex + result.entries)
        case .appendResponse(.accepted(let matchIndex)):
            result = said(.appendResponse)
            result.index = matchIndex
        case .appendResponse(.rejected(let previousIndex, let hintIndex, let hintTerm)):
            result = said(.appendResponse)
            result.isReject = true
            result.index = previousIndex
            result.rejectHint = hintIndex
            result.logTerm = hintTerm
        case .staleTerm:
            // The model answers a leader of a lower term with a rejection of the higher one.
            result = said(.appendResponse)
            result.isReject = true
        case .heartbeat(let heartbeat):
            result = said(.heartbeat)
            result.commit = heartbeat.commitIndex
        case .heartbeatResponse: result = said(.heartbeatResponse)
        default: return nil
        }
        return (result.kind, result)
    }
}

extension GroupTracer.CommitNews {
    init(_ message: RaftMessage, _ commit: LogIndex) {
        self.init(from: message.from, to: message.to, term: message.term, commit: commit)
    }
}

extension TraceMessage.Kind {
    var sent: TraceEvent.Name {
        switch self {
        case .vote: .sendRequestVoteRequest
        case .voteResponse: .sendRequestVoteResponse
        case .append, .heartbeat: .sendAppendEntriesRequest
        case .appendResponse, .heartbeatResponse: .sendAppendEntriesResponse
        }
    }

    var received: TraceEvent.Name {
        switch self {
        case .vote: .receiveRequestVoteRequest
        case .voteResponse: .receiveRequestVoteResponse
        case .append, .heartbeat: .receiveAppendEntriesRequest
        case .appendResponse, .heartbeatResponse: .receiveAppendEntriesResponse
        }
    }
}
