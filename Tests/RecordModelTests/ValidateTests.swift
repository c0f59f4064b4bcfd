import Primitives
import RecordModel
import Testing

/// What etcd refuses before it proposes (server/etcdserver/api/v3rpc/key.go).
@Suite struct ValidateTests {
    func put(_ key: String) -> Operation { .put(PutRequest(key: bytes(key), value: [])) }
    func delete(_ range: KeyRange) -> Operation { .deleteRange(DeleteRangeRequest(range: range)) }
    func txn(_ success: [Operation], _ failure: [Operation] = []) -> Operation {
        .txn(TxnRequest(success: success, failure: failure))
    }

    @Test func keysMustBeGiven() {
        #expect(put("").validate() == .emptyKey)
        #expect(delete(.key([])).validate() == .emptyKey)
        #expect(Operation.range(RangeRequest(range: .key([]))).validate() == .emptyKey)
        #expect(
            Operation.range(RangeRequest(range: KeyRange(lower: [], end: .before(bytes("b")))))
                .validate() == .emptyKey)
        #expect(Operation.range(RangeRequest(range: .everything)).validate() == nil)
        #expect(txn([txn([], [put("")])]).validate() == .emptyKey)
        let compare = Compare(range: .key([]), relation: .equal, target: .version(0))
        #expect(Operation.txn(TxnRequest(compares: [compare])).validate() == .emptyKey)
    }

    @Test func whatIsIgnoredMustNotBeGiven() {
        let value = PutRequest(key: bytes("a"), value: bytes("v"), ignoresValue: true)
        #expect(Operation.put(value).validate() == .valueProvided)
        let lease = PutRequest(key: bytes("a"), value: [], lease: 5, ignoresLease: true)
        #expect(txn([.put(lease)]).validate() == .leaseProvided)
    }

    @Test func aKeyIsPutOnceInAList() {
        #expect(txn([put("a"), put("b")]).validate() == nil)
        #expect(txn([put("a"), put("a")]).validate() == .duplicateKey)
        #expect(txn([], [put("a"), put("a")]).validate() == .duplicateKey)
        // Only one of the lists runs.
        #expect(txn([put("a")], [put("a")]).validate() == nil)
        #expect(txn([txn([put("a")], [put("a")])]).validate() == nil)
        #expect(txn([put("a"), txn([put("a")])]).validate() == .duplicateKey)
        #expect(txn([put("a"), txn([], [put("a")])]).validate() == .duplicateKey)
        #expect(txn([txn([put("a")]), txn([], [put("a")])]).validate() == .duplicateKey)
    }

    @Test func whatAListDeletesItDoesNotPut() {
        let aToC = KeyRange(lower: bytes("a"), end: .before(bytes("c")))
        #expect(txn([put("b"), delete(aToC)]).validate() == .duplicateKey)
        #expect(txn([delete(aToC), put("c")]).validate() == nil)
        #expect(txn([delete(.key(bytes("b"))), put("b")]).validate() == .duplicateKey)
        #expect(txn([delete(aToC), txn([put("b")])]).validate() == .duplicateKey)
        #expect(txn([txn([delete(aToC)]), put("b")]).validate() == .duplicateKey)
        #expect(txn([txn([delete(aToC)]), txn([put("b")])]).validate() == .duplicateKey)
        #expect(txn([delete(aToC), delete(aToC)]).validate() == nil)
    }

    /// etcd's interval tree does not see these; clients rely on none of them being refused.
    @Test func etcdsGapsAreKept() {
        let fromA = KeyRange(lower: bytes("a"), end: .unbounded)
        #expect(txn([delete(fromA), put("b")]).validate() == nil)
        #expect(txn([txn([put("b")]), txn([delete(.key(bytes("b")))])]).validate() == nil)
    }

    @Test func etcdsPairsBecomeRanges() {
        #expect(KeyRange(key: bytes("a"), rangeEnd: []) == .key(bytes("a")))
        #expect(KeyRange(key: bytes("a"), rangeEnd: bytes("b")) == .prefix(bytes("a")))
        #expect(KeyRange(key: [0], rangeEnd: [0]) == .everything)
        #expect(KeyRange.prefix([1, 0xFF, 0xFF]).end == .before([2]))
        #expect(KeyRange.prefix([0xFF]).end == .unbounded)
        #expect(!KeyRange(key: bytes("b"), rangeEnd: bytes("a")).contains(bytes("b")))
    }
}
