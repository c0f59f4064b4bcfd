import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

@Suite struct LeaseTests {
    private let one = LeaseID(1)
    private let two = LeaseID(2)
    private let everything = RangeRequest(range: KeyRange(lower: [0], end: .unbounded))

    private func putWith(
        _ lease: Int64, _ key: String, ignoresLease: Bool = false
    ) -> Operation {
        .put(
            PutRequest(
                key: bytes(key), value: bytes("v"), lease: lease, ignoresLease: ignoresLease))
    }

    private func keys(_ shard: Shard, _ id: LeaseID) throws -> [String] {
        try shard.store.makeReader().keys(of: id).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func aGrantChangesNoRevisionAndIsListed() throws {
        let shard = try Shard()
        let outcome = try shard.run(.lease(.grant(two, seconds: 10)))
        let lease = Lease(id: two, seconds: 10, generation: LogIndex(1))
        #expect(outcome.result == .success(.lease(.granted(lease))))
        #expect(outcome.revision == .initial)
        try shard.run(.lease(.grant(LeaseID(-7), seconds: 3)))
        #expect(try shard.store.leases().map(\.id) == [LeaseID(-7), two])
        #expect(try shard.store.makeReader().lease(one) == nil)
    }

    /// etcd `Grant`: the id, then the time, then a lease of that id.
    @Test func grantsAreRefusedInEtcdsOrder() throws {
        let shard = try Shard()
        try shard.run(.lease(.grant(one, seconds: 10)))
        let tooLong = Lease.secondsMax + 1
        #expect(
            try shard.refusal(.lease(.grant(.none, seconds: tooLong))) == .leaseNotFound(0))
        #expect(
            try shard.refusal(.lease(.grant(one, seconds: tooLong)))
                == .leaseTooLong(seconds: tooLong))
        #expect(
            try shard.refusal(.lease(.grant(two, seconds: 0))) == .leaseTooLong(seconds: 0))
        #expect(try shard.refusal(.lease(.grant(one, seconds: 5))) == .leaseExists(one))
        #expect(try shard.store.leases().map(\.seconds) == [10])
    }

    @Test func revokingDeletesTheKeysInOrderAtOneRevision() throws {
        let shard = try Shard()
        try shard.run(.lease(.grant(one, seconds: 10)))
        for key in ["c", "a", "b", "other"] {
            try shard.run(putWith(key == "other" ? 0 : 1, key))
        }
        #expect(try keys(shard, one) == ["a", "b", "c"])
        let outcome = try shard.run(.lease(.revoke(one)))
        #expect(outcome.result == .success(.lease(.ended)))
        #expect(outcome.revision == Revision(6))
        #expect(try shard.listing(everything) == ["other=v"])
        let ends = try ["a", "b", "c"].map { key in
            try shard.store.makeReader().history(of: bytes(key), limit: 1).first
        }
        #expect(ends.map { $0?.modRevision } == [Revision(6), Revision(6), Revision(6)])
        #expect(ends.map { $0?.subRevision } == [0, 1, 2])
        #expect(try keys(shard, one).isEmpty)
        #expect(try shard.store.leases().isEmpty)
        #expect(try shard.refusal(.lease(.revoke(one))) == .leaseNotFound(1))
        #expect(try shard.refusal(putWith(1, "a")) == .leaseNotFound(1))
    }

    @Test func revokingALeaseWithoutKeysKeepsTheRevision() throws {
        let shard = try Shard()
        try shard.run(.lease(.grant(one, seconds: 10)))
        try shard.run(put("a", "1"))
        #expect(try shard.run(.lease(.revoke(one))).revision == Revision(2))
    }

    @Test func aKeyBelongsToTheLeaseOfItsNewestVersion() throws {
        let shard = try Shard()
        for id in [one, two] { try shard.run(.lease(.grant(id, seconds: 10))) }
        try shard.run(putWith(1, "k"))
        try shard.run(putWith(2, "k"))
        #expect(try keys(shard, one).isEmpty)
        #expect(try keys(shard, two) == ["k"])
        try shard.run(putWith(0, "k", ignoresLease: true))
        #expect(try keys(shard, two) == ["k"])
        #expect(try shard.store.makeReader().record(bytes("k"))?.lease == 2)
        try shard.run(put("k", "without"))
        #expect(try keys(shard, two).isEmpty)
        try shard.run(putWith(1, "k"))
        try shard.run(delete("k"))
        #expect(try keys(shard, one).isEmpty)
        try shard.run(put("k", "new"))
        try shard.run(.lease(.revoke(one)))
        try shard.run(.lease(.revoke(two)))
        #expect(try shard.listing(everything) == ["k=new"])
    }

    @Test func aTransactionWithAnUnknownLeaseDoesNothing() throws {
        let shard = try Shard()
        try shard.run(.lease(.grant(one, seconds: 10)))
        let mixed = TxnRequest(success: [putWith(1, "a"), putWith(9, "b")])
        #expect(try shard.refusal(.txn(mixed)) == .leaseNotFound(9))
        #expect(try keys(shard, one).isEmpty)
        #expect(shard.store.revision == .initial)
        try shard.run(.txn(TxnRequest(success: [putWith(1, "a"), putWith(1, "b")])))
        #expect(try keys(shard, one) == ["a", "b"])
    }

    /// A decision holds in its term and for its generation, and nowhere else.
    @Test func decisionsOfOtherTermsAndGenerationsAreRefused() throws {
        let shard = try Shard()
        try shard.run(.lease(.grant(one, seconds: 10)))
        try shard.run(putWith(1, "k"))
        let now = Term(1)
        let generation = LogIndex(1)
        func refusal(_ command: LeaseCommand) throws -> CommandRefusal? {
            try shard.refusal(.lease(command))
        }
        #expect(
            try refusal(.expire(one, generation: generation, term: Term(2)))
                == .leaseDecisionStale(one))
        #expect(
            try refusal(.expire(one, generation: LogIndex(2), term: now))
                == .leaseDecisionStale(one))
        #expect(
            try refusal(.expire(two, generation: generation, term: now)) == .leaseNotFound(2))
        #expect(
            try refusal(.renew(one, generation: generation, term: Term(0)))
                == .leaseDecisionStale(one))
        #expect(try refusal(.renew(one, generation: generation, term: now)) == nil)
        #expect(
            try refusal(.expire(one, generation: generation, term: now))
                == .leaseDecisionStale(one))
        let renewed = try #require(try shard.store.makeReader().lease(one))
        #expect(try refusal(.expire(one, generation: renewed.generation, term: now)) == nil)
        #expect(try shard.listing(everything).isEmpty)
    }

    @Test func aCheckpointIsKeptUntilARenewal() throws {
        let shard = try Shard()
        for id in [one, two] { try shard.run(.lease(.grant(id, seconds: 10))) }
        func checkpoint(_ seconds: Int64, of id: LeaseID, term: UInt64 = 1) throws {
            let one = LeaseCheckpoint(
                id: id, generation: LogIndex(UInt64(id.rawValue)), remainingSeconds: seconds)
            let gone = LeaseCheckpoint(
                id: LeaseID(9), generation: LogIndex(1), remainingSeconds: 1)
            try shard.run(.lease(.checkpoint([gone, one], term: Term(term))))
        }
        func left() throws -> [Int64] { try shard.store.leases().map(\.remainingSeconds) }
        try checkpoint(4, of: one)
        #expect(try left() == [4, 0])
        try checkpoint(3, of: one, term: 2)
        try checkpoint(11, of: two)
        try checkpoint(0, of: two)
        #expect(try left() == [4, 0])
        try shard.run(.lease(.renew(one, generation: LogIndex(1), term: Term(1))))
        try checkpoint(2, of: one)
        #expect(try left() == [0, 0])
    }

    @Test func whatAppliedEntriesDidToLeasesIsTold() throws {
        let shard = try Shard()
        func changes(_ command: LeaseCommand) throws -> [LeaseChange] {
            let next = entry(shard.store.appliedIndex.rawValue + 1, .lease(command))
            return try shard.store.apply([next]).flatMap(\.leaseChanges)
        }
        let lease = Lease(id: one, seconds: 7, generation: LogIndex(1))
        #expect(try changes(.grant(one, seconds: 7)) == [.begun(lease)])
        #expect(try changes(.grant(one, seconds: 7)) == [])
        #expect(
            try changes(.renew(one, generation: LogIndex(1), term: Term(1)))
                == [.begun(Lease(id: one, seconds: 7, generation: LogIndex(3)))])
        #expect(try changes(.revoke(one)) == [.ended(one)])
    }

    @Test func leasesOutliveARestartAndEndWithARestore() throws {
        let shard = try Shard()
        try shard.run(.lease(.grant(one, seconds: 10)))
        let again = try Shard(engine: shard.engine)
        #expect(try again.store.leases().map(\.id) == [one])
        let begin = Command.Body.restoreBegin(
            restoreID: "r", revision: Revision(5), compactRevision: .none)
        let applied = try again.store.apply([entry(2, begin)])
        #expect(applied.flatMap(\.leaseChanges) == [.cleared])
        #expect(
            try again.refusal(.lease(.grant(two, seconds: 3))) == .restoring(restoreID: "r"))
        let rows = try dump(again.engine).filter { $0[0][0] == Table.leases.rawValue }
        #expect(rows.isEmpty)
    }

    /// docs/formats/record-tables.md, "Leases".
    @Test func workedExample() throws {
        let shard = try Shard(.fhir)
        try shard.run(.lease(.grant(LeaseID(0x1234), seconds: 60)))
        try shard.run(putWith(0x1234, "p"))
        let checkpoint = LeaseCheckpoint(
            id: LeaseID(0x1234), generation: LogIndex(1), remainingSeconds: 35)
        try shard.run(.lease(.checkpoint([checkpoint], term: Term(1))))
        let rows = try dump(shard.engine).filter { [5, 6].contains($0[0][0]) }
        #expect(
            rows == [
                [hex("05 00000002 8000000000001234"), hex("01 3c 01 23 0461b0f2")],
                [hex("06 00000002 8000000000001234 70 0001"), hex("01")],
            ])
    }

    @Test func aDamagedLeaseIsNoticed() throws {
        let shard = try Shard()
        try shard.run(.lease(.grant(one, seconds: 10)))
        let row = try #require(try dump(shard.engine).first { $0[0][0] == 5 })
        for place in row[1].indices {
            var damaged = row[1]
            damaged[place] ^= 4
            var batch = WriteBatch()
            batch.put(row[0], damaged)
            try shard.engine.commit(batch)
            #expect(throws: RecordStoreError.self, "byte \(place)") { try shard.store.leases() }
        }
    }
}
