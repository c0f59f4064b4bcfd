import Consensus
import NIOCore
import Primitives
import RPC
import RecordModel
import RecordStore
import SwiftProtobuf
import WireProtocol

/// etcd's services as this node serves them (DESIGN, decision 1). What the services share is here;
/// each service is a file of its own.
package struct EtcdService: Sendable {
    /// etcd's `--max-txn-ops`.
    static let txnOperationsMax = 128
    /// etcd's `--max-request-bytes`.
    static let requestBytesMax = 3 * 512 * 1024
    /// What `/version` and Status say: the etcd whose messages are served.
    package static let version = "3.6.0"

    let node: Node

    package init(node: Node) { self.node = node }

    package var methods: [String: RPCMethod] {
        kvMethods.merging(clusterMethods) { first, _ in first }
            .merging(maintenanceMethods) { first, _ in first }
            .merging(watchMethods) { first, _ in first }
            .merging(leaseMethods) { first, _ in first }
    }

    /// A unary method whose request is decoded before, and whose errors are answered, in one place.
    func unary<Request: SwiftProtobuf.Message>(
        _ type: Request.Type,
        _ handle: @escaping @Sendable (Request, Call) throws(EtcdError) -> Void
    ) -> RPCMethod {
        .unary { message, context, reply in
            let call = Call(reply: reply, metadata: context.metadata)
            let request: Request
            do {
                request = try Request(serializedBytes: Array(message.readableBytesView))
            } catch {
                return call.fail(.undecodable("not a \(Request.protoMessageName)"))
            }
            do throws(EtcdError) { try handle(request, call) } catch { call.fail(error) }
        }
    }

    func header(revision: Revision, keyspace: KeyspaceID = .default)
        -> Etcdserverpb_ResponseHeader
    {
        var header = Etcdserverpb_ResponseHeader()
        header.clusterID = node.cluster.rawValue
        header.memberID = node.id.rawValue
        header.revision = revision.rawValue
        header.raftTerm = node.status(of: keyspace)?.term.rawValue ?? 0
        return header
    }

    /// One call on its way to its answer.
    struct Call: Sendable {
        let reply: RPCReply
        let metadata: RPCMetadata

        /// The keyspace that the client chose, `default` unless it says otherwise.
        func keyspace() throws(EtcdError) -> KeyspaceID {
            try metadata.keyspace()
        }

        /// The same for a write: the system keyspace is the cluster's own.
        func writableKeyspace() throws(EtcdError) -> KeyspaceID {
            let keyspace = try keyspace()
            if keyspace == .system {
                throw .precondition("keyspace system is written by the cluster itself only")
            }
            return keyspace
        }

        func succeed(_ message: some SwiftProtobuf.Message) {
            do {
                let bytes: [UInt8] = try message.serializedBytes()
                reply.succeed(ByteBuffer(bytes: bytes))
            } catch {
                reply.fail(RPCStatus(.internalError, "spine: the answer cannot be encoded"))
            }
        }

        func fail(_ error: EtcdError) {
            guard let code = RPCStatusCode(rawValue: error.code) else {
                preconditionFailure("gRPC has no code \(error.code)")
            }
            reply.fail(RPCStatus(code, error.message))
        }

        func fail(_ error: NodeError) { fail(EtcdError(error)) }
    }
}

extension EtcdError {
    init(_ error: NodeError) {
        switch error {
        case .noLeader: self = .noLeader
        case .overloaded: self = .tooManyRequests
        case .tooLarge: self = .requestTooLarge
        case .stopping: self = .stopped
        case .outcomeUnknown, .readTimedOut: self = .timedOut
        case .storage(let what): self = .storage(what)
        case .refused(let refusal): self = EtcdError(refusal)
        }
    }
}
