import Consensus
import MultiRaft
import Primitives

// Lines of messages that arrive. What a replica passes over without a trace left in the model's
// variables is, in the model, a message that was lost.
extension GroupTracer {
    mutating func hear(_ message: RaftMessage, _ step: GroupStep, _ server: inout TracedServer) {
        switch message.kind {
        case .voteRequest:
            guard let granted = step.voteGiven(to: message.from) else { return }
            receive(message, &server)
            if granted { server.vote = message.from }
        case .voteResponse:
            guard counts(message, for: .candidate, server) else { return }
            receive(message, &server)
        case .appendRequest:
            guard step.answersLeader(message.from) else { return }
            receive(message, &server)
            follow(message, step, &server)
        case .heartbeat(let heartbeat):
            guard step.answersLeader(message.from) else { return }
            let news = CommitNews(message, heartbeat.commitIndex)
            // A heartbeat of the model stands before the first entry, and lifts no commit index from
            // zero; the append that was sent beside it does.
            if server.commit == .zero, message.term >= server.term,
                let index = firstNews.take(news)
            {
                receiveNews(news, at: index, step, &server)
            }
            receive(message, &server)
            follow(message, step, &server)
        case .commitNotice(let commitIndex):
            let isStale = message.term < server.term && step.answersLeader(message.from)
            let isNews =
                message.term > server.term
                || message.term == server.term
                    && (server.role == .candidate || step.after.commitIndex > server.commit)
            guard isStale || isNews else { return }
            let news = CommitNews(message, commitIndex)
            guard let index = notices.take(news) else {
                unsaid.append("at \(time) replica \(message.to) heard \(news), which nobody said")
                return
            }
            receiveNews(news, at: index, step, &server)
        case .appendResponse(let response):
            guard counts(message, for: .leader, server) else { return }
            receive(message, &server)
            if case .accepted(let matchIndex) = response, server.role == .leader {
                server.match[message.from] = max(server.match[message.from] ?? .zero, matchIndex)
            }
        case .heartbeatResponse:
            guard counts(message, for: .leader, server) else { return }
            receive(message, &server)
        case .staleTerm:
            guard message.term > server.term else { return }
            receive(message, &server)
        default: break
        }
    }

    /// An answer is heard by whom it was meant for, or brings a higher term.
    private func counts(
        _ message: RaftMessage, for role: TracedServer.Role, _ server: TracedServer
    ) -> Bool {
        message.term > server.term || message.term == server.term && server.role == role
    }

    private mutating func receive(_ message: RaftMessage, _ server: inout TracedServer) {
        let (kind, said) = translated(message)!
        receive(said, as: kind, &server)
    }

    private mutating func receive(
        _ said: TraceMessage, as kind: TraceMessage.Kind, _ server: inout TracedServer
    ) {
        say(kind.received, server, said.to, said)
        if said.term > server.term {
            server.becomeFollower(of: said.term)
            say(.becomeFollower, server, said.to)
        } else if kind.isOfLeader, said.term == server.term, server.role == .candidate {
            server.becomeFollower(of: said.term)
            say(.becomeFollower, server, said.to)
        }
    }

    private mutating func receiveNews(
        _ news: CommitNews, at index: LogIndex, _ step: GroupStep, _ server: inout TracedServer
    ) {
        // The receiver's log holds the sender's entry there: it has acknowledged it.
        receive(emptyAppend(news, at: index, step.before), as: .append, &server)
        if news.term == server.term { server.commit = max(server.commit, step.after.commitIndex) }
    }

    /// What the leader of its term has done to the follower's log.
    private func follow(_ message: RaftMessage, _ step: GroupStep, _ server: inout TracedServer) {
        guard message.term == server.term else { return }
        server.log = step.after.lastIndex
        server.commit = step.after.commitIndex
    }
}

extension GroupStep {
    /// Whether a vote request was answered, and how.
    fileprivate func voteGiven(to candidate: ReplicaID) -> Bool? {
        for message in messages where message.to == candidate {
            if case .voteResponse(let granted) = message.kind { return granted }
        }
        return nil
    }

    fileprivate func answersLeader(_ leader: ReplicaID) -> Bool {
        messages.contains { message in
            guard message.to == leader else { return false }
            switch message.kind {
            case .appendResponse, .heartbeatResponse, .staleTerm: return true
            default: return false
            }
        }
    }
}

extension TraceMessage.Kind {
    fileprivate var isOfLeader: Bool { self == .append || self == .heartbeat }
}

extension [GroupTracer.CommitNews: [LogIndex]] {
    fileprivate mutating func take(_ news: GroupTracer.CommitNews) -> LogIndex? {
        guard let index = self[news]?.first else { return nil }
        self[news]!.removeFirst()
        return index
    }
}
