import Simulation
import Testing

@Suite struct SimulationTests {
    /// In debug builds runs are slow: one cycle, few seeds. `Cluster/run simulate` runs many.
    @Test(arguments: [1, 3, 5, 9] as [UInt64])
    func aClusterThatIsHurtAndHealedKeepsItsPromises(seed: UInt64) {
        let report = Simulation.run(SimulationOptions(seed: seed, cycles: 1))
        #expect(report.failures == [], "seed \(seed)")
        #expect(report.operations.answered > 50, "seed \(seed)")
        #expect(report.paths[.election] ?? 0 > 0, "seed \(seed)")
    }

    @Test func theSameSeedGivesTheSameTrace() {
        let options = SimulationOptions(seed: 6, cycles: 1)
        let first = Simulation.run(options)
        let second = Simulation.run(options)
        #expect(first.digest == second.digest)
        #expect(first.events == second.events)
        let other = Simulation.run(SimulationOptions(seed: 7, cycles: 1))
        #expect(first.digest != other.digest)
    }

    @Test func withoutFaultsNothingIsInjected() {
        let report = Simulation.run(SimulationOptions(seed: 4, faults: .none, cycles: 1))
        #expect(report.failures == [])
        #expect(report.faults.isEmpty)
        #expect(report.operations.unknown == 0)
    }

    /// Each lie of the world is found by the standard checkers at default rates.
    @Test(arguments: Sabotage.allCases)
    func theCheckersCanFail(sabotage: Sabotage) {
        let found = (15...90).first { seed in
            let options = SimulationOptions(
                seed: UInt64(seed), cycles: 1, eventsMax: 60_000, isCutOff: true,
                sabotage: sabotage)
            return !Simulation.run(options).isClean
        }
        #expect(found != nil, "\(sabotage) is not found in seeds 15 to 90")
    }

    @Test func aTraceTellsHowItEnds() {
        let options = SimulationOptions(
            seed: 1, cycles: 1, traceLines: 20, sabotage: .changedEntry)
        let report = Simulation.run(options)
        #expect(report.failures.count == 1)
        #expect(report.trace.count == 20)
        #expect(report.trace.last?.contains("FAILURE") == true)
    }

    @Test func aRunThatDoesNotEndHasFailed() {
        let options = SimulationOptions(seed: 1, cycles: 1, eventsMax: 500)
        #expect(Simulation.run(options).failures.first?.contains("no end after 500") == true)
        var cut = options
        cut.isCutOff = true
        #expect(Simulation.run(cut).failures == [])
    }

    @Test func faultsAreNamedInLists() {
        #expect(FaultSet("all") == .all)
        #expect(FaultSet("none") == FaultSet.none)
        #expect(FaultSet("loss,power")?.classes == [.loss, .power])
        var rest = FaultSet.all
        rest.remove(.wipe)
        #expect(FaultSet("all-wipe") == rest)
        #expect(FaultSet(rest.description) == rest)
        #expect(FaultSet("thunder") == nil)
    }
}
