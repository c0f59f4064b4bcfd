/// The actions of etcd-io/raft's specification (`etcdraft.tla`), as far as a traced run takes them,
/// and of its trace validation (`Traceetcdraft.tla`): written anew from their meaning, so that each
/// test run can hold traces against them without TLC. Names are the specification's.
struct TraceModel {
    struct Refusal: Error, CustomStringConvertible {
        var line: Int
        var why: String
        var description: String { "line \(line): \(why)" }
    }

    struct Server {
        var currentTerm = 0
        var state = "StateFollower"
        var votedFor = "0"
        var log: [Int] = []
        var commitIndex = 0
        var votesResponded: Set<String> = []
        var votesGranted: Set<String> = []
        var matchIndex: [String: Int] = [:]
        var durable = Durable()

        var lastTerm: Int { log.last ?? 0 }
        func term(at index: Int) -> Int { index == 0 ? 0 : log[index - 1] }
    }

    struct Durable {
        var currentTerm = 0
        var votedFor = "0"
        var log = 0
        var commitIndex = 0
    }

    struct Message: Hashable {
        enum Body: Hashable {
            case voteRequest(lastTerm: Int, lastIndex: Int)
            case voteResponse(granted: Bool)
            case appendRequest(
                isHeartbeat: Bool, prevIndex: Int, prevTerm: Int, entries: [Int], commit: Int)
            case appendResponse(isHeartbeat: Bool, success: Bool, match: Int)
        }

        var source: String
        var destination: String
        var term: Int
        var body: Body

        var route: Route { Route(source: source, destination: destination, term: term) }
    }

    struct Route: Hashable {
        var source: String
        var destination: String
        var term: Int
    }

    var servers: [String: Server] = [:]
    var messages: [Route: [Message: Int]] = [:]
    var pending: [Message] = []
    private let voters: [String]
    private var lastLine: [String: TraceLine.Event] = [:]
    /// Leaders by term, and terms of what is committed by index: the specification's invariants.
    private var leaders: [Int: String] = [:]
    private var committed: [Int] = []
    private var why = ""

    private init(voters: [String]) {
        self.voters = voters
        for voter in voters { servers[voter] = Server() }
    }

    /// - Throws: the first line that no action explains.
    static func follow(_ lines: [TraceLine]) throws(Refusal) {
        guard let first = lines.first else { throw Refusal(line: 0, why: "no lines") }
        var model = TraceModel(voters: first.event.conf[0])
        for (offset, line) in lines.enumerated() {
            guard model.step(line.event) else {
                throw Refusal(line: offset + 1, why: "\(model.why) \(line.event)")
            }
            model.lastLine[line.event.nid] = line.event
        }
    }

    mutating func refuse(_ why: String) -> Bool {
        self.why = why
        return false
    }

    // MARK: Lines

    private mutating func step(_ event: TraceLine.Event) -> Bool {
        let i = event.nid
        guard servers[i] != nil, event.conf == [voters, []] else { return refuse("configuration") }
        switch event.name {
        case "InitState": restart(i)
        case "BecomeCandidate":
            guard servers[i]!.state != "StateLeader" else { return refuse("a leader times out") }
            servers[i]!.state = "StateCandidate"
            servers[i]!.currentTerm += 1
            servers[i]!.votedFor = i
            servers[i]!.votesResponded = []
            servers[i]!.votesGranted = []
        case "BecomeFollower":
            // It tells what the line before it, of the same server, has done already.
            if stepsDownByMessage(event) { return true }
            guard servers[i]!.state != "StateFollower" else { return refuse("is a follower") }
            servers[i]!.state = "StateFollower"
        case "BecomeLeader":
            guard servers[i]!.state == "StateCandidate", isQuorum(servers[i]!.votesGranted) else {
                return refuse("no quorum of votes \(servers[i]!.votesGranted)")
            }
            servers[i]!.state = "StateLeader"
            servers[i]!.matchIndex = [i: servers[i]!.log.count]
            guard leaders[servers[i]!.currentTerm] == nil else { return refuse("second leader") }
            leaders[servers[i]!.currentTerm] = i
        case "Replicate":
            guard servers[i]!.state == "StateLeader", event.log == servers[i]!.log.count else {
                return refuse("not a leader, or another log")
            }
            servers[i]!.log.append(servers[i]!.currentTerm)
            return true
        case "Commit":
            guard advanceCommitIndex(i) else { return false }
        case "Ready": ready(i)
        case "SendRequestVoteRequest", "SendRequestVoteResponse", "SendAppendEntriesRequest",
            "SendAppendEntriesResponse":
            guard let message = event.msg, message.from == i else { return refuse("no message") }
            if event.name.hasSuffix("Response") && message.to != i { return true }
            guard send(message, i) else { return false }
        case "ReceiveRequestVoteRequest", "ReceiveRequestVoteResponse",
            "ReceiveAppendEntriesRequest", "ReceiveAppendEntriesResponse":
            guard let message = event.msg, message.to == i else { return refuse("no message") }
            guard stands(like: event) else { return false }
            guard receive(message, i) else { return false }
            return holds(i)
        default: return refuse("unknown event")
        }
        return stands(like: event) && holds(i)
    }

    private mutating func stands(like event: TraceLine.Event) -> Bool {
        let server = servers[event.nid]!
        guard server.currentTerm == event.state.term, server.votedFor == event.state.vote,
            server.commitIndex == event.state.commit, server.state == event.role,
            server.log.count == event.log
        else { return refuse("the model has \(server), the line") }
        return true
    }

    /// Committed entries are the same everywhere, and durable at a leader.
    private mutating func holds(_ i: String) -> Bool {
        let server = servers[i]!
        guard server.commitIndex <= server.log.count else {
            return refuse("commits beyond its log")
        }
        for index in 0..<server.commitIndex {
            if index == committed.count { committed.append(server.log[index]) }
            if committed[index] != server.log[index] { return refuse("commits something else") }
        }
        guard server.state != "StateLeader" || server.commitIndex <= server.durable.log else {
            return refuse("commits what is not durable")
        }
        return true
    }

    private func stepsDownByMessage(_ event: TraceLine.Event) -> Bool {
        guard let before = lastLine[event.nid], before.name.hasPrefix("Receive"),
            let message = before.msg, message.term == event.state.term
        else { return false }
        return before.state.term < message.term
            || before.name == "ReceiveAppendEntriesRequest" && before.state.term == message.term
                && before.role == "StateCandidate"
    }

    // MARK: Actions

    private mutating func restart(_ i: String) {
        let durable = servers[i]!.durable
        var server = Server()
        server.currentTerm = durable.currentTerm
        server.votedFor = durable.votedFor
        server.commitIndex = durable.commitIndex
        server.log = Array(servers[i]!.log.prefix(durable.log))
        server.durable = durable
        servers[i] = server
        pending.removeAll { $0.source == i }
    }

    private mutating func ready(_ i: String) {
        let server = servers[i]!
        servers[i]!.durable = Durable(
            currentTerm: server.currentTerm, votedFor: server.votedFor, log: server.log.count,
            commitIndex: server.commitIndex)
        for message in pending where message.source == i {
            messages[message.route, default: [:]][message, default: 0] += 1
        }
        pending.removeAll { $0.source == i }
    }

    private func isQuorum(_ some: Set<String>) -> Bool {
        voters.filter(some.contains).count * 2 > voters.count
    }

    private mutating func advanceCommitIndex(_ i: String) -> Bool {
        let server = servers[i]!
        guard server.state == "StateLeader" else { return refuse("not a leader") }
        let agreed = server.log.indices.map { $0 + 1 }.last { index in
            isQuorum(Set(voters.filter { server.matchIndex[$0] ?? 0 >= index }))
        }
        if let agreed, server.term(at: agreed) == server.currentTerm {
            servers[i]!.commitIndex = max(server.commitIndex, agreed)
        }
        return true
    }
}
