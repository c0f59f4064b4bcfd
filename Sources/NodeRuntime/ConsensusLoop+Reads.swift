import Consensus
import Primitives

/// Linearizable reads: all that come in one turn share one read index (thesis §6.4), wait until the
/// state machine has applied it, and share one view of the engine. A read that loses its leader on
/// the way asks again until its deadline, since it changes nothing.
extension ConsensusLoop {
    func received(_ waiter: ReadWaiter, group id: GroupID) {
        guard waitingReads < NodeLimits.waitingReads else {
            return waiter.run(.failure(.overloaded))
        }
        waitingReads += 1
        newReads[id, default: []].append(waiter)
    }

    /// Ends waiting reads without an answer.
    private func fail(_ waiters: [ReadWaiter], with error: NodeError) {
        waitingReads -= waiters.count
        for waiter in waiters { waiter.run(.failure(error)) }
    }

    func flushReads(_ now: UInt64) {
        for id in order {
            guard let waiters = newReads.removeValue(forKey: id), !waiters.isEmpty else { continue }
            // Without a leader nobody could answer; the next turn, or the tick, tries again.
            guard groups[id]?.leader != nil else {
                newReads[id] = waiters
                continue
            }
            let token = nextReadToken
            nextReadToken += 1
            readTokens[token] = waiters
            step(id) { $0.readRequested(token) }
        }
    }

    func readReady(_ ready: ReadReady, group id: GroupID) {
        guard let waiters = readTokens.removeValue(forKey: ready.token) else {
            preconditionFailure("read token \(ready.token) answered twice")
        }
        if appliedIndex[id] ?? .zero >= ready.index {
            serve(waiters, group: id)
        } else {
            waitingForApply[id, default: []].append((ready.index, waiters))
        }
    }

    func readRefused(_ refused: ReadRefused, group id: GroupID) {
        guard let waiters = readTokens.removeValue(forKey: refused.token) else {
            preconditionFailure("read token \(refused.token) answered twice")
        }
        switch refused.reason {
        case .timedOut, .leadershipLost:
            newReads[id, default: []].append(contentsOf: waiters)
        case .tooManyReads: fail(waiters, with: .overloaded)
        }
    }

    func readsApplied(through index: LogIndex, group id: GroupID) {
        guard let waiting = waitingForApply[id], !waiting.isEmpty else { return }
        let ready = waiting.filter { $0.0 <= index }
        guard !ready.isEmpty else { return }
        waitingForApply[id] = waiting.filter { $0.0 > index }
        serve(ready.flatMap(\.1), group: id)
    }

    private func serve(_ waiters: [ReadWaiter], group id: GroupID) {
        guard !waiters.isEmpty else { return }
        environment.metrics.readIndexesServed.add(1)
        if environment.reads.post(ReadWork(group: id, waiters: waiters)) {
            waitingReads -= waiters.count
        } else {
            fail(waiters, with: .overloaded)
        }
    }

    func expireReads(_ now: UInt64) {
        func expire(_ waiters: [ReadWaiter]) -> [ReadWaiter] {
            guard waiters.contains(where: { $0.deadline <= now }) else { return waiters }
            fail(waiters.filter { $0.deadline <= now }, with: .readTimedOut)
            return waiters.filter { $0.deadline > now }
        }
        for id in order {
            if let waiters = newReads[id] { newReads[id] = expire(waiters) }
            if let waiting = waitingForApply[id] {
                waitingForApply[id] = waiting.map { ($0.0, expire($0.1)) }.filter {
                    !$0.1.isEmpty
                }
            }
        }
        for (token, waiters) in readTokens { readTokens[token] = expire(waiters) }
    }
}
