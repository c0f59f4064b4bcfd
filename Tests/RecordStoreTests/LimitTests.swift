import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

/// Bounds of memory: what does not fit is refused whole, and alike everywhere.
@Suite struct LimitTests {
    private static let valueBytes = 1_000
    private static let recordBytes = valueBytes + 4 + Record.overheadBytes

    /// 100 records, put in no order; the later its key, the earlier its value in order.
    private func shard(_ limits: CommandLimits = .first) throws -> Shard {
        let shard = try Shard(limits: limits)
        var generator = SeededGenerator(seed: 5)
        print("seed 5")
        for number in (0..<100).shuffled(using: &generator) {
            let value = Bytes(repeating: UInt8(200 - number), count: Self.valueBytes)
            try shard.run(.put(PutRequest(key: key(number), value: value)))
        }
        return shard
    }

    private func key(_ number: Int) -> Bytes { bytes("k" + "\(1_000 + number)".dropFirst()) }

    private func room(records: Int) -> AnswerLimits {
        AnswerLimits(bytesMax: records * Self.recordBytes)
    }

    @Test func anAnswerThatDoesNotFitIsRefusedAndItsPagesAreNot() throws {
        let reader = try shard().store.makeReader()
        let everything = RangeRequest(range: .everything)
        #expect(try reader.range(everything, room(records: 100)).records.count == 100)
        let limits = room(records: 99)
        let refusal = RecordReadFailure.refused(.answerTooLarge(limit: limits.bytesMax))
        #expect(throws: refusal) { try reader.range(everything, limits) }
        // A read at a past revision gathers in another way.
        let past = RangeRequest(range: .everything, revision: Revision(100))
        #expect(try reader.range(past, limits).records.count == 99)
        #expect(throws: RecordReadFailure.self) { try reader.range(past, room(records: 98)) }
        var first = everything
        first.limit = 98
        let page = try reader.range(first, limits)
        #expect(page.records.count == 98 && page.count == 100 && page.more)
        var count = everything
        count.countOnly = true
        #expect(try reader.range(count, AnswerLimits(bytesMax: 0)).count == 100)
        var keys = everything
        keys.keysOnly = true
        let keysRoom = AnswerLimits(bytesMax: 100 * (4 + Record.overheadBytes))
        #expect(try reader.range(keys, keysRoom).records.count == 100)
    }

    /// The best ten of a hundred in the memory of some thirty.
    @Test(arguments: [RangeRequest.SortOrder.ascend, .descend])
    func sortingWithALimitHoldsLittle(order: RangeRequest.SortOrder) throws {
        let reader = try shard().store.makeReader()
        for target: RangeRequest.SortTarget in [.key, .version, .create, .mod, .value] {
            let all = try reader.range(
                RangeRequest(range: .everything, sortOrder: order, sortTarget: target))
            let few = try reader.range(
                RangeRequest(
                    range: .everything, limit: 10, sortOrder: order, sortTarget: target),
                room(records: 30))
            #expect(few.records == Array(all.records.prefix(10)), "\(target)")
            #expect(few.count == 100 && few.more)
        }
    }

    @Test func aLimitThatNoMemoryCouldHoldIsNone() throws {
        let reader = try shard().store.makeReader()
        for limit in [Int.max, .max - 1, 1 << 62] {
            for order: RangeRequest.SortOrder in [.none, .descend] {
                let found = try reader.range(
                    RangeRequest(range: .everything, limit: limit, sortOrder: order))
                #expect(found.records.count == 100 && !found.more)
            }
        }
    }

    @Test func rangesOfOneTransactionShareTheirRoom() throws {
        let reader = try shard().store.makeReader()
        let range = Operation.range(RangeRequest(range: .everything))
        let txn = TxnRequest(success: [range, .txn(TxnRequest(success: [range]))])
        #expect(throws: Never.self) { try reader.compare(txn, room(records: 200)) }
        #expect(throws: RecordReadFailure.self) { try reader.compare(txn, room(records: 199)) }
    }

    @Test func anAnswerInTheLogIsBoundedAlikeOnEveryReplica() throws {
        let limits = CommandLimits(answers: room(records: 50), changeBytesMax: 1 << 30)
        let refusal = CommandRefusal.answerTooLarge(limit: limits.answers.bytesMax)
        let shard = try shard(limits)
        let everything = KeyRange.everything
        let deletion = Operation.deleteRange(
            DeleteRangeRequest(range: everything, wantsPrevious: true))
        #expect(try shard.refusal(deletion) == refusal)
        let txn = Operation.txn(
            TxnRequest(success: [put("new", "1"), .range(RangeRequest(range: everything))]))
        #expect(try shard.refusal(txn) == refusal)
        // A refused command has left nothing.
        #expect(shard.store.revision == Revision(101))
        #expect(try shard.range(RangeRequest(range: everything)).count == 100)
        let quiet = Operation.deleteRange(DeleteRangeRequest(range: everything))
        #expect(try shard.result(quiet) == .deleteRange(deleted: 100, previous: []))
    }

    @Test func aCommandThatChangesTooMuchIsRefusedWhole() throws {
        let limits = CommandLimits(answers: room(records: 500), changeBytesMax: 120_000)
        let shard = try shard(limits)
        let deletion = Operation.deleteRange(DeleteRangeRequest(range: .everything))
        #expect(try shard.refusal(deletion) == .changeTooLarge(limit: 120_000))
        let nested = Operation.txn(TxnRequest(success: [.txn(TxnRequest(success: [deletion]))]))
        #expect(try shard.refusal(nested) == .changeTooLarge(limit: 120_000))
        #expect(try shard.range(RangeRequest(range: .everything)).count == 100)
        // In parts it is done.
        for part in ["k00", "k01", "k02", "k03", "k04", "k05", "k06", "k07", "k08", "k09"] {
            let request = DeleteRangeRequest(range: .prefix(bytes(part)))
            #expect(
                try shard.result(.deleteRange(request)) == .deleteRange(deleted: 10, previous: []))
        }
        #expect(try shard.range(RangeRequest(range: .everything)).count == 0)
    }

    /// Few entries can change much: the engine gets them in several batches, each with its own
    /// applied index.
    @Test func manyLargeEntriesAreAppliedInSeveralBatches() throws {
        let value = Bytes(repeating: 7, count: RecordStore.batchBytesMax / 4)
        let entries = (1...7).map {
            entry(UInt64($0), .operation(.put(PutRequest(key: bytes("k"), value: value))))
        }
        let shard = try Shard()
        let first = try shard.store.applySome(entries[...])
        #expect((2...4).contains(first.count))
        #expect(shard.store.appliedIndex == LogIndex(UInt64(first.count)))
        let rest = try shard.store.apply(entries)
        #expect(rest.map(\.index.rawValue) == Array(UInt64(first.count) + 1...7))
        #expect(shard.store.revision == Revision(8))
    }
}
