import NIOCore
import Primitives
import RPC
import RecordModel
import RecordStore
import WireProtocol

/// `etcdserverpb.Watch`: any number of watchers on a stream. Each node serves them from what it has
/// applied itself; the loss of the leader ends no watch, unless the client asked for that.
extension EtcdService {
    var watchMethods: [String: RPCMethod] {
        [
            MethodPath.Watch.watch: .bidirectional { [watching = node.watching] context, writer in
                do throws(EtcdError) {
                    let keyspace = try context.metadata.keyspace()
                    return watching.open(
                        keyspace, needsLeader: context.metadata.needsLeader, writer: writer,
                        eventLoop: context.eventLoop)
                } catch {
                    return RefusedWatchStream(error, writer)
                }
            }
        ]
    }
}

extension RPCMetadata {
    /// etcd's `rpctypes.MetadataRequireLeaderKey`.
    fileprivate var needsLeader: Bool { value(for: "hasleader") == "true" }

    /// The keyspace that the client chose, `default` unless it says otherwise.
    func keyspace() throws(EtcdError) -> KeyspaceID {
        guard let name = value(for: "spine-keyspace") else { return .default }
        guard let keyspace = KeyspaceID(name: name) else { throw .unknownKeyspace(name) }
        return keyspace
    }
}

/// A stream that was ended as it was opened.
private final class RefusedWatchStream: RPCStreamHandler {
    init(_ error: EtcdError, _ writer: RPCStreamWriter) {
        guard let code = RPCStatusCode(rawValue: error.code) else {
            preconditionFailure("gRPC has no code \(error.code)")
        }
        writer.finish(RPCStatus(code, error.message))
    }
    func received(message: ByteBuffer) {}
    func receivedHalfClose() {}
    func cancelled() {}
}

extension WatchInput.Request {
    /// nil for a request without content, which etcd passes over.
    init?(_ wire: Etcdserverpb_WatchRequest) {
        switch wire.requestUnion {
        case .createRequest(let create): self = .create(WatchRequest(create))
        case .cancelRequest(let cancel): self = .cancel(cancel.watchID)
        case .progressRequest: self = .progress
        case nil: return nil
        }
    }
}

extension WatchRequest {
    /// An empty key stands for the first one there can be (etcd `recvLoop`).
    init(_ wire: Etcdserverpb_WatchCreateRequest) {
        self.init(
            range: KeyRange(
                key: wire.key.isEmpty ? [0] : Bytes(wire.key), rangeEnd: Bytes(wire.rangeEnd)),
            start: wire.startRevision == 0 ? nil : Revision(wire.startRevision),
            id: wire.watchID == 0 ? nil : wire.watchID,
            leavesOutPuts: wire.filters.contains(.noput),
            leavesOutDeletions: wire.filters.contains(.nodelete), wantsPrevious: wire.prevKv,
            wantsProgress: wire.progressNotify, takesFragments: wire.fragment)
    }
}

extension Etcdserverpb_WatchResponse {
    /// etcd's `clientv3.InvalidWatchID`: no watcher, or all of them.
    private static let noWatch: Int64 = -1

    init(created watch: Int64) {
        self.init()
        watchID = watch
        created = true
    }

    init(refused refusal: WatchRefusal) {
        self.init(created: Self.noWatch)
        canceled = true
        // The texts of etcd's `mvcc.ErrEmptyWatcherRange` and `ErrWatcherDuplicateID`, which it
        // sends as they are, and of `rpctypes.ErrCompacted`.
        cancelReason =
            switch refusal {
            case .emptyRange: "mvcc: watcher range is empty"
            case .duplicateID: "mvcc: duplicate watch ID provided on the WatchStream"
            case .negativeStart: EtcdError.compacted.message
            }
    }

    init(cancelled watch: Int64, compactRevision floor: Int64 = 0) {
        self.init()
        watchID = watch
        canceled = true
        compactRevision = floor
    }

    init(progressOf watch: Int64?) {
        self.init()
        watchID = watch ?? Self.noWatch
    }
}
