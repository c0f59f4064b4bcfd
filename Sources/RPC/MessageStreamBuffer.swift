import NIOCore
import Synchronization

/// The messages of a streaming answer that came and have not been consumed: filled on the event
/// loop, emptied by the one reader. The client's window bounds it.
final class MessageStreamBuffer: Sendable {
    typealias Outcome = Result<ByteBuffer?, RPCClientError>

    private struct State {
        var messages = CircularBuffer<ByteBuffer>()
        var bytes = 0
        /// Set at the end; the error is nil when the status was OK.
        var isFinished = false
        var error: RPCClientError?
        var reader: CheckedContinuation<Outcome, Never>?
    }

    private let bytesLow: Int
    private let bytesHigh: Int
    private let state = Mutex(State())

    init(windowBytes: Int) {
        bytesHigh = windowBytes
        bytesLow = windowBytes / 2
    }

    /// Whether the reader is so far behind that the server must wait.
    var isFull: Bool { state.withLock { $0.bytes >= bytesHigh } }

    func push(_ message: ByteBuffer) {
        let reader = state.withLock { state -> CheckedContinuation<Outcome, Never>? in
            if let reader = state.reader {
                state.reader = nil
                return reader
            }
            state.messages.append(message)
            state.bytes += message.readableBytes
            return nil
        }
        reader?.resume(returning: .success(message))
    }

    func finish(_ error: RPCClientError?) {
        let reader = state.withLock { state -> CheckedContinuation<Outcome, Never>? in
            state.isFinished = true
            state.error = error
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: error.map(Outcome.failure) ?? .success(nil))
    }

    /// The next message; nil at a good end.
    ///
    /// - Returns: besides, whether enough was consumed for the server to go on.
    func next() async -> (Outcome, drained: Bool) {
        if let taken = takeNow() { return taken }
        let outcome = await withCheckedContinuation { continuation in
            let now = state.withLock { state -> Outcome? in
                precondition(state.reader == nil, "two readers of one message stream")
                if let message = state.messages.popFirst() {
                    state.bytes -= message.readableBytes
                    return .success(message)
                }
                if state.isFinished {
                    return state.error.map(Outcome.failure) ?? .success(nil)
                }
                state.reader = continuation
                return nil
            }
            if let now { continuation.resume(returning: now) }
        }
        return (outcome, false)
    }

    private func takeNow() -> (Outcome, drained: Bool)? {
        state.withLock { state in
            guard let message = state.messages.popFirst() else { return nil }
            let before = state.bytes
            state.bytes -= message.readableBytes
            return (.success(message), before > bytesLow && state.bytes <= bytesLow)
        }
    }
}
