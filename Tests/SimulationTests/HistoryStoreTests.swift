import Primitives
import RecordModel
import Simulation
import Testing

/// Whole histories, with transactions and ranges, whose verdict is known.
@Suite struct HistoryStoreTests {
    static let cases: [HistoryCase] = [
        .good("nothing", ""),
        .good(
            "one after another",
            """
            1 → get a..z
            1 ← {} @1
            1 → put x a
            1 ← put @2
            1 → put y b
            1 ← put @3
            1 → put x c
            1 ← put @4
            1 → get a..z
            1 ← {x=c@4:2:2, y=b@3} @4
            1 → get a..z at 3
            1 ← {x=a@2, y=b@3} @4
            1 → del x
            1 ← deleted 1 @5
            1 → del x
            1 ← deleted 0 @5
            1 → put x d
            1 ← put @6
            1 → get x
            1 ← {x=d@6} @6
            """),
        .bad("a stale read", "1 → put x a\n1 ← put @2\n2 → get x\n2 ← {} @1"),
        .good("a serializable stale read", "1 → put x a\n1 ← put @2\n2 → sget x\n2 ← {} @1"),
        .bad(
            "a serializable read that shows what its revision does not hold",
            "1 → put x a\n1 ← put @2\n2 → sget x\n2 ← {x=a@2} @1"),
        .bad(
            "a serializable read of what is asked for later",
            "2 → sget x\n2 ← {x=a@2} @2\n1 → put x a\n1 ← put @2"),
        .bad(
            "what a serializable read has seen is not there later",
            "1 → put x a\n2 → sget x\n2 ← {x=a@2} @2\n2 → get x\n2 ← {} @1\n1 ← put @2"),
        .bad(
            "reads that go back beside a put",
            "1 → put x a\n2 → get x\n2 ← {x=a@2} @2\n3 → get x\n3 ← {} @1\n1 ← put @2"),
        .bad(
            "a value that was never written", "1 → put x a\n1 ← put @2\n2 → get x\n2 ← {x=b@2} @2"),
        .bad(
            "revisions look fine, but stand against real time",
            "1 → put x a\n1 ← put @3\n2 → put y b\n2 ← put @2\n1 → get x\n1 ← {x=a@3} @3"),
        .good(
            "the same beside each other",
            "1 → put x a\n2 → put y b\n1 ← put @3\n2 ← put @2\n1 → get x\n1 ← {x=a@3} @3"),
        .bad("one revision given twice", "1 → put x a\n2 → put y b\n1 ← put @2\n2 ← put @2"),
        .bad(
            "a lost update",
            """
            1 → put x a
            1 ← put @2
            1 → txn x@2 ? put x b :
            2 → txn x@2 ? put x c :
            1 ← then put @3
            2 ← then put @4
            """),
        .good(
            "one of two transactions takes the other list",
            """
            1 → put x a
            1 ← put @2
            1 → txn x@2 ? put x b : get x
            2 → txn x@2 ? put x c : get x
            1 ← then put @3
            2 ← else {x=b@3:2:2} @3
            """),
        .good(
            "a transaction reads what it wrote itself",
            "1 → txn ? put x a; get x; del x..z : \n1 ← then put; {x=a@2}; deleted 1 @2"),
        .bad(
            "a transaction that reads a mixed state",
            """
            1 → txn ? put x a; put y a :
            1 ← then put; put @2
            1 → txn ? put x b; put y b :
            2 → txn ? get x; get y :
            1 ← then put; put @3
            2 ← then {x=b@3:2:2}; {y=a@2} @3
            """),
        .bad(
            "a range that tears a transaction apart",
            "1 → txn ? put x a; put y a :\n2 → get x..z\n2 ← {x=a@2} @2\n1 ← then put; put @2"),
        .bad(
            "a transaction takes the wrong list",
            "1 → put x a\n1 ← put @2\n1 → txn x=a ? put y b : get x\n1 ← else {x=a@2} @2"),
        .bad(
            "a range forgets a deletion",
            "1 → put x a\n1 ← put @2\n1 → del x\n1 ← deleted 1 @3\n1 → get a..z\n"
                + "1 ← {x=a@2} @3"),
        .bad(
            "a version that counts over a deletion",
            """
            1 → put x a
            1 ← put @2
            1 → del x
            1 ← deleted 1 @3
            1 → put x b
            1 ← put @4
            1 → get x
            1 ← {x=b@4:2:2} @4
            """),
        .bad(
            "a past revision that changed",
            "1 → put x a\n1 ← put @2\n1 → put x b\n1 ← put @3\n1 → get x at 2\n"
                + "1 ← {x=b@3:2:2} @3"),
        .bad(
            "a refused put that took effect", "1 → put x a\n1 ← refused\n2 → get x\n2 ← {x=a@2} @2"),
        .bad(
            "a refused put that used a revision",
            "1 → put x a\n1 ← refused\n2 → put y b\n2 ← put @3"),
        .good(
            "a put of unknown outcome, seen",
            "1 → put x a\n1 ← unknown\n2 → get x\n2 ← {x=a@2} @2"),
        .good(
            "a put of unknown outcome, seen by its revision only",
            "1 → put x a\n1 ← unknown\n2 → put y b\n2 ← put @3"),
        .good(
            "a put of unknown outcome that did not happen",
            "1 → put x a\n1 ← unknown\n2 → put y b\n2 ← put @2\n2 → get a..z\n2 ← {y=b@2} @2"),
        .good(
            "a put of unknown outcome that took effect late",
            """
            1 → put x a
            1 ← unknown
            2 → put x b
            2 ← put @2
            2 → get x
            2 ← {x=b@2} @2
            2 → get x
            2 ← {x=a@3:2:2} @3
            """),
        .bad(
            "a put of unknown outcome that took effect twice",
            """
            1 → put x a
            1 ← unknown
            2 → put x b
            2 ← put @3
            2 → get x
            2 ← {x=a@4:2:3} @4
            """),
        .bad(
            "an acknowledged put that was applied twice",
            "1 → put x a\n1 ← put @2\n2 → get x\n2 ← {x=a@3:2:2} @3"),
        .bad(
            "a gap that no operation explains",
            "1 → put x a\n1 ← put @2\n1 → put x b\n1 ← put @4"),
        .bad(
            "a gap before the only operation that could have made it",
            "1 → put x a\n1 ← put @3\n2 → put y b\n2 ← unknown"),
        .bad(
            "a gap filled by what was asked for when a later revision was known",
            """
            1 → put y a
            1 ← unknown
            2 → put z b
            2 ← put @3
            3 → put x c
            3 ← unknown
            2 → get a..zz
            2 ← {x=c@2, z=b@3} @3
            """),
        .good(
            "two gaps that give back what a later one needs",
            """
            1 → put y a
            1 ← unknown
            2 → put z a
            2 ← unknown
            3 → put q b
            3 ← unknown
            4 → put q b
            4 ← unknown
            5 → get q
            5 ← {q=b@4} @4
            """),
        .bad(
            "a gap that a delete of nothing cannot have made",
            "1 → del x\n1 ← unknown\n2 → put y b\n2 ← put @3"),
        .bad(
            "a gap whose only operation would show",
            "1 → put x a\n1 ← unknown\n2 → put y b\n2 ← put @3\n2 → get a..z\n2 ← {y=b@3} @3"),
        .good(
            "a gap filled by the delete that a later read shows",
            """
            1 → put x a
            1 ← put @2
            1 → del x
            1 ← unknown
            2 → put z b
            2 ← unknown
            3 → put y c
            3 ← put @4
            3 → get a..zz
            3 ← {y=c@4} @4
            """),
        .good(
            "two gaps, and the order that a version tells much later",
            """
            1 → put x a
            1 ← unknown
            2 → put x b
            2 ← unknown
            3 → put y c
            3 ← put @4
            3 → put x d
            3 ← put @5
            3 → get x at 3
            3 ← {x=b@3:2:2} @5
            3 → get x
            3 ← {x=d@5:2:3} @5
            """),
        .bad(
            "a condition of unknown outcome fills a gap in which it could not hold",
            """
            1 → put x a
            1 ← put @2
            2 → txn x=b ? put y b :
            2 ← unknown
            1 → put x c
            1 ← put @4
            """),
        .good(
            "a condition of unknown outcome that another one made hold",
            """
            1 → put x a
            1 ← unknown
            2 → txn x=a ? put y b :
            2 ← unknown
            3 → get y
            3 ← {y=b@3} @3
            """),
    ]

    @Test(arguments: cases)
    func verdict(_ known: HistoryCase) {
        let verdict = RevisionOrder().check(Transcript(known.transcript).storeHistory)
        if known.isGood {
            #expect(verdict == .linearizable)
        } else {
            #expect(verdict.isViolation, "\(verdict)")
        }
    }

    @Test func aHistoryBeginsWhereItIsSaid() {
        let record = StoreRecord(
            key: [120], value: [97], createRevision: Revision(5), modRevision: Revision(7),
            version: 3)
        let checker = RevisionOrder(initialRecords: [record], initialRevision: Revision(9))
        let good = "1 → put x b\n1 ← put @10\n1 → get x\n1 ← {x=b@10:5:4} @10"
        #expect(checker.check(Transcript(good).storeHistory) == .linearizable)
        let bad = "1 → put x b\n1 ← put @9"
        #expect(checker.check(Transcript(bad).storeHistory).isViolation)
    }

    @Test func aViolationNamesWhatDoesNotFit() {
        let transcript = Transcript(
            """
            1 → put x a
            1 ← put @2
            2 → put y c
            2 ← unknown
            1 → get x..z
            1 ← {x=b@2} @2
            """)
        let verdict = RevisionOrder().check(transcript.storeHistory)
        guard case .violation(let violation) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(violation.prefix == [OperationID(0)])
        #expect(violation.unplaced == [OperationID(2)])
        #expect(
            violation.description == """
                #2's answer does not follow from the order of the revisions
                  #2 client 1 [4, 5] range [x, z) → {x=b mod 2 create 2 version 1} of 1 @2
                  the model answers {x=a mod 2 create 2 version 1} of 1
                the longest order that is explained (1 operations):
                  #0 client 1 [0, 1] put x a → put @2
                of unknown outcome, without a place (1):
                  #1 client 2 [2, …] put y c → unknown, behind revision 2
                """)
    }

    @Test func aWildRevisionIsNotCountedTo() {
        let transcript = Transcript("1 → put x a\n1 ← put @9223372036854775806")
        #expect(RevisionOrder().check(transcript.storeHistory).isViolation)
    }

    /// What cannot be explained by any filling of the gaps that matter to it is found without
    /// trying those that do not: 30 gaps in any order would be 30! ways.
    @Test func gapsThatDoNotMatterAreNotTried() {
        let history = Self.gaps(of: 30, then: "1 → get y\n1 ← {y=q@33} @33")
        #expect(RevisionOrder(stepsMax: 1_000).check(history).isViolation)
    }

    @Test func tooManyOrdersAreUnknownAndNeverOk() {
        let history = Self.gaps(of: 30, then: "1 → get x\n1 ← {x=v7@31:2:29} @33")
        let verdict = RevisionOrder(stepsMax: 1_000).check(history)
        #expect(verdict == .unknown(stepsTaken: 1_000))
    }

    /// Puts of unknown outcome on one key, which made the first revisions in an order that nobody
    /// was told.
    private static func gaps(of count: Int, then rest: String) -> StoreHistory {
        var lines: [String] = []
        for number in 0..<count {
            lines += ["\(number) → put x v\(number)", "\(number) ← unknown"]
        }
        lines += ["1 → put y a", "1 ← put @\(count + 2)", "1 → put y b", "1 ← put @\(count + 3)"]
        return Transcript(lines.joined(separator: "\n") + "\n" + rest).storeHistory
    }
}
