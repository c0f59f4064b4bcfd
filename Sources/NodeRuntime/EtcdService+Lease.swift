import Primitives
import RPC
import RecordModel
import RecordStore
import WireProtocol

/// `etcdserverpb.Lease`. Grant and revoke go through the log; what only the leader knows is asked of
/// it by `Node.ask` (docs/leases.md). A keyspace has leases of its own.
extension EtcdService {
    var leaseMethods: [String: RPCMethod] {
        [
            MethodPath.Lease.grant: unary(Etcdserverpb_LeaseGrantRequest.self, leaseGrant),
            MethodPath.Lease.revoke: unary(Etcdserverpb_LeaseRevokeRequest.self, leaseRevoke),
            MethodPath.Lease.timeToLive: unary(
                Etcdserverpb_LeaseTimeToLiveRequest.self, leaseTimeToLive),
            MethodPath.Lease.leases: unary(Etcdserverpb_LeaseLeasesRequest.self, leaseLeases),
            MethodPath.Lease.keepAlive: .bidirectional { context, writer in
                LeaseKeepAliveStream(service: self, metadata: context.metadata, writer: writer)
            },
        ]
    }

    private func leaseGrant(
        _ wire: Etcdserverpb_LeaseGrantRequest, _ call: Call
    ) throws(EtcdError) {
        let keyspace = try call.writableKeyspace()
        guard wire.ttl <= Lease.secondsMax else { throw .leaseTTLTooLarge }
        grant(wire.id, seconds: max(wire.ttl, node.leaseSecondsMin), keyspace, call)
    }

    /// - Parameter id: 0: one that no lease has.
    private func grant(_ id: Int64, seconds: Int64, _ keyspace: KeyspaceID, _ call: Call) {
        var generator = SystemRandomNumberGenerator()
        let chosen = LeaseID(id != 0 ? id : Int64.random(in: 1...Int64.max, using: &generator))
        submit(.grant(chosen, seconds: seconds), to: keyspace, call) { outcome, result in
            switch result {
            case .success(.granted(let lease)):
                var response = Etcdserverpb_LeaseGrantResponse()
                response.header = header(revision: outcome.revision, keyspace: keyspace)
                response.id = lease.id.rawValue
                response.ttl = lease.seconds
                call.succeed(response)
            case .failure(.leaseExists) where id == 0:
                grant(0, seconds: seconds, keyspace, call)
            case .failure(let refusal): call.fail(EtcdError(refusal))
            case .success(.ended), .success(.checkpointed), .success(.renewed):
                preconditionFailure("a grant was answered as something else")
            }
        }
    }

    private func leaseRevoke(
        _ wire: Etcdserverpb_LeaseRevokeRequest, _ call: Call
    ) throws(EtcdError) {
        let keyspace = try call.writableKeyspace()
        submit(.revoke(LeaseID(wire.id)), to: keyspace, call) { outcome, result in
            if case .failure(let refusal) = result { return call.fail(EtcdError(refusal)) }
            var response = Etcdserverpb_LeaseRevokeResponse()
            response.header = header(revision: outcome.revision, keyspace: keyspace)
            call.succeed(response)
        }
    }

    private func leaseTimeToLive(
        _ wire: Etcdserverpb_LeaseTimeToLiveRequest, _ call: Call
    ) throws(EtcdError) {
        let keyspace = try call.keyspace()
        let id = LeaseID(wire.id)
        node.ask(.timeToLive, id, in: keyspace) { result in
            switch result {
            case .failure(let error): call.fail(error)
            case .success(.left(let seconds, let granted)):
                leaseFound(id, seconds, granted, keyspace, wantsKeys: wire.keys, call)
            case .success(.notFound), .success(.notLeader), .success(.renewed):
                leaseMissing(id, revision: newestRevision(of: keyspace), keyspace, call)
            }
        }
    }

    /// The keys are read here, where the lease may have ended meanwhile.
    private func leaseFound(
        _ id: LeaseID, _ seconds: Int64, _ granted: Int64, _ keyspace: KeyspaceID,
        wantsKeys: Bool, _ call: Call
    ) {
        read(keyspace, call) { reader throws(RecordReadFailure) in
            guard try reader.lease(id) != nil else {
                return leaseMissing(id, revision: reader.revision, keyspace, call)
            }
            let keys = wantsKeys ? try reader.keys(of: id) : nil
            call.succeed(
                Etcdserverpb_LeaseTimeToLiveResponse(
                    id, seconds: seconds, granted: granted, keys: keys,
                    header: header(revision: reader.revision, keyspace: keyspace)))
        }
    }

    private func leaseMissing(
        _ id: LeaseID, revision: Revision, _ keyspace: KeyspaceID, _ call: Call
    ) {
        let header = header(revision: revision, keyspace: keyspace)
        call.succeed(Etcdserverpb_LeaseTimeToLiveResponse(missing: id, header: header))
    }

    private func leaseLeases(
        _ wire: Etcdserverpb_LeaseLeasesRequest, _ call: Call
    ) throws(EtcdError) {
        let keyspace = try call.keyspace()
        read(keyspace, call) { reader throws(RecordReadFailure) in
            call.succeed(
                Etcdserverpb_LeaseLeasesResponse(
                    try reader.leases(),
                    header: header(revision: reader.revision, keyspace: keyspace)))
        }
    }

    func newestRevision(of keyspace: KeyspaceID) -> Revision {
        node.stores[keyspace.group]?.revision ?? .initial
    }

    private func read(
        _ keyspace: KeyspaceID, _ call: Call,
        _ body: @escaping @Sendable (RecordReader) throws(RecordReadFailure) -> Void
    ) {
        node.read(keyspace, linearizable: true) { result in
            switch result {
            case .success(let reader):
                do throws(RecordReadFailure) {
                    try body(reader)
                } catch {
                    call.fail(node.failed(error))
                }
            case .failure(let error): call.fail(error)
            }
        }
    }

    private func submit(
        _ command: LeaseCommand, to keyspace: KeyspaceID, _ call: Call,
        _ answer:
            @escaping @Sendable (CommandOutcome, Result<LeaseResult, CommandRefusal>) -> Void
    ) {
        node.submit(.lease(command), to: keyspace) { result in
            switch result {
            case .success(let outcome):
                switch outcome.result {
                case .success(.lease(let result)): answer(outcome, .success(result))
                case .failure(let refusal): answer(outcome, .failure(refusal))
                case .success(.operation), .success(.compacted), .success(.restore):
                    preconditionFailure("a lease command was answered as something else")
                }
            case .failure(let error): call.fail(error)
            }
        }
    }
}
