import Synchronization

/// Who waits for which proposal. Whoever takes a completion out calls it: so each is called once,
/// although the applying thread and a deadline may race for it.
final class CompletionTable: Sendable {
    private struct State {
        var completions: [UInt64: (ProposalCompletion, Int)] = [:]
        var bytes = 0
    }
    private let state = Mutex(State())

    /// False at a limit of `NodeLimits`.
    func insert(
        _ completion: @escaping ProposalCompletion, sequence: UInt64, bytes: Int
    ) -> Bool {
        state.withLock { state in
            guard state.completions.count < NodeLimits.pendingProposals,
                state.bytes + bytes <= NodeLimits.pendingProposalBytes || state.bytes == 0
            else { return false }
            state.completions[sequence] = (completion, bytes)
            state.bytes += bytes
            return true
        }
    }

    func take(_ sequence: UInt64) -> ProposalCompletion? {
        state.withLock { state in
            guard let (completion, bytes) = state.completions.removeValue(forKey: sequence) else {
                return nil
            }
            state.bytes -= bytes
            return completion
        }
    }

    func takeAll() -> [ProposalCompletion] {
        state.withLock { state in
            defer { state = State() }
            return state.completions.values.map(\.0)
        }
    }

    var count: Int { state.withLock { $0.completions.count } }
}
