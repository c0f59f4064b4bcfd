import Consensus
import Logging
import Primitives
import RecordModel
import RecordStore

/// Who belongs to the cluster, as group 0 says.
extension Node {
    /// Tells group 0 who this node is and where clients find it, until it is known there. Members
    /// that have not told yet are listed from the flags, without a name, as etcd lists them.
    func publishMember() async {
        let own = MemberRecord(
            id: id, name: configuration.name, zone: configuration.zone,
            peerURLs: configuration.initialAdvertisePeerURLs.map(\.description),
            clientURLs: configuration.advertiseClientURLs.map(\.description))
        let key = MemberRecord.key(of: id)
        let value = own.encoded()
        var pause: Duration = .milliseconds(100)
        while true {
            // Unchanged: nothing is written, so that restarts do not raise group 0's revision.
            let txn = TxnRequest(
                compares: [Compare(range: .key(key), relation: .equal, target: .value(value))],
                failure: [.put(PutRequest(key: key, value: value))])
            switch await submit(.operation(.txn(txn)), to: .system) {
            case .success(let outcome):
                guard case .failure(let refusal) = outcome.result else { return }
                logger.error("group 0 refused this member's record: \(refusal)")
            case .failure(.stopping): return
            case .failure(let error):
                logger.info("this member is not known to group 0 yet: \(error)")
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(5))
        }
    }

    /// All members, in the order of their ids.
    package func members(linearizable: Bool) async -> Result<[MemberRecord], NodeError> {
        let range = RangeRequest(range: .prefix(MemberRecord.keyPrefix))
        let read = await read(.system, linearizable: linearizable) {
            reader throws(RecordReadFailure) in
            try reader.range(range).records
        }
        return read.flatMap { records in
            var members: [NodeID: MemberRecord] = [:]
            for member in configuration.initialCluster {
                let id = configuration.nodeID(of: member)
                members[id] = MemberRecord(
                    id: id, name: "", zone: "", peerURLs: member.peerURLs.map(\.description),
                    clientURLs: [])
            }
            for record in records {
                do throws(DecodingFailure) {
                    let member = try MemberRecord(decoding: record.value)
                    members[member.id] = member
                } catch {
                    return .failure(.storage("member record of group 0: \(error)"))
                }
            }
            return .success(members.values.sorted { $0.id < $1.id })
        }
    }
}
