import Foundation
import Primitives
import RecordModel

extension Etcdserverpb_LeaseTimeToLiveResponse {
    /// - Parameter keys: nil: not asked for.
    package init(
        _ id: LeaseID, seconds: Int64, granted: Int64, keys: [Bytes]?,
        header: Etcdserverpb_ResponseHeader
    ) {
        self.init()
        self.header = header
        self.id = id.rawValue
        ttl = seconds
        grantedTtl = granted
        self.keys = (keys ?? []).map { Data($0) }
    }

    /// Of a lease that is not there, or not any more.
    package init(missing id: LeaseID, header: Etcdserverpb_ResponseHeader) {
        self.init(id, seconds: -1, granted: 0, keys: nil, header: header)
    }
}

extension Etcdserverpb_LeaseLeasesResponse {
    package init(_ leases: [Lease], header: Etcdserverpb_ResponseHeader) {
        self.init()
        self.header = header
        self.leases = leases.map { lease in
            var status = Etcdserverpb_LeaseStatus()
            status.id = lease.id.rawValue
            return status
        }
    }
}
