import Consensus
import MultiRaft
import Primitives
import RecordModel
import ReplicatedLog

/// One group of the cluster.
struct GroupSpec {
    enum Machine {
        case registers
        case records
    }

    var id: GroupID
    var machine: Machine
    /// Of the workload's operations, out of 100.
    var share: Int
}

/// The shape of a world whose story is told, not drawn.
struct StageShape {
    var founders: Int
    var specs: [GroupSpec]
    var settings: RaftSettings
    var segmentBytes: Int
}

/// A cluster in virtual time: nodes, network, disks, clocks, clients, operators, and everything that
/// befalls them, from one seed. One event happens at a time; nothing else moves.
final class World {
    let options: SimulationOptions
    let specs: [GroupSpec]
    let settings: RaftSettings
    let coreSettings: MultiRaftSettings
    /// Microseconds of one tick.
    let tick: UInt64 = 10_000
    let segmentBytes: Int
    var now: UInt64 = 0
    var queue = EventQueue<Event>()
    var trace: Trace
    /// By group; empty unless the run is traced.
    var tracers: [GroupTracer] = []
    var report: Report
    var checks: Checks

    // Chance, a stream for each part.
    var networkChance: Chance
    var diskChance: Chance
    var deedChance: Chance
    var workChance: Chance
    var timeChance: Chance

    var profile: FaultProfile
    let hurtProfile: FaultProfile
    /// Faults are injected now.
    var isHurting = false
    var cyclesLeft: Int
    var healedAt: UInt64 = 0
    /// When the network has delivered what was under way at the healing (links that keep their order
    /// hold back what follows a message that was delayed), and when pauses are over.
    var settledAt: UInt64 = 0
    /// Nobody asks for anything until groups have found leaders by themselves.
    var isQuiet = false
    /// From when on clients have stopped after a healing.
    var worksUntil: UInt64 = 0
    var drill: Drill?
    var progress = Progress()

    var nodes: [Node] = []
    /// How many of the nodes found the groups; the others may join.
    let founders: Int
    let founding: Founding
    var network: Network
    var clients: [Client] = []
    var keyHistory = KeyHistory()
    var storeHistory = StoreHistory()
    var isWorking = true
    var budget = DamageBudget()
    var operatorState = OperatorState()
    /// Clients of an earlier part of the same history.
    var clientsBefore = 0

    /// Its shape is given: nothing is drawn for it, no client acts by itself, and state machines are
    /// flushed when they are told to.
    let isStaged: Bool

    /// - Parameter stage: the shape, where it is not drawn from the seed.
    init(_ options: SimulationOptions, stage: StageShape? = nil) {
        self.options = options
        isStaged = stage != nil
        segmentBytes = stage?.segmentBytes ?? 128 << 10
        report = Report(options: options)
        trace = Trace(linesMax: options.traceLines)
        var shape = Chance(seed: options.seed, stream: 0)
        networkChance = Chance(seed: options.seed, stream: 1)
        diskChance = Chance(seed: options.seed, stream: 2)
        deedChance = Chance(seed: options.seed, stream: 3)
        workChance = Chance(seed: options.seed, stream: 4)
        timeChance = Chance(seed: options.seed, stream: 5)
        hurtProfile = FaultProfile(allowed: options.faultsInForce, chance: &shape)
        profile = .quiet
        report.enabledFaults = hurtProfile.enabled
        cyclesLeft = options.cycles
        specs =
            stage?.specs ?? [
                GroupSpec(id: GroupID(1), machine: .registers, share: 55),
                GroupSpec(id: GroupID(2), machine: .records, share: 43),
                GroupSpec(id: GroupID(3), machine: .registers, share: 2),
            ]
        let drawnFounders = shape.pick([3, 3, 3, 5])
        founders = stage?.founders ?? drawnFounders
        var foundingChance = Chance(seed: options.seed, stream: 6)
        founding =
            stage == nil && !options.isTraced
            ? Founding(founders: drawnFounders, chance: &foundingChance)
            : Founding(alike: stage?.founders ?? drawnFounders)
        let drawn = Self.settings(&shape)
        settings = stage?.settings ?? (options.isTraced ? TraceRestriction.restrict(drawn) : drawn)
        coreSettings = MultiRaftSettings(
            heartbeatTicks: settings.heartbeatTicks,
            electionTimeoutTicks: settings.electionTimeoutTicks,
            maxForwardBytes: [300, 1 << 20][shape.below(2)])
        checks = Checks(groups: specs.count)
        let count = stage?.founders ?? founders + 2
        network = Network(nodes: count)
        for number in 0..<count {
            nodes.append(Node(number: number, zone: founding.zone(of: number)))
        }
        found()
        let clientCount = isStaged ? 0 : 3 + shape.below(6)
        for number in 0..<clientCount { clients.append(Client(number: number)) }
    }

    /// Small limits, so that runs meet them.
    private static func settings(_ shape: inout Chance) -> RaftSettings {
        RaftSettings(
            electionTimeoutTicks: 10,
            heartbeatTicks: 1 + shape.below(3),
            maxEntryBytesPerAppend: [200, 1_000, 20_000][shape.below(3)],
            maxInflightAppends: [2, 8, 64][shape.below(3)],
            maxInflightBytes: [2_000, 100_000][shape.below(2)],
            maxUncommittedBytes: [4_000, 1 << 20][shape.below(2)],
            cacheBytesMax: [400, 4_000, 1 << 20][shape.below(3)],
            maxHandoutBytes: [300, 10_000][shape.below(2)],
            maxHandoutsInFlight: 1 + shape.below(4),
            maxPendingReads: [4, 1_000][shape.below(2)],
            entriesKept: [5, 50, 400][shape.below(3)],
            truncationBatch: [1, 20, 100][shape.below(3)],
            hibernationTicks: [nil, 20, 60][shape.below(3)],
            leaderLease: [nil, LeaderLeaseSettings(tickNanoseconds: 10_000_000)][shape.below(2)])
    }

    func spec(_ seat: Seat) -> GroupSpec { specs[seat.group] }

    func raftSettings(_ seat: Seat) -> RaftSettings {
        var own = settings
        own.makesSnapshots = spec(seat).machine == .registers
        return own
    }

    // MARK: The run

    func run() -> Report {
        for node in nodes { schedule(.start(node: node.number, life: node.life), in: 0) }
        for client in clients {
            schedule(.client(client.number), in: timeChance.within(1_000...100_000))
        }
        beginHurting()
        while report.failures.isEmpty, cyclesLeft > 0, report.events < options.eventsMax,
            let (time, event) = queue.pop()
        {
            now = time
            report.events += 1
            handle(event)
        }
        // Nodes that never fall silent are no progress, either.
        if report.failures.isEmpty, cyclesLeft > 0, !options.isCutOff {
            fail("no end after \(report.events) events, with \(cyclesLeft) cycles to go")
        }
        if report.failures.isEmpty { checkHistories() }
        report.virtualTime = now
        report.digest = trace.digest
        report.trace = trace.text
        report.groupTraces = tracers
        return report
    }

    func schedule(_ event: Event, in delay: UInt64) { queue.push(event, at: now + delay) }

    func fail(_ what: String) {
        report.failures.append("at \(now) µs, event \(report.events): \(what)")
        trace.note(now, "FAILURE \(what)")
    }

    func reach(_ path: RarePath) { report.paths[path, default: 0] += 1 }

    func injected(_ fault: FaultClass) { report.faults[fault, default: 0] += 1 }

    /// The node, if it is still in the life for which an event was arranged. A node that stands
    /// still takes the event when it goes on.
    func living(_ number: Int, _ life: Int, _ event: @autoclosure () -> Event) -> Node? {
        let node = nodes[number]
        guard node.life == life, node.isUp else { return nil }
        if node.pausedUntil > now {
            queue.push(event(), at: node.pausedUntil)
            return nil
        }
        return node
    }

    func handle(_ event: Event) {
        switch event {
        case .deliver(let packet): deliver(packet)
        case .tick(let number, let life):
            if let node = living(number, life, event) { ticked(node) }
        case .turn(let number, let life):
            if let node = living(number, life, event) { turn(node) }
        case .logWrite(let number, let life):
            if let node = living(number, life, event) { writeLog(node) }
        case .logSync(let number, let life):
            if let node = living(number, life, event) { syncLog(node) }
        case .apply(let number, let life):
            if let node = living(number, life, event) { beginApply(node) }
        case .applied(let number, let life):
            if let node = living(number, life, event) { endApply(node) }
        case .flush(let number, let life):
            if let node = living(number, life, event) { flush(node) }
        case .fetch(let number, let life, let seat, let request):
            if let node = living(number, life, event) { fetch(node, node.seats[seat], request) }
        case .snapshotMade(let number, let life, let seat, let request):
            if let node = living(number, life, event) { makeSnapshot(node, seat, request) }
        case .snapshotStep(let number, let life, let transfer):
            if let node = living(number, life, event) { stepTransfer(node, transfer) }
        case .start(let number, let life):
            if nodes[number].life == life, !nodes[number].isUp { start(nodes[number]) }
        case .client(let number): clientActs(clients[number])
        case .clientTimeout(let number, let serial):
            clientTimedOut(clients[number], serial)
        case .deed: doDeed()
        case .operatorActs: operatorActs()
        case .mend(let mending): mend(mending)
        case .heal: heal()
        case .progress: checkProgress()
        case .drill: goOnWithDrill()
        }
    }
}

/// Runs one simulation.
package enum Simulation {
    package static func run(_ options: SimulationOptions) -> Report { World(options).run() }
}
