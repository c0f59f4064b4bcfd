import Synchronization

/// Bounds the bytes of requests that are worked on at a time. Further ones wait in the order of
/// their arrival, up to a number of them; beyond, they are refused at once.
///
/// Shared by all requests; its state is behind a lock that is never held over a suspension.
final class AdmissionGate: Sendable {
    private struct Waiter {
        var weight: Int
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var available: Int
        var waiters: [Waiter] = []
        /// Waiters before it have been let in; they are dropped when they are half of all.
        var first = 0

        var waiting: Int { waiters.count - first }

        mutating func takeReady() -> [CheckedContinuation<Void, Never>] {
            var ready: [CheckedContinuation<Void, Never>] = []
            while first < waiters.count, waiters[first].weight <= available {
                available -= waiters[first].weight
                ready.append(waiters[first].continuation)
                first += 1
            }
            if first > 0, first * 2 >= waiters.count {
                waiters.removeFirst(first)
                first = 0
            }
            return ready
        }
    }

    private let capacity: Int
    private let waitersMax: Int
    private let state: Mutex<State>

    init(capacity: Int, waitersMax: Int) {
        precondition(capacity > 0, "admission capacity \(capacity)")
        self.capacity = capacity
        self.waitersMax = waitersMax
        state = Mutex(State(available: capacity))
    }

    /// Requests that wait for room.
    var waiting: Int { state.withLock { $0.waiting } }

    /// Runs the body once there is room for its weight; one above the capacity counts as all of
    /// it. false: the queue is full, and the body did not run.
    func withAdmission(weight: Int, _ body: () async -> Void) async -> Bool {
        let weight = min(max(weight, 1), capacity)
        guard await enter(weight) else { return false }
        await body()
        leave(weight)
        return true
    }

    private enum Entry { case admitted, refused, waiting }

    private func enter(_ weight: Int) async -> Bool {
        var isAdmitted = true
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let entry: Entry = state.withLock { state in
                if state.waiting == 0, state.available >= weight {
                    state.available -= weight
                    return .admitted
                }
                if state.waiting >= waitersMax { return .refused }
                state.waiters.append(Waiter(weight: weight, continuation: continuation))
                return .waiting
            }
            isAdmitted = entry != .refused
            if entry != .waiting { continuation.resume() }
        }
        return isAdmitted
    }

    private func leave(_ weight: Int) {
        let ready = state.withLock { state in
            state.available += weight
            return state.takeReady()
        }
        for continuation in ready { continuation.resume() }
    }
}
