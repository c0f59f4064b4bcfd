import Consensus
import Primitives
import Testing

@testable import Simulation

/// What the simulator knows of a disk must itself be right: the checkers rely on it.
@Suite struct LedgerTests {
    private func work(
        _ entries: [(UInt64, UInt64)], replacedFrom: UInt64? = nil, term: UInt64 = 1
    ) -> AppendWork {
        AppendWork(
            ticket: AppendTicket(1), hardState: HardState(term: Term(term)),
            replacedFrom: replacedFrom.map { LogIndex($0) },
            entries: entries.map { index, term in
                LogEntry(
                    term: Term(term), index: LogIndex(index),
                    timestamp: HybridTimestamp(microseconds: index), payload: .empty)
            }, messagesAfterDurable: [])
    }

    @Test func aSuffixIsReplaced() {
        var ledger = Ledger()
        ledger.apply(work([(1, 1), (2, 1), (3, 1)]))
        ledger.apply(work([(2, 2)], replacedFrom: 2, term: 2))
        #expect(ledger.lastIndex == LogIndex(2))
        #expect(ledger.term(at: LogIndex(1)) == Term(1))
        #expect(ledger.term(at: LogIndex(2)) == Term(2))
        #expect(ledger.term(at: LogIndex(3)) == nil)
        #expect(ledger.hardState.term == Term(2))
    }

    @Test func damageIsMendedEntryByEntry() {
        var ledger = Ledger()
        ledger.apply(work([(1, 1), (2, 1), (3, 1), (4, 1)]))
        ledger.damaged = [LogIndex(2)...LogIndex(4)]
        #expect(!ledger.holds(LogIndex(3), Term(1)))
        var repair = work([])
        repair.repaired = work([(3, 1)]).entries
        ledger.apply(repair)
        #expect(ledger.damaged == [LogIndex(2)...LogIndex(2), LogIndex(4)...LogIndex(4)])
        #expect(ledger.holds(LogIndex(3), Term(1)))
    }

    @Test func aFrontIsCutOff() {
        var ledger = Ledger()
        ledger.apply(work([(1, 1), (2, 1), (3, 2)], term: 2))
        ledger.damaged = [LogIndex(1)...LogIndex(2)]
        var cut = work([])
        cut.start = LogStart(
            index: LogIndex(2), term: Term(1), timestamp: HybridTimestamp(microseconds: 2),
            configuration: [], configurationIndex: .zero, replacesAll: false)
        ledger.apply(cut)
        #expect(ledger.base == LogIndex(2))
        #expect(ledger.lastIndex == LogIndex(3))
        #expect(ledger.damaged.isEmpty)
        // Whoever begins behind an entry has a state that contains it.
        #expect(ledger.holds(LogIndex(1), Term(1)))
    }

    @Test func eventsHappenInTheOrderOfTimeAndThenOfArrangement() {
        var queue = EventQueue<String>()
        queue.push("c", at: 5)
        queue.push("a", at: 1)
        queue.push("d", at: 5)
        queue.push("b", at: 3)
        var order = ""
        while let (_, event) = queue.pop() { order += event }
        #expect(order == "abcd")
    }
}

/// The model of permitted damage: what it refuses would break a promise that was never made.
@Suite struct DamageBudgetTests {
    @Test func aMinorityMayBeLostAndNoMore() {
        let world = World(SimulationOptions(seed: 2, faults: .none))
        let seats = world.nodes[..<world.founders].map { $0.seats[0] }
        let minority = (world.founders - 1) / 2
        #expect(world.mayLose(Array(seats[..<minority])))
        #expect(!world.mayLose(Array(seats[...minority])))
        for seat in seats[..<minority] { world.budget.lose(seat) }
        #expect(!world.mayLose([seats[minority]]))
        // Another group is not concerned.
        #expect(world.mayLose([world.nodes[0].seats[1]]))
    }

    @Test func theLastCopyOfAnEntryIsSpared() {
        let world = World(SimulationOptions(seed: 2, faults: .none))
        let seats = world.nodes[..<world.founders].map { $0.seats[0] }
        let entry = LogIndex(1)
        for seat in seats[...1] {
            seat.ledger = Ledger(
                hardState: HardState(term: Term(1)), base: .zero, baseTerm: .zero,
                terms: [Term(1)])
        }
        #expect(world.mayLose([entry...entry], of: seats[0]))
        seats[1].ledger.damaged = [entry...entry]
        #expect(!world.mayLose([entry...entry], of: seats[0]))
        seats[1].ledger.damaged = []
        world.budget.lose(seats[1])
        #expect(!world.mayLose([entry...entry], of: seats[0]))
    }

    @Test func theLastStateBehindCutLogsIsSpared() {
        let world = World(SimulationOptions(seed: 2, faults: .none))
        let seats = world.nodes[..<world.founders].map { $0.seats[0] }
        let state = LogIndex(2)
        var registers = RegisterState()
        (registers.appliedIndex, registers.appliedTerm) = (state, Term(1))
        for seat in seats {
            seat.ledger = Ledger(
                hardState: HardState(term: Term(1)), base: state, baseTerm: Term(1), terms: [])
            seat.machine.install(MachineSnapshot(registers: registers))
        }
        #expect(world.mayLoseState(of: seats[0]))
        // A start has found out that it is gone, and waits for another's.
        for seat in seats[1...] { seat.machine.wipe() }
        #expect(!world.mayLoseState(of: seats[0]))
        #expect(!world.mayLose([seats[0]]))
        // One that has just joined has a log from the beginning, and nothing in it.
        seats[1].ledger = Ledger()
        #expect(!world.mayLoseState(of: seats[0]))
        seats[1].ledger = Ledger(
            hardState: HardState(term: Term(1)), base: .zero, baseTerm: .zero,
            terms: [Term(1), Term(1)])
        #expect(world.mayLoseState(of: seats[0]))
    }

    @Test func whoHasAStateSparesIt() {
        let world = World(SimulationOptions(seed: 2, faults: .none))
        let seats = world.nodes[..<world.founders].map { $0.seats[0] }
        #expect(world.mayLose([seats[0]]))
        // Its node has found that out, and runs: it waits for a snapshot.
        seats[1].stateIsAmiss = true
        #expect(!world.mayLose([seats[0]]))
        seats[1].stateIsAmiss = false
        #expect(world.mayLose([seats[0]]))
    }

    @Test func aPauseLastsItsTimeAlsoThroughAHealing() {
        let world = World(SimulationOptions(seed: 2, faults: .none))
        world.nodes[0].pausedUntil = 5_000_000
        world.network.lastOfAll = 3_000_000
        world.heal()
        #expect(world.nodes[0].pausedUntil == 5_000_000)
        #expect(world.settledAt == 5_000_000)
        world.nodes[0].pausedUntil = 0
        world.heal()
        #expect(world.settledAt == 3_000_000)
    }

    @Test func aRollBackNeedsEveryPeersMemory() {
        let world = World(SimulationOptions(seed: 2, faults: .none))
        let seats = world.nodes[..<world.founders].map { $0.seats[0] }
        #expect(!world.isRemembered(seats[0], beyond: 1))
        var record = PeerRecord(
            replica: seats[0].replica, incarnation: 2, start: 9, lastIndex: .zero, lastTerm: .zero)
        for seat in seats[1...] {
            #expect(!world.isRemembered(seats[0], beyond: 1))
            seat.ledger = Ledger(
                hardState: HardState(), base: .zero, baseTerm: .zero, terms: [],
                peers: [record])
        }
        #expect(world.isRemembered(seats[0], beyond: 1))
        #expect(!world.isRemembered(seats[0], beyond: 2))
        // The next start of the image has number 2, too, and only its number is known.
        record.start = 0
        seats[1].ledger = Ledger(
            hardState: HardState(), base: .zero, baseTerm: .zero, terms: [], peers: [record])
        #expect(!world.isRemembered(seats[0], beyond: 1))
        #expect(world.isRemembered(seats[0], beyond: 0))
    }
}
