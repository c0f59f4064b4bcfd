import Consensus
import Logging
import MultiRaft
import Primitives
import RecordModel
import WireProtocol

/// The thread around `MultiRaft`, which owns every Raft group of the node and decides everything:
/// the thread takes all events that wait, tells them, and performs what comes back once per turn, in
/// the order that `NodeEffects` states. Nothing here blocks but waiting for events.
///
/// Confined to its thread: made there, never passed on.
final class ConsensusLoop {
    /// What the loop needs of the rest of the node.
    struct Environment: Sendable {
        var mailbox: Mailbox<NodeEvent>
        var log: Mailbox<AppendBatch>
        var apply: Mailbox<ApplyWork>
        var reads: Mailbox<ReadWork>
        var fetches: Mailbox<FetchWork>
        var leases: Mailbox<LeaseEvent>
        var transport: PeerTransport
        var completions: CompletionTable
        var board: StatusBoard
        var metrics: NodeMetrics
        var logger: Logger
        /// Nanoseconds between two ticks.
        var tick: UInt64
        /// Groups that clients know, whose state goes to the board.
        var served: Set<GroupID>
        /// The node cannot go on.
        var fatal: @Sendable (String) -> Void
    }

    private let environment: Environment
    private var multi: MultiRaft
    /// Who waits for which read.
    private var readers: [UInt64: ReadWaiter] = [:]
    private var confirmations: [UInt64: ConfirmWaiter] = [:]
    private var nextRead: UInt64 = 1
    private var led: Set<GroupID> = []

    init(environment: Environment, multi: MultiRaft) {
        self.environment = environment
        self.multi = multi
    }

    func run() {
        multi.started()
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
                multi.ticked(now: MonotonicTime(nanoseconds: now))
                nextTick += environment.tick
                ticks += 1
            }
            if now >= nextTick {
                environment.metrics.heartbeatDelays.add(1)
                now = monotonicNanoseconds()
                nextTick = now + environment.tick
            }
            endTurn()
        }
        stop()
    }

    private func handle(_ event: NodeEvent) {
        switch event {
        case .propose(let proposal): multi.propose(proposal)
        case .read(let group, let waiter):
            readers[nextRead] = waiter
            multi.read(
                nextRead, of: group, deadline: MonotonicTime(nanoseconds: waiter.deadline))
            nextRead += 1
        case .confirm(let group, let waiter):
            confirmations[nextRead] = waiter
            multi.read(
                nextRead, of: group, deadline: MonotonicTime(nanoseconds: waiter.deadline))
            nextRead += 1
        case .peer(let batch, let from): multi.received(batch, from: from)
        case .durable(let tickets): multi.durable(tickets)
        case .applied(let report): multi.applied(report)
        case .fetched(let group, let entries): multi.fetched(group, entries)
        case .wakeDeadline(let group, let time): setWakeDeadline(group, time)
        }
    }

    /// At the first tick that is not before the time.
    private func setWakeDeadline(_ group: GroupID, _ time: MonotonicTime?) {
        let now = monotonicNanoseconds()
        multi.setWakeDeadline(
            group,
            atTick: time.map { time in
                let wait = time.nanoseconds > now ? time.nanoseconds - now : 0
                return multi.ticks + wait / environment.tick + 1
            })
    }

    private func endTurn() {
        perform(
            multi.endTurn(
                now: MonotonicTime(nanoseconds: monotonicNanoseconds()),
                wallClock: wallClockMicroseconds()))
    }

    private func perform(_ effects: NodeEffects) {
        for batch in effects.outgoing {
            for part in environment.transport.send(batch) {
                multi.undelivered(part, to: batch.to)
            }
        }
        if let append = effects.append { environment.log.postRegardless(append) }
        for range in effects.apply {
            environment.apply.postRegardless(ApplyWork(group: range.group, range: range.value))
        }
        for fetch in effects.fetches {
            environment.fetches.postRegardless(FetchWork(group: fetch.group, request: fetch.value))
        }
        for ready in effects.readsReady { serve(ready) }
        for failed in effects.readsFailed { fail(failed.id, NodeError(failed.failure)) }
        for failed in effects.proposalsFailed {
            environment.metrics.proposalsFailed.add(1)
            environment.completions.take(failed.id)?(.failure(NodeError(failed.failure)))
        }
        refuseSnapshots(effects)
        report(effects)
        publish(effects.touched)
    }

    private func fail(_ read: UInt64, _ error: NodeError) {
        readers.removeValue(forKey: read)?.run(.failure(error))
        confirmations.removeValue(forKey: read)?.run(.failure(error))
    }

    private func serve(_ ready: InGroup<[UInt64]>) {
        for id in ready.value { confirmations.removeValue(forKey: id)?.run(.success(())) }
        let waiters = ready.value.compactMap { readers.removeValue(forKey: $0) }
        environment.metrics.readIndexesServed.add(1)
        if waiters.isEmpty { return }
        if !environment.reads.post(ReadWork(group: ready.group, waiters: waiters)) {
            for waiter in waiters { waiter.run(.failure(.overloaded)) }
        }
    }

    /// The state machine makes no snapshots of a group yet. Since the log is kept whole
    /// (`RaftSettings.makesSnapshots`), no replica should need one; who asks all the same is told that
    /// it cannot be had.
    private func refuseSnapshots(_ effects: NodeEffects) {
        for request in effects.snapshotRequests {
            environment.logger.error(
                "a snapshot of a group was asked for, and there are none yet",
                metadata: ["group": "\(request.group)", "replica": "\(request.value.replica)"])
            multi.snapshotMade(request.group, request.value.id, at: nil)
        }
        for fetch in effects.snapshotFetches {
            environment.logger.error(
                "a snapshot of a group was offered, and none can be installed yet",
                metadata: ["group": "\(fetch.group)"])
            multi.snapshotEnded(fetch.group, fetch.value.metadata.id, .failed)
        }
    }

    private func publish(_ touched: [GroupID]) {
        for id in touched where environment.served.contains(id) {
            guard let status = multi.status(of: id) else { continue }
            environment.board.update(status, of: id)
        }
        environment.metrics.groups.set(multi.groupCount)
        environment.metrics.groupsAsleep.set(multi.groupCount - multi.activeCount)
        environment.metrics.groupsLed.set(led.count)
        let counters = multi.counters
        environment.metrics.groupTicks.set(Int(counters.groupTicks))
        environment.metrics.groupWakes.set(Int(counters.wakes))
        environment.metrics.peerBatches.set(Int(counters.batchesSent))
        environment.metrics.raftMessages.set(Int(counters.messagesSent))
    }

    /// Answers everybody who still waits: what was never sent certainly did not happen.
    private func stop() {
        let effects = multi.stopped()
        for failed in effects.proposalsFailed {
            environment.completions.take(failed.id)?(.failure(NodeError(failed.failure)))
        }
        for failed in effects.readsFailed { fail(failed.id, NodeError(failed.failure)) }
    }
}

extension ConsensusLoop {
    /// What an operator may want to know.
    private func report(_ effects: NodeEffects) {
        let logger = environment.logger
        for change in effects.roleChanges {
            environment.metrics.leaderChanges.add(1)
            if environment.served.contains(change.group) {
                let leader = change.value.leader.flatMap { multi.node(of: $0, in: change.group) }
                environment.leases.postRegardless(
                    .role(change.group, change.value, leader: leader))
            }
            if change.value.role == .leader {
                led.insert(change.group)
            } else {
                led.remove(change.group)
            }
            // Thousands of groups may change at once: those that clients know are told by name.
            logger.log(
                level: environment.served.contains(change.group) ? .info : .debug, "role changed",
                metadata: [
                    "group": "\(change.group)", "term": "\(change.value.term)",
                    "role": "\(change.value.role)",
                    "leader": "\(change.value.leader.map(\.description) ?? "none")",
                ])
        }
        for change in effects.configurationChanges {
            logger.notice(
                "configuration changed",
                metadata: [
                    "group": "\(change.group)", "index": "\(change.value.index)",
                    "voters": "\(change.value.configuration.voters.incoming)",
                    "leaving": "\(change.value.configuration.voters.outgoing)",
                    "learners": "\(change.value.configuration.learners)",
                ])
        }
        for ended in effects.transfersEnded {
            logger.notice(
                "transfer of leadership ended",
                metadata: ["group": "\(ended.group)", "result": "\(ended.value)"])
        }
        for alarm in effects.alarms {
            logger.warning(
                "alarm", metadata: ["group": "\(alarm.group)", "alarm": "\(alarm.value)"])
        }
        for change in effects.nodeChanges { report(change) }
        for fault in effects.faults {
            environment.metrics.contractBreaches.add(1)
            logger.error("a peer or the log broke Raft's contract: \(fault)")
        }
        // Of all groups' reasons one is enough: the node goes as a whole.
        if let first = effects.quarantined.first {
            environment.fatal(
                "group \(first.group): this member's disk has forgotten what it had acknowledged "
                    + "(\(first.value)): it must not take part as if it remembered. Start it with "
                    + "the data directory that it had; without that, restore a recovery point into "
                    + "a new cluster: replacing a member is not there yet")
        }
    }

    private func report(_ change: NodeChange) {
        switch change {
        case .lost(let node, let groups):
            environment.logger.notice(
                "node lost", metadata: ["node": "\(node)", "groups": "\(groups)"])
        case .heard(let node):
            environment.logger.info("node heard", metadata: ["node": "\(node)"])
        case .restarted(let node, let incarnation, let groups):
            environment.logger.notice(
                "node restarted",
                metadata: [
                    "node": "\(node)", "incarnation": "\(incarnation)", "groups": "\(groups)",
                ])
        }
    }
}

extension NodeError {
    init(_ failure: RequestFailure) {
        switch failure {
        case .noLeader: self = .noLeader
        case .overloaded: self = .overloaded
        case .notServing, .stopping: self = .stopping
        case .outcomeUnknown: self = .outcomeUnknown
        case .readTimedOut: self = .readTimedOut
        }
    }
}

extension MultiRaft {
    func status(of id: GroupID) -> GroupStatus? {
        guard let group = group(id), let applied = appliedIndex(of: id) else { return nil }
        return GroupStatus(
            role: group.role, term: group.term, leader: group.leader,
            commitIndex: group.commitIndex, lastIndex: group.lastIndex, appliedIndex: applied)
    }
}
