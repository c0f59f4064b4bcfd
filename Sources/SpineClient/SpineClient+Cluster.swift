import WireProtocol

extension SpineClient {
    /// How every endpoint stands, each asked itself; the failure where one did not answer.
    public func status() async -> [(endpoint: String, status: Result<NodeStatus, SpineError>)] {
        var all: [(endpoint: String, status: Result<NodeStatus, SpineError>)] = []
        for (index, endpoint) in endpoints.enumerated() {
            do throws(SpineError) {
                let response = try await call(
                    endpoint: index, MethodPath.Maintenance.status, Etcdserverpb_StatusRequest(),
                    Etcdserverpb_StatusResponse.self)
                let status = NodeStatus(
                    endpoint: endpoint.description, memberID: response.header.memberID,
                    clusterID: response.header.clusterID, version: response.version,
                    databaseBytes: response.dbSize, leader: response.leader,
                    raftTerm: response.raftTerm, raftIndex: response.raftIndex,
                    raftAppliedIndex: response.raftAppliedIndex,
                    revision: response.header.revision)
                all.append((endpoint.description, .success(status)))
            } catch {
                all.append((endpoint.description, .failure(error)))
            }
        }
        return all
    }

    public func members() async throws(SpineError) -> [Member] {
        var request = Etcdserverpb_MemberListRequest()
        request.linearizable = true
        let response = try await call(
            MethodPath.Cluster.memberList, request, Etcdserverpb_MemberListResponse.self,
            repetition: .harmless)
        return response.members.map { wire in
            Member(
                id: wire.id, name: wire.name, peerURLs: wire.peerUrls, clientURLs: wire.clientUrls,
                isLearner: wire.isLearner)
        }
    }
}
