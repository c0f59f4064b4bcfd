import Consensus
import Primitives

/// What one node says to another at once, for all groups that they share. Any part of it may be
/// lost, repeated or overtaken, but for `forwards`: a shell that certainly did not send a batch says
/// so with `undelivered`.
package struct NodeMessages: Hashable, Sendable {
    /// Counts the sender's starts.
    package var incarnation: UInt64
    /// The sender has sleeping groups with the receiver, or the receiver with it.
    package var alive: NodeHeartbeat?
    package var heartbeats: [GroupHeartbeat] = []
    package var heartbeatAnswers: [GroupHeartbeatAnswer] = []
    /// All others, in order.
    package var messages: [RaftMessage] = []
    package var forwards: [ForwardedProposals] = []
    package var refusals: [ForwardRefused] = []

    package init(incarnation: UInt64) {
        self.incarnation = incarnation
    }

    package var isEmpty: Bool {
        alive == nil && heartbeats.isEmpty && heartbeatAnswers.isEmpty && messages.isEmpty
            && forwards.isEmpty && refusals.isEmpty
    }

    /// Heartbeats and their answers go where they cost least.
    package mutating func append(_ message: RaftMessage) {
        switch message.kind {
        case .heartbeat(let heartbeat):
            heartbeats.append(
                GroupHeartbeat(
                    group: message.group, from: message.from, to: message.to, term: message.term,
                    heartbeat: heartbeat))
        case .heartbeatResponse(let round, let hibernates):
            heartbeatAnswers.append(
                GroupHeartbeatAnswer(
                    group: message.group, from: message.from, to: message.to, term: message.term,
                    round: round, hibernates: hibernates))
        default: messages.append(message)
        }
    }

    package mutating func append(contentsOf later: NodeMessages) {
        precondition(
            incarnation == later.incarnation,
            "messages of incarnations \(incarnation) and \(later.incarnation)")
        alive = later.alive ?? alive
        heartbeats += later.heartbeats
        heartbeatAnswers += later.heartbeatAnswers
        messages += later.messages
        forwards += later.forwards
        refusals += later.refusals
    }
}

/// A node's messages to another, leaving in one turn.
package struct NodeBatch: Hashable, Sendable {
    package var to: NodeID
    package var messages: NodeMessages

    package init(to: NodeID, messages: NodeMessages) {
        self.to = to
        self.messages = messages
    }
}

/// A sign of life for all sleeping groups at once, each heartbeat interval.
package struct NodeHeartbeat: Hashable, Sendable {
    /// The sender has sleeping groups with the receiver, and wants its heartbeats.
    package var wantsAnswer: Bool
    package init(wantsAnswer: Bool) { self.wantsAnswer = wantsAnswer }
}

package struct GroupHeartbeat: Hashable, Sendable {
    package var group: GroupID
    package var from: ReplicaID
    package var to: ReplicaID
    package var term: Term
    package var heartbeat: Heartbeat

    package init(
        group: GroupID, from: ReplicaID, to: ReplicaID, term: Term, heartbeat: Heartbeat
    ) {
        self.group = group
        self.from = from
        self.to = to
        self.term = term
        self.heartbeat = heartbeat
    }

    package var message: RaftMessage {
        RaftMessage(group: group, from: from, to: to, term: term, kind: .heartbeat(heartbeat))
    }
}

package struct GroupHeartbeatAnswer: Hashable, Sendable {
    package var group: GroupID
    package var from: ReplicaID
    package var to: ReplicaID
    package var term: Term
    package var round: UInt64
    package var hibernates: Bool

    package init(
        group: GroupID, from: ReplicaID, to: ReplicaID, term: Term, round: UInt64,
        hibernates: Bool = false
    ) {
        self.group = group
        self.from = from
        self.to = to
        self.term = term
        self.round = round
        self.hibernates = hibernates
    }

    package var message: RaftMessage {
        RaftMessage(
            group: group, from: from, to: to, term: term,
            kind: .heartbeatResponse(round: round, hibernates: hibernates))
    }
}
