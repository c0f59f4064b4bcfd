// Messages: which the model would send, and what they do to their receiver.
extension TraceModel {
    mutating func send(_ said: TraceLine.Message, _ i: String) -> Bool {
        let server = servers[i]!
        var body: Message.Body
        switch said.type {
        case "MsgVote":
            guard server.state == "StateCandidate", !server.votesResponded.contains(said.to) else {
                return refuse("asks for no vote")
            }
            body = .voteRequest(lastTerm: server.lastTerm, lastIndex: server.log.count)
        case "MsgVoteResp":
            guard server.state == "StateCandidate" else { return refuse("asks for no vote") }
            body = .voteResponse(granted: true)
        case "MsgApp":
            let end = said.index + said.entries
            guard server.state == "StateLeader", said.to != i, said.index <= server.log.count,
                said.index >= server.matchIndex[said.to] ?? 0, end <= server.log.count
            else { return refuse("cannot send this") }
            body = .appendRequest(
                isHeartbeat: false, prevIndex: said.index, prevTerm: server.term(at: said.index),
                entries: Array(server.log[said.index..<end]), commit: min(server.commitIndex, end))
        case "MsgHeartbeat":
            guard server.state == "StateLeader", said.to != i else {
                return refuse("does not lead")
            }
            body = .appendRequest(
                isHeartbeat: true, prevIndex: 0, prevTerm: 0, entries: [],
                commit: min(server.commitIndex, server.matchIndex[said.to] ?? 0))
        case "MsgAppResp":
            guard server.state == "StateLeader" else { return refuse("does not lead") }
            body = .appendResponse(isHeartbeat: false, success: true, match: server.log.count)
        default: return refuse("unknown message")
        }
        let message = Message(
            source: i, destination: said.to, term: server.currentTerm, body: body)
        guard matches(message, said) else { return refuse("would send \(message)") }
        pending.append(message)
        return true
    }

    private func matches(_ message: Message, _ said: TraceLine.Message) -> Bool {
        guard message.source == said.from, message.destination == said.to, message.term == said.term
        else { return false }
        switch (message.body, said.type) {
        case (.voteRequest(let lastTerm, let lastIndex), "MsgVote"):
            return lastTerm == said.logTerm && lastIndex == said.index
        case (.voteResponse(let granted), "MsgVoteResp"): return granted == !said.reject
        case (.appendRequest(false, let index, let term, let entries, let commit), "MsgApp"):
            return index == said.index && term == said.logTerm && entries.count == said.entries
                && commit == said.commit
        case (.appendRequest(true, _, _, _, let commit), "MsgHeartbeat"):
            return commit == said.commit && said.entries == 0
        case (.appendResponse(false, let success, let match), "MsgAppResp"):
            return success == !said.reject && (!success || match == said.index)
        case (.appendResponse(true, let success, _), "MsgHeartbeatResp"):
            return success == !said.reject
        default: return false
        }
    }

    mutating func receive(_ said: TraceLine.Message, _ i: String) -> Bool {
        // Messages that read alike differ in entries only; no correct leader sends two such.
        let route = Route(source: said.from, destination: said.to, term: said.term)
        let found = messages[route, default: [:]].keys.filter { matches($0, said) }
        guard found.count == 1, let message = found.first else {
            return refuse("\(found.count) such messages are on their way:")
        }
        messages[route]![message]! -= 1
        if messages[route]![message] == 0 { messages[route]![message] = nil }
        if message.term > servers[i]!.currentTerm {
            servers[i]!.currentTerm = message.term
            servers[i]!.votedFor = "0"
            servers[i]!.state = "StateFollower"
        }
        let server = servers[i]!
        let isStale = message.term < server.currentTerm
        switch message.body {
        case .voteRequest(let lastTerm, let lastIndex):
            let isCurrent = (lastTerm, lastIndex) >= (server.lastTerm, server.log.count)
            let granted =
                !isStale && isCurrent && ["0", message.source].contains(server.votedFor)
            if granted { servers[i]!.votedFor = message.source }
            reply(.voteResponse(granted: granted), to: message)
        case .voteResponse(let granted):
            guard !isStale else { break }
            servers[i]!.votesResponded.insert(message.source)
            if granted { servers[i]!.votesGranted.insert(message.source) }
        case .appendRequest: return receiveAppend(message, i, isStale)
        case .appendResponse(_, let success, let match):
            guard !isStale, success else { break }
            let known = server.matchIndex[message.source] ?? 0
            servers[i]!.matchIndex[message.source] = max(known, match)
        }
        return true
    }

    private mutating func receiveAppend(_ message: Message, _ i: String, _ isStale: Bool) -> Bool {
        guard
            case .appendRequest(let isHeartbeat, let prev, let prevTerm, let entries, let commit) =
                message.body
        else { return false }
        let refusal = Message.Body.appendResponse(isHeartbeat: false, success: false, match: 0)
        guard !isStale else {
            reply(refusal, to: message)
            return true
        }
        guard servers[i]!.state != "StateLeader" else { return refuse("a second leader speaks") }
        servers[i]!.state = "StateFollower"
        let server = servers[i]!
        guard prev <= server.log.count, server.term(at: prev) == prevTerm else {
            reply(refusal, to: message)
            return true
        }
        if prev < server.commitIndex {
            if isHeartbeat { servers[i]!.commitIndex = max(server.commitIndex, commit) }
            reply(
                .appendResponse(
                    isHeartbeat: isHeartbeat, success: true,
                    match: isHeartbeat ? prev + entries.count : server.commitIndex),
                to: message)
            return true
        }
        for (offset, term) in entries.enumerated() {
            let place = prev + offset
            if place < servers[i]!.log.count && servers[i]!.log[place] != term {
                servers[i]!.log.removeSubrange(place...)
            }
            if place == servers[i]!.log.count { servers[i]!.log.append(term) }
        }
        let end = prev + entries.count
        servers[i]!.commitIndex = max(server.commitIndex, min(commit, end))
        reply(
            .appendResponse(isHeartbeat: isHeartbeat, success: true, match: end), to: message)
        return true
    }

    private mutating func reply(_ body: Message.Body, to message: Message) {
        pending.append(
            Message(
                source: message.destination, destination: message.source,
                term: servers[message.destination]!.currentTerm, body: body))
    }
}
