import Consensus
import MultiRaft
import Primitives
import RecordModel
import RecordStore
import WireProtocol

/// What the lease thread is told.
enum LeaseEvent: Sendable {
    /// A group's role here, and where its leader is.
    case role(GroupID, RoleChange, leader: NodeID?)
    /// Applied here. Told before the clients whose commands these were.
    case changed(GroupID, [LeaseChange])
    case asked(LeaseRequest)
    case traffic(LeaseTraffic, from: NodeID)
    /// Reads that were asked for by `LeaseKeeper.confirm`: the term of the entry applied last.
    case confirmed([UInt64], GroupID, Result<Term, NodeError>)
    case proposalFailed(GroupID, LeaseCommand)
}

/// A client of this node asks about a lease.
struct LeaseRequest: Sendable {
    var group: GroupID
    var lease: LeaseID
    var kind: LeaseQuestion.Kind
    /// Nanoseconds of CLOCK_MONOTONIC.
    var deadline: UInt64
    /// Called once, on the lease thread; must not block.
    var completion: @Sendable (Result<LeaseReply.Outcome, NodeError>) -> Void
}

/// The thread around the groups' `LeaseClock`s, and the way of a question about a lease to the
/// group's leader. There it waits for a linearizable read, which proves that this node leads; then
/// the clock answers. A node that does not lead sends the question on, and asks again until the
/// client's time is up: a keep-alive may be done twice.
///
/// Confined to its thread: made there, never passed on.
final class LeaseKeeper {
    struct Environment: Sendable {
        var own: NodeID
        var mailbox: Mailbox<LeaseEvent>
        var consensus: Mailbox<NodeEvent>
        /// Until a question to a leader without an answer is asked again.
        var patience: UInt64
        /// Proposes, and says whether the command was applied and not refused.
        var propose: @Sendable (LeaseCommand, GroupID, @escaping @Sendable (Bool) -> Void) -> Void
        /// The term of the entry applied last, as a linearizable read sees it.
        var confirm:
            @Sendable (GroupID, @escaping @Sendable (Result<Term, NodeError>) -> Void) -> Void
        var send: @Sendable (LeaseTraffic, NodeID) -> Void
    }

    /// Until a question that found no leader is asked again.
    private static let pause: UInt64 = 50_000_000

    /// Whose question it is.
    private enum Asker {
        case client(@Sendable (Result<LeaseReply.Outcome, NodeError>) -> Void)
        case node(NodeID, UInt64)
    }

    private struct Question {
        var group: GroupID
        var lease: LeaseID
        var kind: LeaseQuestion.Kind
        var asker: Asker
        var deadline: UInt64
        /// When it is asked again. Nil: it is with the clock, or with the reads.
        var askAgainAt: UInt64?
        var wasAsked = false
    }

    private let environment: Environment
    private var clocks: [GroupID: LeaseClock]
    private let groups: [GroupID]
    private var leaders: [GroupID: NodeID] = [:]
    private var questions: [UInt64: Question] = [:]
    private var nextToken: UInt64
    /// Questions of this turn that wait for a read.
    private var unconfirmed: [GroupID: [UInt64]] = [:]
    private var outgoing: [NodeID: LeaseTraffic] = [:]
    /// The wake deadlines that the consensus thread knows.
    private var wakes: [GroupID: MonotonicTime] = [:]
    private var nextLook: UInt64 = .max

    /// - Parameter firstToken: differs between starts, so that a late reply fits no other question.
    init(environment: Environment, clocks: [GroupID: LeaseClock], firstToken: UInt64) {
        self.environment = environment
        self.clocks = clocks
        groups = clocks.keys.sorted()
        nextToken = firstToken
    }

    func run() {
        var batch: [LeaseEvent] = []
        while environment.mailbox.take(into: &batch, until: nextTurn()) {
            // Read once the events are here, so that no deadline counts from before them.
            let now = MonotonicTime(nanoseconds: monotonicNanoseconds())
            for event in batch { handle(event, now) }
            advance(now)
        }
        let tokens = questions.keys.sorted()
        for token in tokens { finish(token, .failure(.stopping)) }
    }

    private func nextTurn() -> UInt64 {
        groups.compactMap { clocks[$0]?.nextTime?.nanoseconds }.reduce(nextLook, min)
    }

    private func handle(_ event: LeaseEvent, _ now: MonotonicTime) {
        switch event {
        case .role(let group, let change, let leader):
            leaders[group] = leader
            if change.role == .leader {
                step(group) { $0.leadershipBegan(in: change.term, now: now) }
            } else {
                step(group) { $0.leadershipEnded(now: now) }
            }
        case .changed(let group, let changes):
            for change in changes { step(group) { $0.changed(change, now: now) } }
        case .asked(let request):
            guard questions.count < NodeLimits.leaseQuestions else {
                return request.completion(.failure(.overloaded))
            }
            start(
                Question(
                    group: request.group, lease: request.lease, kind: request.kind,
                    asker: .client(request.completion), deadline: request.deadline), now)
        case .traffic(let traffic, let node): received(traffic, from: node, now)
        case .confirmed(let tokens, let group, let result):
            for token in tokens { confirmed(token, group, result, now) }
        case .proposalFailed(let group, let command):
            step(group) { $0.proposalFailed(command, now: now) }
        }
    }

    private func step(_ group: GroupID, _ body: (inout LeaseClock) -> [LeaseEffect]) {
        guard clocks[group] != nil else { return }
        perform(body(&clocks[group]!), group)
    }

    private func perform(_ effects: [LeaseEffect], _ group: GroupID) {
        for effect in effects {
            switch effect {
            case .propose(let command):
                let mailbox = environment.mailbox
                environment.propose(command, group) { wasApplied in
                    guard !wasApplied else { return }
                    mailbox.postRegardless(.proposalFailed(group, command))
                }
            case .answer(let token, .renewed(let seconds)):
                finish(token, .success(.renewed(seconds: seconds)))
            case .answer(let token, .notFound): finish(token, .success(.notFound))
            case .answer(let token, .notLeader): askAgain(token)
            }
        }
    }

    // MARK: Questions

    private func start(_ question: Question, _ now: MonotonicTime) {
        let token = nextToken
        nextToken &+= 1
        questions[token] = question
        nextLook = min(nextLook, question.deadline)
        ask(token, now)
    }

    private func ask(_ token: UInt64, _ now: MonotonicTime) {
        guard let question = questions[token] else { return }
        questions[token]?.askAgainAt = nil
        if clocks[question.group]?.term != nil {
            questions[token]?.wasAsked = true
            unconfirmed[question.group, default: []].append(token)
        } else if case .node = question.asker {
            finish(token, .success(.notLeader))
        } else if let leader = leaders[question.group], leader != environment.own {
            questions[token]?.wasAsked = true
            outgoing[leader, default: LeaseTraffic()].questions.append(
                LeaseQuestion(
                    id: token, group: question.group, lease: question.lease, kind: question.kind))
            askAgain(token, at: now.nanoseconds + environment.patience)
        } else {
            askAgain(token, at: now.nanoseconds + Self.pause)
        }
    }

    /// Whoever was asked does not lead.
    private func askAgain(_ token: UInt64) {
        guard let question = questions[token] else { return }
        if case .node = question.asker { return finish(token, .success(.notLeader)) }
        askAgain(token, at: monotonicNanoseconds() + Self.pause)
    }

    private func askAgain(_ token: UInt64, at time: UInt64) {
        questions[token]?.askAgainAt = time
        nextLook = min(nextLook, time)
    }

    private func confirmed(
        _ token: UInt64, _ group: GroupID, _ result: Result<Term, NodeError>, _ now: MonotonicTime
    ) {
        guard let question = questions[token] else { return }
        guard case .success(let term) = result else { return askAgain(token) }
        switch question.kind {
        case .keepAlive:
            step(group) {
                $0.keptAlive(token, question.lease, confirmedIn: term, now: now)
            }
        case .timeToLive:
            switch clocks[group]?.remaining(of: question.lease, confirmedIn: term, now: now) {
            case .left(let seconds, let granted):
                finish(token, .success(.left(seconds: seconds, granted: granted)))
            case .notFound: finish(token, .success(.notFound))
            case .notLeader, nil: askAgain(token)
            }
        }
    }

    private func received(_ traffic: LeaseTraffic, from node: NodeID, _ now: MonotonicTime) {
        for question in traffic.questions {
            // Its asker's patience is not longer, and it asks again.
            guard clocks[question.group] != nil, questions.count < NodeLimits.leaseQuestions
            else { continue }
            start(
                Question(
                    group: question.group, lease: question.lease, kind: question.kind,
                    asker: .node(node, question.id),
                    deadline: now.nanoseconds + environment.patience), now)
        }
        for reply in traffic.replies {
            guard let question = questions[reply.id], case .client = question.asker else {
                continue
            }
            if reply.outcome == .notLeader {
                askAgain(reply.id)
            } else {
                finish(reply.id, .success(reply.outcome))
            }
        }
    }

    private func finish(_ token: UInt64, _ result: Result<LeaseReply.Outcome, NodeError>) {
        guard let question = questions.removeValue(forKey: token) else { return }
        switch question.asker {
        case .client(let completion): completion(result)
        case .node(let node, let id):
            guard case .success(let outcome) = result else { return }
            outgoing[node, default: LeaseTraffic()].replies.append(
                LeaseReply(id: id, outcome: outcome))
        }
    }

    // MARK: Turns

    private func advance(_ now: MonotonicTime) {
        for group in groups { step(group) { $0.advanced(now: now) } }
        if now.nanoseconds >= nextLook { lookAtQuestions(now) }
        for group in groups {
            guard let tokens = unconfirmed.removeValue(forKey: group) else { continue }
            let mailbox = environment.mailbox
            environment.confirm(group) {
                mailbox.postRegardless(.confirmed(tokens, group, $0))
            }
        }
        for node in outgoing.keys.sorted() {
            if let traffic = outgoing[node] { environment.send(traffic, node) }
        }
        outgoing = [:]
        for group in groups { arm(group, now) }
    }

    private func lookAtQuestions(_ now: MonotonicTime) {
        nextLook = .max
        for token in questions.keys.sorted() {
            guard let question = questions[token] else { continue }
            if question.deadline <= now.nanoseconds {
                finish(token, .failure(question.wasAsked ? .readTimedOut : .noLeader))
                continue
            }
            nextLook = min(nextLook, question.deadline)
            guard let time = question.askAgainAt else { continue }
            if time <= now.nanoseconds { ask(token, now) } else { nextLook = min(nextLook, time) }
        }
    }

    /// The group is awake when the next lease may have ended, on every replica. The consensus thread
    /// is told of earlier times at once, and of later ones when the time that it knows has come.
    private func arm(_ group: GroupID, _ now: MonotonicTime) {
        let next = clocks[group]?.nextLook
        if let known = wakes[group], let next, known <= next, known > now { return }
        guard wakes[group] != next else { return }
        wakes[group] = next
        environment.consensus.postRegardless(.wakeDeadline(group, next))
    }
}
