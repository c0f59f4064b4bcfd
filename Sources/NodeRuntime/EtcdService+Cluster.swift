import Consensus
import Primitives
import RPC
import RecordModel
import WireProtocol

/// `etcdserverpb.Cluster`: who belongs to the cluster. Changes of membership are not served yet
/// (UNIMPLEMENTED).
extension EtcdService {
    var clusterMethods: [String: RPCMethod] {
        [MethodPath.Cluster.memberList: unary(Etcdserverpb_MemberListRequest.self, memberList)]
    }

    private func memberList(_ wire: Etcdserverpb_MemberListRequest, _ call: Call) {
        Task {
            switch await node.members(linearizable: wire.linearizable) {
            case .failure(let error): call.fail(error)
            case .success(let members):
                var response = Etcdserverpb_MemberListResponse()
                // etcd's member list says nothing of the store's revision.
                response.header = header(revision: .none)
                response.members = members.map { member in
                    var wire = Etcdserverpb_Member()
                    wire.id = member.id.rawValue
                    wire.name = member.name
                    wire.peerUrls = member.peerURLs
                    wire.clientUrls = member.clientURLs
                    return wire
                }
                call.succeed(response)
            }
        }
    }
}
