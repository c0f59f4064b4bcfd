import NIOCore

/// The answers of a server-streaming call, for one reader. Ends when the server's status is OK,
/// else throws it. Dropping the stream and its iterator before the end cancels the call, as does
/// cancelling the task that reads.
package struct RPCMessageStream: AsyncSequence, Sendable {
    package typealias Element = ByteBuffer
    package typealias Failure = RPCClientError

    private let handle: Handle

    init(call: ClientCall, buffer: MessageStreamBuffer, core: ClientCore) {
        handle = Handle(call: call, buffer: buffer, core: core)
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let handle: Handle

        package mutating func next() async throws(RPCClientError) -> ByteBuffer? {
            try await handle.next()
        }

        package mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(RPCClientError) -> ByteBuffer? {
            try await handle.next()
        }
    }

    package func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(handle: handle)
    }

    /// Cancels the call when nobody can read it any more.
    fileprivate final class Handle: Sendable {
        private let call: ClientCall
        private let buffer: MessageStreamBuffer
        private let core: ClientCore

        init(call: ClientCall, buffer: MessageStreamBuffer, core: ClientCore) {
            self.call = call
            self.buffer = buffer
            self.core = core
        }

        deinit {
            core.submit(.cancel(call))
        }

        func next() async throws(RPCClientError) -> ByteBuffer? {
            let (outcome, drained) = await withTaskCancellationHandler {
                await buffer.next()
            } onCancel: {
                core.submit(.cancel(call))
            }
            if drained { core.submit(.consumed(call)) }
            return try outcome.get()
        }
    }
}
