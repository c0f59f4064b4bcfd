/// The `:path` of every method in the proto files: `/package.Service/Method`.
package enum MethodPath {
    package enum KV {
        package static let range = "/etcdserverpb.KV/Range"
        package static let put = "/etcdserverpb.KV/Put"
        package static let deleteRange = "/etcdserverpb.KV/DeleteRange"
        package static let txn = "/etcdserverpb.KV/Txn"
        package static let compact = "/etcdserverpb.KV/Compact"
    }

    package enum Lease {
        package static let grant = "/etcdserverpb.Lease/LeaseGrant"
        package static let revoke = "/etcdserverpb.Lease/LeaseRevoke"
        package static let keepAlive = "/etcdserverpb.Lease/LeaseKeepAlive"
        package static let timeToLive = "/etcdserverpb.Lease/LeaseTimeToLive"
        package static let leases = "/etcdserverpb.Lease/LeaseLeases"
    }

    package enum Watch {
        package static let watch = "/etcdserverpb.Watch/Watch"
    }

    package enum Cluster {
        package static let memberAdd = "/etcdserverpb.Cluster/MemberAdd"
        package static let memberRemove = "/etcdserverpb.Cluster/MemberRemove"
        package static let memberUpdate = "/etcdserverpb.Cluster/MemberUpdate"
        package static let memberList = "/etcdserverpb.Cluster/MemberList"
        package static let memberPromote = "/etcdserverpb.Cluster/MemberPromote"
    }

    package enum Maintenance {
        package static let alarm = "/etcdserverpb.Maintenance/Alarm"
        package static let status = "/etcdserverpb.Maintenance/Status"
        package static let defragment = "/etcdserverpb.Maintenance/Defragment"
        package static let hash = "/etcdserverpb.Maintenance/Hash"
        package static let hashKV = "/etcdserverpb.Maintenance/HashKV"
        package static let snapshot = "/etcdserverpb.Maintenance/Snapshot"
        package static let moveLeader = "/etcdserverpb.Maintenance/MoveLeader"
        package static let downgrade = "/etcdserverpb.Maintenance/Downgrade"
    }

    package enum Recovery {
        package static let createSnapshot = "/spine.v1.Recovery/CreateSnapshot"
        package static let beginRestore = "/spine.v1.Recovery/BeginRestore"
        package static let applyRestoreRows = "/spine.v1.Recovery/ApplyRestoreRows"
        package static let finishRestore = "/spine.v1.Recovery/FinishRestore"
        package static let activateRestore = "/spine.v1.Recovery/ActivateRestore"
        package static let status = "/spine.v1.Recovery/Status"
    }
}
