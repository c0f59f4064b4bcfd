import Consensus
import Logging
import Primitives
import RecordModel
import WireProtocol

/// The thread that owns every Raft group of the node. It takes all events that wait, tells the
/// groups, and hands out what they ask for once per turn: one frame per peer, one batch to the log,
/// one to the state machine. Nothing here blocks but waiting for events.
///
/// Confined to its thread: made there, never passed on.
final class ConsensusLoop {
    /// What the loop needs of the rest of the node.
    struct Environment: Sendable {
        var own: NodeID
        var mailbox: Mailbox<NodeEvent>
        var log: Mailbox<LogWork>
        var apply: Mailbox<ApplyWork>
        var reads: Mailbox<ReadWork>
        var fetches: Mailbox<FetchWork>
        var transport: PeerTransport
        var completions: CompletionTable
        var board: StatusBoard
        var metrics: NodeMetrics
        var logger: Logger
        /// Nanoseconds between two ticks.
        var tick: UInt64
        /// Nanoseconds a request may take before its client is told.
        var requestTimeout: UInt64
        /// Microseconds just above the newest stamp of the state: a restore can bring in
        /// stamps above this machine's clock, and later entries must lie above them.
        var newestStamp: @Sendable (GroupID) -> UInt64
    }

    let environment: Environment
    var groups: [GroupID: RaftGroup]
    let order: [GroupID]

    // Proposals (ConsensusLoop+Proposals.swift)
    var pending: [UInt64: PendingProposal] = [:]
    /// Sequences in the order of their deadlines, which is that of their arrival.
    var deadlines: [UInt64] = []
    var deadlinesHead = 0
    /// Not yet appended or forwarded, by group.
    var held: [GroupID: [UInt64]] = [:]
    var forwardedHere: [GroupID: [(ForwardedProposals, NodeID)]] = [:]
    var appliedTerm: [GroupID: Term] = [:]

    // Reads (ConsensusLoop+Reads.swift)
    var newReads: [GroupID: [ReadWaiter]] = [:]
    var readTokens: [UInt64: [ReadWaiter]] = [:]
    var nextReadToken: UInt64 = 1
    /// Waiters in all of these.
    var waitingReads = 0
    /// Confirmed at an index that is not applied yet, by group.
    var waitingForApply: [GroupID: [(LogIndex, [ReadWaiter])]] = [:]
    var appliedIndex: [GroupID: LogIndex]

    // What this turn hands out.
    private var outbox: [RaftMessage] = []
    private var appendBatch: LogWork = []
    private var changed: Set<GroupID> = []

    init(environment: Environment, groups: [RaftGroup]) {
        self.environment = environment
        self.groups = Dictionary(uniqueKeysWithValues: groups.map { ($0.group, $0) })
        order = groups.map(\.group).sorted()
        appliedIndex = Dictionary(uniqueKeysWithValues: groups.map { ($0.group, $0.appliedIndex) })
    }

    func run() {
        for id in order { step(id) { $0.started() } }
        endTurn()
        var nextTick = monotonicNanoseconds() + environment.tick
        var batch: [NodeEvent] = []
        while environment.mailbox.take(into: &batch, until: nextTick) {
            for event in batch { handle(event) }
            var now = monotonicNanoseconds()
            // A pause of the machine must not be made up for in one burst of ticks: others have
            // moved on, and hurrying would only depose them.
            var ticks = 0
            while now >= nextTick && ticks < 3 {
                for id in order { step(id) { $0.ticked() } }
                nextTick += environment.tick
                ticks += 1
            }
            if now >= nextTick {
                environment.metrics.heartbeatDelays.add(1)
                now = monotonicNanoseconds()
                nextTick = now + environment.tick
            }
            if ticks > 0 { expireRequests(now) }
            flushProposals()
            flushReads(now)
            endTurn()
        }
        stop()
    }

    private func handle(_ event: NodeEvent) {
        switch event {
        case .propose(let proposal): received(proposal)
        case .read(let group, let waiter): received(waiter, group: group)
        case .peer(let messages):
            for message in messages where groups[message.group] != nil {
                step(message.group) { $0.received(message) }
            }
        case .forwarded(let proposals, let from):
            forwardedHere[proposals.group, default: []].append((proposals, from))
        case .forwardRefused(let refused): forwardRefused(refused)
        case .durable(let tickets):
            for (group, ticket) in tickets.sorted(by: { $0.key < $1.key }) {
                step(group) { $0.appended(ticket) }
            }
        case .applied(let report): applied(report)
        case .fetched(let group, let entries): step(group) { $0.entriesFetched(entries) }
        }
    }

    /// The one place where a group is told something and its effects are taken.
    func step(_ id: GroupID, _ event: (inout RaftGroup) -> Effects) {
        guard var group = groups[id] else { preconditionFailure("no group \(id) on this node") }
        groups[id] = nil  // so that the value is changed in place, not copied
        let effects = event(&group)
        groups[id] = group
        perform(effects, of: id)
    }

    func perform(_ effects: Effects, of id: GroupID) {
        outbox.append(contentsOf: effects.messages)
        if let work = effects.append { appendBatch.append((id, work)) }
        for range in effects.committed {
            environment.apply.postRegardless(ApplyWork(group: id, range: range))
        }
        for ready in effects.readsReady { readReady(ready, group: id) }
        for refused in effects.readsRefused { readRefused(refused, group: id) }
        for fetch in effects.fetches {
            environment.fetches.postRegardless(FetchWork(group: id, request: fetch))
        }
        for fault in effects.faults {
            environment.metrics.contractBreaches.add(1)
            environment.logger.error(
                "a peer or the log broke Raft's contract: \(fault)", metadata: ["group": "\(id)"])
        }
        if let change = effects.roleChange { roleChanged(change, group: id) }
        changed.insert(id)
    }

    private func roleChanged(_ change: RoleChange, group id: GroupID) {
        environment.metrics.leaderChanges.add(1)
        environment.logger.info(
            "role changed",
            metadata: [
                "group": "\(id)", "term": "\(change.term)", "role": "\(change.role)",
                "leader": "\(change.leader.map(\.description) ?? "none")",
            ])
    }

    private func endTurn() {
        environment.transport.send(outbox)
        outbox.removeAll(keepingCapacity: true)
        if !appendBatch.isEmpty {
            environment.log.postRegardless(appendBatch)
            appendBatch = []
        }
        for id in changed {
            guard let group = groups[id] else { continue }
            environment.board.update(
                GroupStatus(
                    role: group.role, term: group.term, leader: group.leader,
                    commitIndex: group.commitIndex, lastIndex: group.lastIndex,
                    appliedIndex: appliedIndex[id] ?? .zero),
                of: id)
        }
        changed.removeAll(keepingCapacity: true)
    }

    /// Answers everybody who still waits: what was never sent certainly did not happen.
    private func stop() {
        for (sequence, proposal) in pending {
            environment.completions.take(sequence)?(
                .failure(proposal.sentTerm == nil ? .stopping : .outcomeUnknown))
        }
        let readers =
            newReads.values.flatMap { $0 } + readTokens.values.flatMap { $0 }
            + waitingForApply.values.flatMap { $0 }.flatMap(\.1)
        for reader in readers { reader.run(.failure(.stopping)) }
    }
}
