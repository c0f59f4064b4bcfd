import Foundation
import RecordModel
import Testing
import WireProtocol

/// What etcd refuses before it proposes anything, and in which order (its `v3rpc/key.go`).
@Suite struct EtcdRequestTests {
    private func range(_ key: String) -> Etcdserverpb_RequestOp {
        var operation = Etcdserverpb_RequestOp()
        operation.requestRange.key = Data(key.utf8)
        return operation
    }

    private func put(
        _ key: String, value: String = "", ignoresValue: Bool = false, lease: Int64 = 0,
        ignoresLease: Bool = false
    ) -> Etcdserverpb_RequestOp {
        var operation = Etcdserverpb_RequestOp()
        operation.requestPut.key = Data(key.utf8)
        operation.requestPut.value = Data(value.utf8)
        operation.requestPut.ignoreValue = ignoresValue
        operation.requestPut.lease = lease
        operation.requestPut.ignoreLease = ignoresLease
        return operation
    }

    private func nested(_ operations: [Etcdserverpb_RequestOp]) -> Etcdserverpb_RequestOp {
        var operation = Etcdserverpb_RequestOp()
        operation.requestTxn.success = operations
        return operation
    }

    private func refusal(
        _ success: [Etcdserverpb_RequestOp], operationsMax: Int = 128
    ) -> EtcdError? {
        var txn = Etcdserverpb_TxnRequest()
        txn.success = success
        do throws(EtcdError) {
            _ = try TxnRequest(txn, operationsMax: operationsMax)
            return nil
        } catch {
            return error
        }
    }

    @Test func theFirstWrongOperationIsNamed() {
        let valueGiven = put("a", value: "1", ignoresValue: true)
        let leaseGiven = put("a", lease: 5, ignoresLease: true)
        #expect(refusal([range("a"), valueGiven, range("")]) == .valueProvided)
        #expect(refusal([leaseGiven, valueGiven]) == .leaseProvided)
        #expect(refusal([nested([put("")]), valueGiven]) == .emptyKey)
        #expect(refusal([range("a"), put("a", value: "1", lease: 5)]) == nil)
    }

    @Test func anOperationWithoutARequestIsAKeyNotFound() {
        #expect(refusal([range("a"), Etcdserverpb_RequestOp()]) == .keyNotFound)
        #expect(refusal([nested([Etcdserverpb_RequestOp()])]) == .keyNotFound)
    }

    @Test func whatATransactionHoldsIsTakenOffForThoseNestedInIt() {
        let three = [range("a"), range("b"), range("c")]
        #expect(refusal(three, operationsMax: 3) == nil)
        #expect(refusal(three, operationsMax: 2) == .tooManyOperations)
        #expect(refusal([nested(three)], operationsMax: 4) == nil)
        #expect(refusal([nested(three)], operationsMax: 3) == .tooManyOperations)
        #expect(refusal([range("x"), nested(three)], operationsMax: 4) == .tooManyOperations)
        // Beside each other they count alone.
        #expect(refusal([nested(three), nested(three)], operationsMax: 5) == nil)
    }

    @Test func aNegativeRevisionIsKept() throws {
        var wire = Etcdserverpb_RangeRequest()
        wire.key = Data("a".utf8)
        #expect(try RangeRequest(wire).revision == nil)
        wire.revision = -1
        #expect(try RangeRequest(wire).revision == Revision(-1))
    }
}
