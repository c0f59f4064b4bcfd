import NIOCore
import Primitives
import RPC
import RecordModel
import RecordStore
import SwiftProtobuf
import Synchronization
import WireProtocol

/// One `Watch` call: hands what its client asks to the watching thread, in order, and takes no more
/// than so many requests before they are answered. Called on the connection's event loop; `answered`
/// by the watching thread.
final class WatchStreamHandler: RPCStreamHandler {
    let id: WatchStreamID
    let keyspace: KeyspaceID
    /// The client asked to be told when there is no leader (metadata `hasleader`).
    let needsLeader: Bool
    let writer: RPCStreamWriter
    private let inputs: Mailbox<WatchInput>
    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    private struct State {
        /// Requests handed over and not answered.
        var waiting = 0
        /// Changed on the event loop only, together with the connection's own state: otherwise a
        /// resumption could overtake the pause that it ends.
        var isPaused = false
        /// The event loop will look whether to resume.
        var isLooking = false
    }

    init(
        id: WatchStreamID, keyspace: KeyspaceID, needsLeader: Bool, writer: RPCStreamWriter,
        eventLoop: any EventLoop, inputs: Mailbox<WatchInput>
    ) {
        self.id = id
        self.keyspace = keyspace
        self.needsLeader = needsLeader
        self.writer = writer
        self.eventLoop = eventLoop
        self.inputs = inputs
    }

    func received(message: ByteBuffer) {
        let wire: Etcdserverpb_WatchRequest
        do {
            wire = try Etcdserverpb_WatchRequest(
                serializedBytes: Array(message.readableBytesView))
        } catch {
            return end(EtcdError.malformed("the request is not a WatchRequest"))
        }
        guard let request = WatchInput.Request(wire) else { return }
        let mustPause = state.withLock { state in
            state.waiting += 1
            guard !state.isPaused, state.waiting >= NodeLimits.watchRequests || !writer.isWritable
            else { return false }
            state.isPaused = true
            return true
        }
        if mustPause { writer.pauseReading() }
        inputs.postRegardless(.requested(id, request))
    }

    /// The client has no more to ask; its watchers stay (etcd `recvLoop`).
    func receivedHalfClose() {}

    func cancelled() { inputs.postRegardless(.closed(id)) }

    func becameWritable() {
        inputs.postRegardless(.becameWritable(id))
        resumeIfPossible()
    }

    /// A request has been dealt with. Any thread.
    func answered() {
        let mustLook = state.withLock { state in
            state.waiting -= 1
            guard state.isPaused, !state.isLooking, state.waiting <= NodeLimits.watchRequests / 2
            else { return false }
            state.isLooking = true
            return true
        }
        if mustLook { eventLoop.execute { self.resumeIfPossible() } }
    }

    /// Ends the call. Any thread.
    func end(_ error: EtcdError) {
        guard let code = RPCStatusCode(rawValue: error.code) else {
            preconditionFailure("gRPC has no code \(error.code)")
        }
        writer.finish(RPCStatus(code, error.message))
        inputs.postRegardless(.closed(id))
    }

    private func resumeIfPossible() {
        let mustResume = state.withLock { state in
            state.isLooking = false
            guard state.isPaused, state.waiting <= NodeLimits.watchRequests / 2, writer.isWritable
            else { return false }
            state.isPaused = false
            return true
        }
        if mustResume { writer.resumeReading() }
    }
}

/// What comes to the watching thread.
enum WatchInput: Sendable {
    enum Request: Sendable {
        case create(WatchRequest)
        case cancel(Int64)
        case progress
    }
    case opened(WatchStreamHandler)
    case requested(WatchStreamID, Request)
    case becameWritable(WatchStreamID)
    case closed(WatchStreamID)
    /// `WatchFeed` has something.
    case applied
    case read(GroupID, epoch: UInt64, WatchReadResult)
    /// Ends every stream: the node stops.
    case stop
}
