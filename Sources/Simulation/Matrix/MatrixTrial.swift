import Consensus
import MultiRaft
import Primitives

/// What came of one cell.
package struct MatrixOutcome: Sendable {
    package var cell: MatrixCell
    /// By the model, for each group.
    package var expected: [Bool] = []
    /// One intact copy of each committed entry was there, and an entry that nobody can read stood
    /// in the way.
    package var isUncertain = false
    package var isHealed = false
    package var gaps: [MatrixGap] = []
    package var problems: [String] = []
    package var trace: [String] = []
}

/// Starts a scene's cluster again after the harm of one cell, and compares what it does with what
/// the model says.
struct MatrixTrial {
    /// Microseconds of virtual time within which an available group elects, commits and is read.
    static let availableBound: UInt64 = 6_000_000
    /// For so long a blocked group must stay so.
    static let blockedFor: UInt64 = 1_500_000

    let cell: MatrixCell
    let scene: MatrixScene
    let maps: [DiskMap]
    let harms: [MatrixHarm]
    let models: [MatrixModel]

    /// - Returns: nil when a victim has nothing of the kind.
    init?(_ cell: MatrixCell, _ scene: MatrixScene, _ maps: [DiskMap]) {
        self.cell = cell
        self.scene = scene
        self.maps = maps
        var harms: [MatrixHarm] = []
        for node in 0..<cell.replicas where cell.isVictim(node) {
            guard let harm = MatrixHarm(cell, node, scene, maps[node]) else { return nil }
            harms.append(harm)
        }
        self.harms = harms
        models = MatrixScene.specs.indices.map { MatrixModel(cell, $0, harms, scene, maps) }
    }

    func run(traceLines: Int = 0) throws(MatrixMistake) -> MatrixOutcome {
        var outcome = MatrixOutcome(cell: cell, expected: models.map(isExpected))
        outcome.gaps = models.compactMap(\.gap)
        outcome.isUncertain = models.contains { $0.isPromised && !$0.isAvailable }
        let world = try scene.world(seed: 7, traceLines: traceLines)
        for harm in harms { try harm.apply(cell, to: world, scene) }
        for (group, model) in models.enumerated() {
            for (number, replica) in model.replicas.enumerated() where !replica.isTrusted {
                let seat = world.nodes[number].seats[group]
                seat.ledgerBeforeLoss = seat.ledger
                world.budget.lose(seat)
            }
        }
        for node in world.nodes where cell.isLive(node.number) {
            world.schedule(
                .start(node: node.number, life: node.life), in: 1_000 * UInt64(node.number + 1))
        }
        for (group, model) in models.enumerated() where isExpected(model) {
            if let problem = serve(world, group, model) { outcome.problems.append(problem) }
        }
        for (group, model) in models.enumerated() where !isExpected(model) {
            if let problem = block(world, group, model) { outcome.problems.append(problem) }
        }
        if outcome.problems.isEmpty, models.contains(where: { !isExpected($0) }) {
            outcome.isHealed = try heal(world, &outcome)
        }
        if world.report.failures.isEmpty, outcome.problems.isEmpty { world.checkHistories() }
        outcome.problems += world.report.failures + world.report.undecided
        outcome.trace = world.trace.text
        return outcome
    }

    private func isExpected(_ model: MatrixModel) -> Bool { model.isAvailable && model.gap == nil }

    // MARK: Available

    /// A leader, a new write that commits, and an answer from each replica that may serve.
    private func serve(_ world: World, _ group: Int, _ model: MatrixModel) -> String? {
        let end = world.now + Self.availableBound
        var isWritten = false
        while !isWritten, world.now < end {
            guard world.drive(end - world.now, until: { world.hasWorkingLeader(group) }) else {
                break
            }
            isWritten = write(world, group)
        }
        guard isWritten else {
            return "group \(group + 1) takes no write; " + world.standing(of: group)
        }
        for node in world.nodes where model.mustServe(node.number) {
            var isRead = false
            while !isRead, world.now < end {
                guard let place = node.place(of: MatrixScene.specs[group].id, world.specs) else {
                    _ = world.drive(50_000)
                    continue
                }
                let client = world.ask(.read(group), node, place)
                _ = world.drive(end - world.now) { client.current == nil }
                if case .answer? = client.heard { isRead = true } else { _ = world.drive(50_000) }
            }
            guard isRead else {
                return "group \(group + 1): node \(node.id) answers no read; "
                    + world.standing(of: group)
            }
        }
        return nil
    }

    /// - Returns: whether the write was answered.
    private func write(_ world: World, _ group: Int) -> Bool {
        guard let (node, place, _) = world.leader(of: group) else { return false }
        let client = world.ask(.write(group, "new \(world.now)"), node, place)
        _ = world.drive(1_000_000) { client.current == nil }
        if case .answer? = client.heard { return true }
        return false
    }

    // MARK: Blocked

    /// No write is answered, and an operator can see why.
    private func block(_ world: World, _ group: Int, _ model: MatrixModel) -> String? {
        let end = world.now + Self.blockedFor
        while world.now < end, world.report.failures.isEmpty {
            if write(world, group) {
                if let gap = model.gap { return "the gap \(gap.rawValue) is closed" }
                return
                    "group \(group + 1) takes a write, and something is gone that may be committed"
            }
            _ = world.drive(100_000)
        }
        guard world.nodes.contains(where: { says($0, world, group) }) else {
            return "group \(group + 1) is blocked and says nothing; " + world.standing(of: group)
        }
        return nil
    }

    private func says(_ node: Node, _ world: World, _ group: Int) -> Bool {
        let id = world.specs[group].id
        if node.alarms.contains(where: { $0.group == id }) { return true }
        // Log and state contradict each other: the replica refused to start.
        if node.seats[group].isGivenUp { return true }
        guard let raft = node.core?.group(id) else { return false }
        return raft.standing == .quarantined
    }

    // MARK: Healed

    /// Starts whoever stayed down, or puts back what was taken.
    ///
    /// - Returns: false when that is not enough: where something was forgotten that has no name, the
    ///   peers remember for good that this replica is not to be trusted, and only a new seat helps.
    private func heal(_ world: World, _ outcome: inout MatrixOutcome) throws(MatrixMistake) -> Bool
    {
        var woken = cell
        woken.sleepers = 0
        if cell.sleepers != 0, isAvailable(woken, harms) {
            for node in world.nodes where !cell.isLive(node.number) {
                world.schedule(.start(node: node.number, life: node.life), in: 1_000)
            }
            serveHealed(world, woken, harms, &outcome)
            return true
        }
        let named = harms.filter { harm in
            cell.isLive(harm.node) && models.allSatisfy { $0.replicas[harm.node].isTrusted }
        }
        let sets = named.map { [$0] } + [named]
        for set in sets where !set.isEmpty {
            let left = harms.filter { harm in !set.contains { $0.node == harm.node } }
            guard isAvailable(cell, left) else { continue }
            for harm in set { try harm.heal(world, cell, scene) }
            serveHealed(world, cell, left, &outcome)
            return true
        }
        return false
    }

    private func isAvailable(_ cell: MatrixCell, _ harms: [MatrixHarm]) -> Bool {
        MatrixScene.specs.indices.allSatisfy {
            isExpected(MatrixModel(cell, $0, harms, scene, maps))
        }
    }

    private func serveHealed(
        _ world: World, _ cell: MatrixCell, _ harms: [MatrixHarm], _ outcome: inout MatrixOutcome
    ) {
        for group in MatrixScene.specs.indices {
            let model = MatrixModel(cell, group, harms, scene, maps)
            if let problem = serve(world, group, model) {
                outcome.problems.append("healed: " + problem)
            }
        }
    }
}
