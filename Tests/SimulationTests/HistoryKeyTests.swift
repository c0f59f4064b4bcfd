import Primitives
import RecordModel
import Simulation
import Testing

/// Histories of single keys whose verdict is known.
@Suite struct HistoryKeyTests {
    static let cases: [HistoryCase] = [
        .good("nothing", ""),
        .good("one after another", "1 → put x a\n1 ← ok @2\n1 → get x\n1 ← a @2"),
        .good(
            "a read beside a put sees the old state",
            "1 → put x a\n2 → get x\n2 ← absent\n1 ← ok @2"),
        .good(
            "a read beside a put sees the new state",
            "1 → put x a\n2 → get x\n2 ← a @2\n1 ← ok @2"),
        .bad("a stale read", "1 → put x a\n1 ← ok @2\n2 → get x\n2 ← absent"),
        .bad(
            "a stale read of an older value",
            "1 → put x a\n1 ← ok\n1 → put x b\n1 ← ok\n2 → get x\n2 ← a"),
        .bad("a value that was never written", "1 → put x a\n1 ← ok\n2 → get x\n2 ← b"),
        .bad("a value before it was asked for", "1 → get x\n1 ← a\n2 → put x a\n2 ← ok"),
        .bad(
            "reads that go back beside a put",
            "1 → put x a\n2 → get x\n2 ← a\n3 → get x\n3 ← absent\n1 ← ok"),
        .good(
            "reads beside each other may differ either way",
            "1 → put x a\n2 → get x\n3 → get x\n2 ← a\n3 ← absent\n1 ← ok"),
        .bad(
            "a lost update: both replace the same value",
            """
            1 → put x a
            1 ← ok
            1 → cas x a b
            2 → cas x a c
            1 ← ok
            2 ← ok
            """),
        .bad(
            "a lost update by revision",
            "1 → put x a\n1 ← ok @2\n1 → cas x @2 b\n2 → cas x @2 c\n1 ← ok @3\n2 ← ok @4"),
        .good(
            "one of two replacements fails",
            "1 → put x a\n1 ← ok @2\n1 → cas x @2 b\n2 → cas x @2 c\n2 ← no\n1 ← ok @3"),
        .bad(
            "a condition that must have held fails",
            "1 → put x a\n1 ← ok @2\n1 → cas x @2 b\n1 ← no"),
        .good("a key is made once", "1 → cas x absent a\n2 → cas x absent b\n1 ← ok\n2 ← no"),
        .bad("a key is made twice", "1 → cas x absent a\n2 → cas x absent b\n1 ← ok\n2 ← ok"),
        .good(
            "two puts in the order that two reads tell",
            "1 → put x a\n2 → put x b\n1 ← ok\n2 ← ok\n1 → get x\n1 ← a\n1 → get x\n1 ← a"),
        .bad(
            "two puts in both orders",
            "1 → put x a\n2 → put x b\n1 ← ok\n2 ← ok\n1 → get x\n1 ← a\n2 → get x\n2 ← b"),
        .bad(
            "a refused put that took effect",
            "1 → put x a\n1 ← refused\n2 → get x\n2 ← a"),
        .good(
            "a put of unknown outcome that took effect",
            "1 → put x a\n1 ← unknown\n2 → get x\n2 ← a @7"),
        .good(
            "a put of unknown outcome that did not",
            "1 → put x a\n1 ← unknown\n2 → get x\n2 ← absent\n2 → get x\n2 ← absent"),
        .good(
            "a put of unknown outcome that took effect late",
            """
            1 → put x a
            1 ← unknown
            2 → put x b
            2 ← ok @2
            2 → get x
            2 ← b @2
            2 → get x
            2 ← a @3
            """),
        .bad(
            "a put of unknown outcome that took effect twice",
            """
            1 → put x a
            1 ← unknown
            2 → get x
            2 ← a
            2 → put x b
            2 ← ok
            2 → get x
            2 ← a
            """),
        .bad(
            "an acknowledged put that was applied twice",
            """
            1 → put x a
            1 ← ok @2
            2 → put x b
            2 ← ok @3
            2 → get x
            2 ← a @4
            """),
        .bad(
            "a read shows a revision that the put was not told",
            "1 → put x a\n1 ← ok @2\n2 → get x\n2 ← a @3"),
        .bad(
            "an untold revision that changes",
            "1 → put x a\n1 ← unknown\n2 → get x\n2 ← a @3\n2 → get x\n2 ← a @4"),
        .bad(
            "an untold revision above that of a later put",
            "1 → put x a\n1 ← unknown\n2 → get x\n2 ← a @5\n2 → put x b\n2 ← ok @4"),
        .bad(
            "no room for the untold revision",
            "1 → put x z\n1 ← ok @2\n1 → put x a\n1 ← unknown\n2 → get x\n2 ← a\n2 → put x b\n"
                + "2 ← ok @3"),
        .bad("no room for a first revision", "1 → put x a\n1 ← ok\n1 → put x b\n1 ← ok @2"),
        .bad("revisions that go back", "1 → put x a\n1 ← ok @3\n1 → put x b\n1 ← ok @2"),
        .bad(
            "an untold revision that was denied",
            """
            1 → put x a
            1 ← unknown
            2 → get x
            2 ← a
            2 → cas x @3 b
            2 ← no
            2 → get x
            2 ← a @3
            """),
        .good(
            "two of unknown outcome, one seeing the other",
            "1 → put x a\n1 ← unknown\n2 → cas x a b\n2 ← unknown\n3 → get x\n3 ← b"),
        .bad(
            "a condition of unknown outcome that never held",
            "1 → put x a\n1 ← ok\n2 → cas x c b\n2 ← unknown\n3 → get x\n3 ← b"),
        .good(
            "an unknown delete explains absence",
            "1 → put x a\n1 ← ok\n1 → delete x\n1 ← unknown\n2 → get x\n2 ← absent"),
        .bad("absence without a delete", "1 → put x a\n1 ← ok\n2 → get x\n2 ← absent"),
        .bad(
            "a deleted value comes back",
            "1 → put x a\n1 ← ok @2\n1 → delete x\n1 ← deleted @3\n2 → get x\n2 ← a @2"),
        .good(
            "a delete of nothing",
            "1 → delete x\n1 ← nothing\n1 → put x a\n1 ← ok\n1 → delete x\n1 ← deleted"),
        .bad("a delete of something that is not there", "1 → delete x\n1 ← deleted @2"),
        .bad(
            "a delete that did not see what was there",
            "1 → put x a\n1 ← ok\n1 → delete x\n1 ← nothing"),
        .good(
            "keys do not mix",
            "1 → put x a\n1 ← ok\n2 → get y\n2 ← absent\n2 → put y b\n2 ← ok\n1 → get x\n1 ← a"),
        .bad(
            "the key that is wrong is found among others",
            "1 → put x a\n1 ← ok\n2 → put y b\n2 ← ok\n1 → get x\n1 ← a\n1 → get y\n1 ← a"),
        .bad("an answer to another request", "1 → put x a\n1 ← a"),
    ]

    @Test(arguments: cases)
    func verdict(_ known: HistoryCase) {
        let verdict = KeyLinearizability().check(Transcript(known.transcript).keyHistory)
        if known.isGood {
            #expect(verdict == .linearizable)
        } else {
            #expect(verdict.isViolation, "\(verdict)")
        }
    }

    @Test func groupsDoNotMix() {
        var history = KeyHistory()
        let put = history.invoke(
            HistoryClient(1), KeyRequest(group: GroupID(1), key: [1], .put([9])), at: 0)
        history.complete(put, .answered(.written(revision: nil)), at: 1)
        let read = history.invoke(
            HistoryClient(1), KeyRequest(group: GroupID(2), key: [1], .read), at: 2)
        history.complete(read, .answered(.absent), at: 3)
        #expect(KeyLinearizability().check(history) == .linearizable)
    }

    @Test func eventsOfOneMomentKeepTheirOrder() {
        var history = KeyHistory()
        let put = history.invoke(
            HistoryClient(1), KeyRequest(group: GroupID(1), key: [1], .put([9])), at: 5)
        history.complete(put, .answered(.written(revision: nil)), at: 5)
        let read = history.invoke(
            HistoryClient(2), KeyRequest(group: GroupID(1), key: [1], .read), at: 5)
        history.complete(read, .answered(.absent), at: 5)
        #expect(KeyLinearizability().check(history).isViolation)
    }

    @Test func aViolationNamesWhatDoesNotFit() throws {
        let transcript = Transcript(
            """
            1 → put x a
            1 ← ok @2
            2 → put x c
            2 ← refused
            1 → put x b
            3 → put x d
            1 ← ok @3
            2 → get x
            3 ← unknown
            2 ← c @2
            """)
        let verdict = KeyLinearizability().check(transcript.keyHistory)
        guard case .violation(let violation) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(violation.prefix == [OperationID(0), OperationID(2)])
        #expect(violation.unplaced == [OperationID(4)])
        #expect(
            violation.description == """
                key x of group 1 is not linearizable: no order explains #4's answer
                the longest order of what came before (2 operations):
                  #0 client 1 [0, 1] put a → done @2
                  #2 client 1 [4, 6] put b → done @3
                which leaves the key: b of revision 3
                without a place:
                  #4 client 2 [7, 9] read → c @2
                of unknown outcome, and no help:
                  #3 client 3 [5, …] put d → unknown
                refused, so without effect:
                  #1 client 2 [2, 3] put c → refused
                """)
    }

    @Test func tooMuchAtOnceIsUnknownAndNeverOk() {
        let history = Self.crowd(of: 24)
        let verdict = KeyLinearizability(stepsPerKeyMax: 20_000).check(history)
        guard case .unknown(let steps) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(steps >= 20_000)
        #expect(KeyLinearizability().check(Self.crowd(of: 8)).isViolation)
    }

    @Test func aViolationOfOneKeyOutweighsAnotherThatWasGivenUp() {
        var history = Self.crowd(of: 24)
        let read = history.invoke(
            HistoryClient(99), KeyRequest(group: GroupID(1), key: [200], .read), at: 1_000)
        history.complete(read, .answered(.present([1], modRevision: nil)), at: 1_001)
        #expect(KeyLinearizability(stepsPerKeyMax: 20_000).check(history).isViolation)
    }

    /// Puts that all run at once, and a read that none of them explains: to be sure of that, a
    /// search must look at every subset of them.
    static func crowd(of count: Int) -> KeyHistory {
        var history = KeyHistory()
        var ids: [OperationID] = []
        for number in 0..<count {
            ids.append(
                history.invoke(
                    HistoryClient(number),
                    KeyRequest(group: GroupID(1), key: [120], .put([UInt8(number)])),
                    at: UInt64(number)))
        }
        let read = history.invoke(
            HistoryClient(count), KeyRequest(group: GroupID(1), key: [120], .read), at: 100)
        for (number, id) in ids.enumerated() {
            history.complete(id, .answered(.written(revision: nil)), at: UInt64(200 + number))
        }
        history.complete(read, .answered(.present([255], modRevision: nil)), at: 300)
        return history
    }
}
