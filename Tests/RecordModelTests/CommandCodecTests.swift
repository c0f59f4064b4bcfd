import Primitives
import RecordModel
import Testing

@Suite struct CommandCodecTests {
    let id = ProposalID(node: NodeID(0x1122_3344_5566_7788), incarnation: 3, sequence: 300)

    /// docs/formats/command.md, "Worked example".
    @Test func theWorkedExampleIsEncodedAsDocumented() throws {
        let command = Command(
            id: id,
            body: .operation(
                .txn(
                    TxnRequest(
                        compares: [
                            Compare(
                                range: .key(bytes("p1")), relation: .equal,
                                target: .modRevision(Revision(7)))
                        ],
                        success: [
                            .put(
                                PutRequest(
                                    key: bytes("p1"), value: bytes("v2"), wantsPrevious: true,
                                    terms: [IndexTerm(name: bytes("nhs"), value: bytes("999"))]))
                        ],
                        failure: [
                            .range(RangeRequest(range: .prefix(bytes("p")), limit: 10)),
                            .deleteRange(
                                DeleteRangeRequest(
                                    range: KeyRange(lower: bytes("q"), end: .unbounded))
                            ),
                        ]))))
        let documented = hex(
            """
            01  88 77 66 55 44 33 22 11  03  ac 02  01
              04
                01  00 02 70 31  00  02 0e
                01  02 11 02 70 31 02 76 32 01 03 6e 68 73 03 39 39 39
                02  01  01 01 70 01 71  00 00 80 14
                    03  02 01 71  00
            """)
        #expect(command.encode() == documented)
        #expect(try Command(decoding: documented) == command)
    }

    /// docs/formats/command.md, "Lease command".
    @Test func theLeaseExampleIsEncodedAsDocumented() throws {
        let command = Command(
            id: ProposalID(node: NodeID(0x1122_3344_5566_7788), incarnation: 3, sequence: 300),
            body: .lease(.expire(LeaseID(0x1234), generation: LogIndex(130), term: Term(5))))
        let documented = hex(
            "01  88 77 66 55 44 33 22 11  03  ac 02  08  03  34 12 00 00 00 00 00 00  82 01  05")
        #expect(command.encode() == documented)
        #expect(try Command(decoding: documented) == command)
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func whatIsEncodedIsDecoded(seed: UInt64) throws {
        print("seed \(seed)")
        var generator = CommandGenerator(seed: seed)
        for _ in 0..<2_000 {
            let command = generator.command()
            let encoded = command.encode()
            #expect(try Command(decoding: encoded) == command)
            // A slice that does not begin at zero.
            #expect(try Command(decoding: ([9, 9] + encoded)[2...]) == command)
        }
    }

    @Test func bytesThatEndEarlyOrLateAreRefused() {
        var generator = CommandGenerator(seed: 4)
        for _ in 0..<200 {
            let encoded = generator.command().encode()
            for length in 0..<encoded.count {
                #expect(throws: DecodingFailure.self) {
                    try Command(decoding: encoded[..<length])
                }
            }
            #expect(throws: DecodingFailure.trailingBytes(count: 1)) {
                try Command(decoding: encoded + [0])
            }
        }
    }

    @Test func rottenBytesNeverTrap() {
        var generator = CommandGenerator(seed: 5)
        for _ in 0..<2_000 {
            var encoded = generator.command().encode()
            let at = Int.random(in: 0..<encoded.count, using: &generator.random)
            encoded[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator.random)
            _ = try? Command(decoding: encoded)
        }
    }

    @Test func anotherFormatVersionIsRefused() {
        var encoded = Command(id: id, body: .restoreActivate(restoreID: "r")).encode()
        encoded[0] = 2
        #expect(throws: DecodingFailure.unsupportedVersion(2)) { try Command(decoding: encoded) }
    }

    @Test func aHostileCountIsRefusedBeforeAnythingIsAllocated() {
        // A transaction of 2^40 compares in a few bytes.
        let encoded = hex("01 0000000000000000 00 00 01 04 80 80 80 80 80 20 00 00")
        #expect(throws: DecodingFailure.truncated(field: "compares", offset: 13)) {
            try Command(decoding: encoded)
        }
        let terms = hex("01 0000000000000000 00 00 01 02 10 01 61 00 ff ff ff ff 0f")
        #expect(throws: DecodingFailure.truncated(field: "terms", offset: 17)) {
            try Command(decoding: terms)
        }
    }

    @Test func transactionsNestAsDeepAsTheLimitAndNotDeeper() throws {
        func nested(_ depth: Int) -> Command {
            var operation = Operation.txn(TxnRequest())
            for _ in 1..<depth { operation = .txn(TxnRequest(success: [operation])) }
            return Command(id: id, body: .operation(operation))
        }
        let deepest = nested(Operation.nestingDepthMax)
        #expect(try Command(decoding: deepest.encode()) == deepest)
        let tooDeep = nested(Operation.nestingDepthMax + 1)
        #expect(throws: DecodingFailure.self) { try Command(decoding: tooDeep.encode()) }
        guard case .operation(let fits) = deepest.body, case .operation(let exceeds) = tooDeep.body
        else { return }
        #expect(fits.validate() == nil)
        #expect(exceeds.validate() == .malformed("transactions nested deeper than 32"))
    }
}
