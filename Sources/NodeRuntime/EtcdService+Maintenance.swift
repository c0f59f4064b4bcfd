import Consensus
import Primitives
import RPC
import RecordModel
import RecordStore
import WireProtocol

/// `etcdserverpb.Maintenance`, as far as it is served: Status. The others answer UNIMPLEMENTED.
extension EtcdService {
    var maintenanceMethods: [String: RPCMethod] {
        [MethodPath.Maintenance.status: unary(Etcdserverpb_StatusRequest.self, status)]
    }

    /// Speaks of keyspace `default`, and of this node alone: it asks nobody.
    private func status(_ wire: Etcdserverpb_StatusRequest, _ call: Call) throws(EtcdError) {
        let keyspace = try call.keyspace()
        guard let status = node.status(of: keyspace), let store = node.stores[keyspace.group] else {
            throw .stopped
        }
        var response = Etcdserverpb_StatusResponse()
        response.header = header(revision: store.revision, keyspace: keyspace)
        response.version = Self.version
        response.dbSize = Int64(node.stateBytes)
        response.dbSizeInUse = response.dbSize
        response.leader = status.leader?.rawValue ?? 0
        response.raftTerm = status.term.rawValue
        response.raftIndex = status.commitIndex.rawValue
        response.raftAppliedIndex = status.appliedIndex.rawValue
        if status.leader == nil { response.errors = ["etcdserver: no leader"] }
        call.succeed(response)
    }
}
