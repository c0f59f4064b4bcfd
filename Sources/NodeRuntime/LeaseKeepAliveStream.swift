import NIOCore
import Primitives
import RPC
import RecordModel
import SwiftProtobuf
import Synchronization
import WireProtocol

/// One call of LeaseKeepAlive: keep-alives are asked for as they come, and answered in their order.
/// One that fails ends the call with its error, as in etcd; that of a lease which is gone is
/// answered with a time of 0. A client that does not read its answers is not read, either.
final class LeaseKeepAliveStream: RPCStreamHandler {
    private struct State {
        /// Numbers of the next keep-alive to come, and of the next to be answered.
        var nextRequest: UInt64 = 0
        var nextAnswer: UInt64 = 0
        /// Answers that wait for earlier ones; at most as many as requests are open.
        var answers: [UInt64: Result<ByteBuffer, EtcdError>] = [:]
        var isPaused = false
        var clientIsDone = false
        var hasEnded = false
        /// A thread is writing, and looks again before it stops.
        var isWriting = false

        var open: Int { Int(nextRequest - nextAnswer) }

        /// What the thread that writes does next; nil: nothing, it stops.
        ///
        /// - Parameter isWritable: less waits to be sent than the stream may hold.
        mutating func nextStep(isWritable: Bool) -> Step? {
            if !hasEnded {
                if let answer = answers.removeValue(forKey: nextAnswer) {
                    nextAnswer += 1
                    switch answer {
                    case .success(let message): return .write(message)
                    case .failure(let error):
                        hasEnded = true
                        answers = [:]
                        return .fail(error)
                    }
                }
                if isPaused, isWritable, open <= NodeLimits.keepAlivesPerStream / 2 {
                    isPaused = false
                    return .resumeReading
                }
                if clientIsDone, open == 0 {
                    hasEnded = true
                    return .end
                }
            }
            isWriting = false
            return nil
        }
    }

    private enum Step {
        case write(ByteBuffer)
        case fail(EtcdError)
        case resumeReading
        case end
    }

    private let service: EtcdService
    private let metadata: RPCMetadata
    private let writer: RPCStreamWriter
    private let state = Mutex(State())

    init(service: EtcdService, metadata: RPCMetadata, writer: RPCStreamWriter) {
        self.service = service
        self.metadata = metadata
        self.writer = writer
    }

    func received(message: ByteBuffer) {
        let (number, pauses) = state.withLock { state in
            defer { state.nextRequest += 1 }
            let isFull = state.open + 1 >= NodeLimits.keepAlivesPerStream || !writer.isWritable
            let pauses = isFull && !state.isPaused
            if pauses { state.isPaused = true }
            return (state.nextRequest, pauses)
        }
        if pauses { writer.pauseReading() }
        do throws(EtcdError) {
            try ask(message, number)
        } catch {
            answer(number, .failure(error))
        }
    }

    private func ask(_ message: ByteBuffer, _ number: UInt64) throws(EtcdError) {
        let keyspace = try keyspace()
        let request: Etcdserverpb_LeaseKeepAliveRequest
        do {
            request = try Etcdserverpb_LeaseKeepAliveRequest(
                serializedBytes: Array(message.readableBytesView))
        } catch {
            throw .malformed("the request is not a LeaseKeepAliveRequest")
        }
        var response = Etcdserverpb_LeaseKeepAliveResponse()
        // The revision from before, as in etcd: a client must not see its lease alive at a revision
        // at which it was already gone.
        response.header = service.header(
            revision: service.newestRevision(of: keyspace), keyspace: keyspace)
        response.id = request.id
        let before = response
        service.node.ask(.keepAlive, LeaseID(request.id), in: keyspace) { [self] result in
            var response = before
            switch result {
            case .success(.renewed(let seconds)): response.ttl = seconds
            case .success(.notFound): response.ttl = 0
            case .success(.notLeader), .success(.left):
                preconditionFailure("a keep-alive was answered as something else")
            case .failure(let error): return answer(number, .failure(EtcdError(error)))
            }
            do {
                let bytes: [UInt8] = try response.serializedBytes()
                answer(number, .success(ByteBuffer(bytes: bytes)))
            } catch {
                answer(number, .failure(.malformed("the answer cannot be encoded")))
            }
        }
    }

    private func keyspace() throws(EtcdError) -> KeyspaceID {
        guard let name = metadata.value(for: "spine-keyspace") else { return .default }
        guard let keyspace = KeyspaceID(name: name) else { throw .unknownKeyspace(name) }
        return keyspace
    }

    /// Any thread.
    private func answer(_ number: UInt64, _ result: Result<ByteBuffer, EtcdError>) {
        state.withLock { state in
            if !state.hasEnded { state.answers[number] = result }
        }
        write()
    }

    func receivedHalfClose() {
        state.withLock { $0.clientIsDone = true }
        write()
    }

    func becameWritable() { write() }

    /// One thread at a time, so that answers leave in order; never under the lock, because writing
    /// may end the call here and now.
    private func write() {
        let isMine = state.withLock { state in
            defer { state.isWriting = true }
            return !state.isWriting
        }
        guard isMine else { return }
        while let step = state.withLock({ $0.nextStep(isWritable: writer.isWritable) }) {
            switch step {
            case .write(let message): writer.write(message)
            case .fail(let error): finish(error)
            case .resumeReading: writer.resumeReading()
            case .end: writer.finish()
            }
        }
    }

    private func finish(_ error: EtcdError) {
        guard let code = RPCStatusCode(rawValue: error.code) else {
            preconditionFailure("gRPC has no code \(error.code)")
        }
        writer.finish(RPCStatus(code, error.message))
    }

    func cancelled() {
        state.withLock { state in
            state.hasEnded = true
            state.answers = [:]
        }
    }
}
