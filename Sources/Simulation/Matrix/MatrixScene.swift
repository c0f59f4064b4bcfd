import Consensus
import MultiRaft
import Primitives
import RecordModel
import ReplicatedLog
import StorageEngine

/// A cluster that stands still after a fixed story, and can be started again any number of times.
///
/// The story: writes committed everywhere; the state of most flushed and the log cut behind it; more
/// writes committed everywhere; more while the last node is cut off; two more that reach the first
/// node alone, or with one other of five. Then the power goes everywhere.
final class MatrixScene {
    struct SeatImage {
        var registers: RegisterState?
        var flushed: RegisterState?
        /// Had everything that was applied been flushed.
        var latest: RegisterState?
        var engine: MemoryEngine?
        var ledger: Ledger
        var configuration: Configuration
        var hasBegun: Bool
    }

    struct NodeImage {
        var device: MemoryLogDevice
        var incarnation: UInt64
        var seats: [SeatImage]
    }

    /// Who leads the two groups.
    static let leaders: [[Int]] = [[0, 0], [0, 1], [1, 0]]
    static let specs = [
        GroupSpec(id: GroupID(1), machine: .registers, share: 50),
        GroupSpec(id: GroupID(2), machine: .records, share: 50),
    ]
    static let settings = RaftSettings(
        electionTimeoutTicks: 10, heartbeatTicks: 2, cacheBytesMax: 400, entriesKept: 4,
        truncationBatch: 1)

    let replicas: Int
    let leaders: Int
    private(set) var images: [NodeImage] = []
    private(set) var checks: Checks
    private(set) var keyHistory: KeyHistory
    private(set) var storeHistory: StoreHistory
    private(set) var now: UInt64
    private(set) var clients: Int
    /// What the record store's disk of each node holds.
    private(set) var recordsApplied: [LogIndex] = []

    static func world(_ replicas: Int, seed: UInt64, traceLines: Int = 0) -> World {
        World(
            SimulationOptions(seed: seed, faults: .none, traceLines: traceLines),
            stage: StageShape(
                founders: replicas, specs: specs, settings: settings,
                segmentBytes: LogLimits.segmentBytes.lowerBound))
    }

    init(replicas: Int, leaders: Int) throws(MatrixMistake) {
        self.replicas = replicas
        self.leaders = leaders
        let world = Self.world(replicas, seed: 1)
        try Self.play(world, Self.leaders[leaders])
        for node in world.nodes {
            let flushed = (node.seats[0].machine as? RegisterMachine)?.image
            let latest = (node.seats[0].machine as? RegisterMachine)?.state
            world.stop(node, keeping: .everything)
            images.append(
                NodeImage(
                    device: node.device.copy(), incarnation: node.incarnation,
                    seats: node.seats.map { seat in
                        let isRegisters = seat.machine is RegisterMachine
                        return SeatImage(
                            registers: isRegisters
                                ? node.number == 1 ? latest : flushed : nil,
                            flushed: isRegisters ? flushed : nil,
                            latest: isRegisters ? latest : nil,
                            engine: (seat.machine as? RecordMachine)?.image, ledger: seat.ledger,
                            configuration: seat.configuration, hasBegun: seat.hasBegun)
                    }))
        }
        checks = world.checks
        keyHistory = world.keyHistory
        storeHistory = world.storeHistory
        now = world.now
        clients = world.clients.count
        let fresh = try self.world(seed: 2)
        for node in fresh.nodes {
            do throws(MachineFailure) {
                try node.seats[1].machine.start()
            } catch {
                throw MatrixMistake("an intact state does not start: \(error)")
            }
            recordsApplied.append(node.seats[1].machine.appliedIndex)
        }
    }

    private static func play(_ world: World, _ leaders: [Int]) throws(MatrixMistake) {
        for node in world.nodes { world.schedule(.start(node: node.number, life: 0), in: 0) }
        for (group, number) in leaders.enumerated() { try world.enthrone(number, group) }
        try world.writeAll(count: 7)
        // What the other nodes hold must have been heard of before it is flushed.
        _ = world.drive(300_000)
        for node in world.nodes { world.flushAll(node) }
        try world.writeAll(count: 5)
        _ = world.drive(300_000)
        let last = world.nodes.count - 1
        _ = world.network.cut(world.links([last]))
        try world.writeAll(count: 4)
        _ = world.drive(30_000)
        let minority = world.nodes.count == 3 ? [0] : [0, 1]
        _ = world.network.cut(world.links(minority))
        for group in specs.indices {
            guard let (node, place, _) = world.leader(of: group) else {
                throw MatrixMistake("group \(group + 1) has lost its leader")
            }
            for serial in 0..<2 { _ = world.ask(.write(group, "tail \(serial)"), node, place) }
        }
        _ = world.drive(40_000)
        guard world.report.failures.isEmpty else { throw MatrixMistake(world.report.failures[0]) }
    }

    /// The cluster, stopped, with disks of its own.
    func world(seed: UInt64, traceLines: Int = 0) throws(MatrixMistake) -> World {
        let world = Self.world(replicas, seed: seed, traceLines: traceLines)
        world.now = now
        world.checks = checks
        world.keyHistory = keyHistory
        world.storeHistory = storeHistory
        world.clientsBefore = clients
        for (node, image) in zip(world.nodes, images) {
            node.device = image.device.copy()
            node.incarnation = image.incarnation
            for (seat, image) in zip(node.seats, image.seats) {
                try seat.restore(image)
            }
        }
        return world
    }
}

/// The matrix itself went wrong: nothing is said of the product.
package struct MatrixMistake: Error, CustomStringConvertible {
    package var description: String
    init(_ description: String) { self.description = description }
}

extension Seat {
    func restore(_ image: MatrixScene.SeatImage) throws(MatrixMistake) {
        ledger = image.ledger
        hasBegun = true
        configuration = image.configuration
        hasBegun = image.hasBegun
        if let registers = image.registers { (machine as? RegisterMachine)?.image = registers }
        guard let engine = image.engine, let records = machine as? RecordMachine else { return }
        do throws(StorageError) {
            let copy = try engine.open()
            copy.stop(seed: 0)
            records.image = copy
        } catch {
            throw MatrixMistake("an intact engine does not open: \(error)")
        }
    }
}
