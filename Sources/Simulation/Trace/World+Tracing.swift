import Consensus
import MultiRaft
import Primitives

// A run that is traced for etcd-io/raft's trace validation.
extension World {
    /// What the network brought, message by message: each is admitted as its receiver then stands.
    func hearTraced(_ batch: NodeMessages, from peer: NodeID, at node: Node) {
        var rest = batch
        rest.heartbeats = []
        rest.heartbeatAnswers = []
        rest.messages = []
        // Signs of life first, as in a whole batch; requests and their refusals last.
        var head = NodeMessages(incarnation: batch.incarnation)
        head.alive = rest.alive
        rest.alive = nil
        tell(node) { $0.received(head, from: peer) }
        let messages =
            batch.heartbeats.map(\.message) + batch.heartbeatAnswers.map(\.message) + batch.messages
        for message in messages {
            guard let receiver = node.core?.group(message.group),
                TraceRestriction.admits(message, to: receiver)
            else { continue }
            var part = NodeMessages(incarnation: batch.incarnation)
            part.append(message)
            tell(node) { $0.received(part, from: peer) }
        }
        tell(node) { $0.received(rest, from: peer) }
    }

    /// The model knows no replica that forgets its commit index: what a traced replica begins with is
    /// what it had.
    func tracedStart(_ state: HardState, _ seat: Seat) -> HardState {
        var state = state
        if let known = tracers[seat.group].commitIndex(of: seat.replica) {
            state.commitIndex = max(state.commitIndex, known)
        }
        return state
    }

    func traceStarts(_ node: Node) {
        node.core!.recordsSteps = true
        for seat in node.seats where seat.isRunning {
            guard let raft = node.core!.group(spec(seat).id) else { continue }
            tracers[seat.group].started(raft, at: now)
            failIfUnsaid(seat.group)
        }
    }

    func traceSteps(_ node: Node) {
        for step in node.core!.takeSteps() {
            guard let place = specs.firstIndex(where: { $0.id == step.after.group }) else {
                continue
            }
            tracers[place].stepped(step, at: now)
            failIfUnsaid(place)
        }
    }

    private func failIfUnsaid(_ place: Int) {
        guard let unsaid = tracers[place].unsaid.first else { return }
        tracers[place].unsaid = []
        fail("the trace of group \(specs[place].id) cannot go on: \(unsaid)")
    }

    /// In the model nothing that a message spoke of is lost with a crash: a traced node stops only while
    /// its log is at rest.
    func mayStop(_ node: Node) -> Bool {
        !options.isTraced || node.logQueue.isEmpty && !node.isLogBusy
    }
}
