import Foundation
import SwiftProtobuf
import Testing
import WireProtocol

/// Messages against bytes written by hand from etcd 3.6's published field numbers: what any other
/// client puts on the wire. Protobuf writes fields in the order of their numbers, so the bytes
/// must match in both directions.
@Suite struct ProtobufWireTests {
    @Test func rangeRequestHasEtcdsThirteenFields() throws {
        var message = Etcdserverpb_RangeRequest()
        message.key = Data("a".utf8)
        message.rangeEnd = Data("b".utf8)
        message.limit = 3
        message.revision = 4
        message.sortOrder = .descend
        message.sortTarget = .value
        message.serializable = true
        message.keysOnly = true
        message.countOnly = true
        message.minModRevision = 10
        message.maxModRevision = 11
        message.minCreateRevision = 12
        message.maxCreateRevision = 13
        try expectWire(
            message,
            [
                0x0A, 1, 0x61, 0x12, 1, 0x62, 0x18, 3, 0x20, 4, 0x28, 2, 0x30, 4, 0x38, 1, 0x40, 1,
                0x48, 1, 0x50, 10, 0x58, 11, 0x60, 12, 0x68, 13,
            ])
    }

    @Test func putRequest() throws {
        var message = Etcdserverpb_PutRequest()
        message.key = Data("k".utf8)
        message.value = Data("v".utf8)
        message.lease = 7
        message.prevKv = true
        message.ignoreValue = true
        message.ignoreLease = true
        try expectWire(
            message, [0x0A, 1, 0x6B, 0x12, 1, 0x76, 0x18, 7, 0x20, 1, 0x28, 1, 0x30, 1])
    }

    @Test func rangeResponseWithHeaderAndKeyValue() throws {
        var message = Etcdserverpb_RangeResponse()
        message.header.clusterID = 1
        message.header.memberID = 2
        message.header.revision = 3
        message.header.raftTerm = 4
        var kv = Mvccpb_KeyValue()
        kv.key = Data("k".utf8)
        kv.createRevision = 5
        kv.modRevision = 6
        kv.version = 2
        kv.value = Data("v".utf8)
        kv.lease = 9
        message.kvs = [kv]
        message.more = true
        message.count = 8
        try expectWire(
            message,
            [
                0x0A, 8, 0x08, 1, 0x10, 2, 0x18, 3, 0x20, 4,
                0x12, 14, 0x0A, 1, 0x6B, 0x10, 5, 0x18, 6, 0x20, 2, 0x2A, 1, 0x76, 0x30, 9,
                0x18, 1, 0x20, 8,
            ])
    }

    @Test func txnComparesAtField64AndNests() throws {
        var compare = Etcdserverpb_Compare()
        compare.result = .notEqual
        compare.target = .lease
        compare.key = Data("k".utf8)
        compare.lease = 5
        compare.rangeEnd = Data("l".utf8)
        var delete = Etcdserverpb_RequestOp()
        delete.requestDeleteRange.key = Data("d".utf8)
        delete.requestDeleteRange.prevKv = true
        var nested = Etcdserverpb_RequestOp()
        nested.requestTxn = Etcdserverpb_TxnRequest()
        var message = Etcdserverpb_TxnRequest()
        message.compare = [compare]
        message.success = [delete]
        message.failure = [nested]
        try expectWire(
            message,
            [
                0x0A, 13, 0x08, 3, 0x10, 4, 0x1A, 1, 0x6B, 0x40, 5, 0x82, 0x04, 1, 0x6C,
                0x12, 7, 0x1A, 5, 0x0A, 1, 0x64, 0x18, 1,
                0x1A, 2, 0x22, 0,
            ])
    }

    @Test func txnResponseKeepsEveryKindOfAnswer() throws {
        var range = Etcdserverpb_ResponseOp()
        range.responseRange.count = 1
        var put = Etcdserverpb_ResponseOp()
        put.responsePut = Etcdserverpb_PutResponse()
        var delete = Etcdserverpb_ResponseOp()
        delete.responseDeleteRange.deleted = 2
        var txn = Etcdserverpb_ResponseOp()
        txn.responseTxn.succeeded = true
        var message = Etcdserverpb_TxnResponse()
        message.succeeded = true
        message.responses = [range, put, delete, txn]
        try expectWire(
            message,
            [
                0x10, 1, 0x1A, 4, 0x0A, 2, 0x20, 1, 0x1A, 2, 0x12, 0, 0x1A, 4, 0x1A, 2, 0x10, 2,
                0x1A, 4, 0x22, 2, 0x10, 1,
            ])
    }

    @Test func statusResponseHasTheFieldsOf36() throws {
        var message = Etcdserverpb_StatusResponse()
        message.version = "3"
        message.dbSize = 3
        message.leader = 4
        message.raftIndex = 5
        message.raftTerm = 6
        message.raftAppliedIndex = 7
        message.errors = ["e"]
        message.dbSizeInUse = 9
        message.isLearner = true
        message.storageVersion = "s"
        message.dbSizeQuota = 12
        message.downgradeInfo.enabled = true
        message.downgradeInfo.targetVersion = "t"
        try expectWire(
            message,
            [
                0x12, 1, 0x33, 0x18, 3, 0x20, 4, 0x28, 5, 0x30, 6, 0x38, 7, 0x42, 1, 0x65, 0x48, 9,
                0x50, 1, 0x5A, 1, 0x73, 0x60, 12, 0x6A, 5, 0x08, 1, 0x12, 1, 0x74,
            ])
    }

    @Test func watchResponseHasItsEventsAtField11() throws {
        var event = Mvccpb_Event()
        event.type = .delete
        event.kv.key = Data("k".utf8)
        event.prevKv.key = Data("p".utf8)
        var message = Etcdserverpb_WatchResponse()
        message.watchID = 2
        message.created = true
        message.canceled = true
        message.compactRevision = 5
        message.cancelReason = "r"
        message.fragment = true
        message.events = [event]
        try expectWire(
            message,
            [
                0x10, 2, 0x18, 1, 0x20, 1, 0x28, 5, 0x32, 1, 0x72, 0x38, 1,
                0x5A, 12, 0x08, 1, 0x12, 3, 0x0A, 1, 0x6B, 0x1A, 3, 0x0A, 1, 0x70,
            ])
    }

    @Test func leaseTimeToLiveResponse() throws {
        var message = Etcdserverpb_LeaseTimeToLiveResponse()
        message.id = 2
        message.ttl = 3
        message.grantedTtl = 4
        message.keys = [Data("k".utf8)]
        try expectWire(message, [0x10, 2, 0x18, 3, 0x20, 4, 0x2A, 1, 0x6B])
    }

    @Test func membersAndAlarms() throws {
        var member = Etcdserverpb_Member()
        member.id = 1
        member.name = "n"
        member.peerUrls = ["p"]
        member.clientUrls = ["c"]
        member.isLearner = true
        try expectWire(
            member, [0x08, 1, 0x12, 1, 0x6E, 0x1A, 1, 0x70, 0x22, 1, 0x63, 0x28, 1])
        var alarm = Etcdserverpb_AlarmRequest()
        alarm.action = .deactivate
        alarm.memberID = 2
        alarm.alarm = .corrupt
        try expectWire(alarm, [0x08, 2, 0x10, 2, 0x18, 2])
    }

    @Test func snapshotChunkTellsItsPartsApart() throws {
        var start = Spine_V1_SnapshotChunk()
        start.keyspaceStart.keyspace = "d"
        start.keyspaceStart.revision = 2
        start.keyspaceStart.timestampUs = 3
        start.keyspaceStart.compactRevision = 4
        start.keyspaceStart.rowCountHint = 5
        start.keyspaceStart.clusterID = 6
        start.keyspaceStart.digest = Data([7])
        try expectWire(
            start,
            [
                0x0A, 16, 0x0A, 1, 0x64, 0x10, 2, 0x18, 3, 0x20, 4, 0x28, 5, 0x30, 6, 0x3A, 1, 7,
            ])
        var end = Spine_V1_SnapshotChunk()
        end.end = Spine_V1_SnapshotChunk.End()
        try expectWire(end, [0x22, 0])
    }

    /// Encodes to exactly these bytes, and these bytes decode to an equal message.
    private func expectWire<M: SwiftProtobuf.Message & Equatable>(
        _ message: M, _ wire: [UInt8], location: SourceLocation = #_sourceLocation
    ) throws {
        let encoded: [UInt8] = try message.serializedBytes()
        #expect(encoded == wire, sourceLocation: location)
        let decoded = try M(serializedBytes: wire)
        #expect(decoded == message, sourceLocation: location)
    }
}
