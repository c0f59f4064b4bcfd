import Consensus
import MultiRaft
import Primitives

/// Watches every event of every replica of one group, and says it in the vocabulary of etcd-io/raft's
/// trace validation. The model's own variables are followed along, event by event; where they would
/// not come out as the replica did, the vocabulary cannot say what happened, and `unsaid` tells.
///
/// Invariants:
///
/// 1. After each step, the replica stands as its `TracedServer` does, or `unsaid` says that it does not.
/// 2. A message has at most as many lines that receive it as lines that send it.
/// 3. A replica comes back as its last step left it: the model's `Restart` forgets nothing durable.
/// 4. A replica's lines of one step end with `Ready`: what it sends, it sends from durable state.
package struct GroupTracer: Sendable {
    package let group: GroupID
    package private(set) var lines: [String] = []
    /// What the specification has no words for. Empty unless the run was not restricted enough, or
    /// the group does what it must not.
    package internal(set) var unsaid: [String] = []

    let voters: [ReplicaID]
    var servers: [ReplicaID: TracedServer] = [:]
    /// Commit news on their way, as the appends that they are in the model.
    var notices: [CommitNews: [LogIndex]] = [:]
    /// Heartbeats to a server that has committed nothing, likewise.
    var firstNews: [CommitNews: [LogIndex]] = [:]
    var time: UInt64 = 0

    struct CommitNews: Hashable, Sendable {
        var from: ReplicaID
        var to: ReplicaID
        var term: Term
        var commit: LogIndex
    }

    package init(group: GroupID, voters: [ReplicaID]) {
        self.group = group
        self.voters = voters
    }

    /// The replica has begun, from what its disk holds.
    package mutating func started(_ raft: RaftGroup, at time: UInt64) {
        self.time = time
        let server = TracedServer(raft)
        if let known = servers[raft.replica],
            known.term != server.term || known.vote != server.vote
                || known.commit != server.commit || known.log != server.log
        {
            unsaid.append(
                "at \(time) replica \(raft.replica) comes back as \(server.summary), and was "
                    + known.summary)
        }
        servers[raft.replica] = server
        say(.initState, server, raft.replica)
    }

    /// The file: a line for each event.
    package var text: String { lines.map { $0 + "\n" }.joined() }

    package func commitIndex(of replica: ReplicaID) -> LogIndex? { servers[replica]?.commit }

    package mutating func stepped(_ step: GroupStep, at time: UInt64) {
        self.time = time
        let replica = step.after.replica
        guard var server = servers[replica], server.stands(like: step.before) else {
            unsaid.append("replica \(replica) was never started, or moved between two steps")
            servers[replica] = TracedServer(step.after)
            return
        }
        let first = lines.count
        switch step.cause {
        case .received(let message): hear(message, step, &server)
        case .appended(let ticket): ownWorkIsDurable(ticket, step, &server)
        case .other: break
        }
        changeRole(step, &server)
        extendLog(step, &server)
        if server.role == .leader && step.after.commitIndex > server.commit {
            server.commit = step.after.commitIndex
            say(.commit, server, replica)
        }
        for message in step.messages { speak(message, step, server) }
        if !server.stands(like: step.after) {
            unsaid.append(
                "at \(time) replica \(replica), told \(step.cause), is a \(step.after.role) of term "
                    + "\(step.after.term), vote \(step.after.vote?.description ?? "none"), commit "
                    + "\(step.after.commitIndex), log \(step.after.lastIndex), and by the model a "
                    + server.summary)
            server = TracedServer(step.after)
        }
        if lines.count > first { say(.ready, server, replica) }
        servers[replica] = server
    }

    mutating func say(
        _ name: TraceEvent.Name, _ state: TracedServer, _ replica: ReplicaID,
        _ message: TraceMessage? = nil
    ) {
        lines.append(
            TraceEvent(
                name: name, server: replica, state: state, message: message, voters: voters,
                time: time
            ).line)
    }

    // MARK: What no message says

    /// A leader acknowledges its own entries to itself, a candidate its own vote, once its disk has
    /// them (thesis §10.2.1); in the model both are messages to oneself.
    private mutating func ownWorkIsDurable(
        _ ticket: AppendTicket, _ step: GroupStep, _ server: inout TracedServer
    ) {
        let replica = step.after.replica
        if let vote = server.ownVote, vote <= ticket {
            server.ownVote = nil
            say(
                .receiveRequestVoteResponse, server, replica,
                TraceMessage(.voteResponse, term: server.term, from: replica, to: replica))
        }
        while let own = server.ownAppends.first, own.ticket <= ticket {
            server.ownAppends.removeFirst()
            var message = TraceMessage(
                .appendResponse, term: server.term, from: replica, to: replica)
            message.index = own.end
            say(.receiveAppendEntriesResponse, server, replica, message)
        }
    }

    private mutating func changeRole(_ step: GroupStep, _ server: inout TracedServer) {
        let replica = step.after.replica
        let role = TracedServer.Role(step.after.role)
        if role == .candidate && step.after.term > server.term {
            server.becomeFollower(of: server.term.next)
            server.role = .candidate
            server.vote = replica
            server.ownVote = step.effects.append?.ticket
            say(.becomeCandidate, server, replica)
            say(
                .sendRequestVoteResponse, server, replica,
                TraceMessage(.voteResponse, term: server.term, from: replica, to: replica))
        }
        if role == .leader && server.role == .candidate {
            server.role = .leader
            say(.becomeLeader, server, replica)
        }
        if role == .follower && server.role != .follower {
            server.becomeFollower(of: server.term)
            say(.becomeFollower, server, replica)
        }
    }

    /// A leader's new entries. As in etcd's traces, `Replicate` says how the log was before.
    private mutating func extendLog(_ step: GroupStep, _ server: inout TracedServer) {
        guard server.role == .leader, server.log < step.after.lastIndex,
            let ticket = step.effects.append?.ticket
        else { return }
        let replica = step.after.replica
        while server.log < step.after.lastIndex {
            say(.replicate, server, replica)
            server.log = server.log.next
        }
        server.ownAppends.append((ticket, server.log))
        var message = TraceMessage(.appendResponse, term: server.term, from: replica, to: replica)
        message.index = server.log
        say(.sendAppendEntriesResponse, server, replica, message)
    }
}

extension GroupStep {
    /// What leaves because of the step, at once or once its work is durable.
    var messages: [RaftMessage] {
        effects.messages + (effects.append?.messagesAfterDurable ?? [])
    }
}
