import NIOCore

/// The sending half of a streaming call. Any thread; messages of one thread keep their order.
package final class RPCStreamWriter: Sendable {
    package enum Readiness: Sendable {
        case writable
        case timedOut
        /// The call is over: stop.
        case closed
    }

    /// Sends one message. Never blocks: who writes while `isWritable` is false grows the queue up
    /// to `RPCServerSettings.streamOutboundBytesMax`, where the call is ended.
    ///
    /// - Returns: false when the call is over; the message is dropped.
    @discardableResult
    package func write(_ message: ByteBuffer) -> Bool { preconditionFailure("not built yet") }

    /// Ends the call, after what was written. Later writes and finishes are ignored.
    package func finish(_ status: RPCStatus = .ok) { preconditionFailure("not built yet") }

    /// Whether less waits to be sent than the high watermark.
    package var isWritable: Bool { preconditionFailure("not built yet") }

    /// The call was finished or cancelled.
    package var isClosed: Bool { preconditionFailure("not built yet") }

    /// Blocks the calling thread until the stream is writable, the call over, or the time is up.
    /// For threads of one's own: never on an event loop (a precondition) nor in a task.
    package func waitUntilWritable(timeout: Duration) -> Readiness {
        preconditionFailure("not built yet")
    }

    /// Stops delivering messages to the handler; the client's window is not renewed. Bidirectional
    /// calls only.
    package func pauseReading() { preconditionFailure("not built yet") }
    package func resumeReading() { preconditionFailure("not built yet") }
}
