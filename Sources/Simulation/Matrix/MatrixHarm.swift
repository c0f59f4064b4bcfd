import Consensus
import Primitives
import ReplicatedLog
import StorageEngine

/// What a cell does to one node's disk.
struct MatrixHarm {
    var node: Int
    var sectors: [DiskSector] = []
    var takesState = false

    /// - Returns: nil when the node has nothing of the kind.
    init?(_ cell: MatrixCell, _ node: Int, _ scene: MatrixScene, _ map: DiskMap) {
        self.node = node
        let group = MatrixScene.specs[cell.group].id
        switch cell.aim {
        case .entry(let place, let part):
            if cell.fault == .torn { return }
            guard let index = Self.index(place, cell, node, scene),
                let term = scene.images[node].seats[cell.group].ledger.term(at: index),
                let record = map.entry(group, index, term)
            else { return nil }
            sectors = Self.sectors(record, part)
        case .hardState(let part):
            if cell.fault == .torn { return }
            guard let record = map.last([2], of: group) else { return nil }
            sectors = Self.sectors(record, part)
        case .groupStart(let part):
            guard let record = map.last([4, 9], of: group) else { return nil }
            sectors = Self.sectors(record, part)
        case .firstHeader:
            sectors = map.segments.prefix(1).map { DiskSector(segment: $0, number: 0) }
        case .lastHeader:
            sectors = map.segments.suffix(1).map { DiskSector(segment: $0, number: 0) }
        case .allHeaders: sectors = map.segments.map { DiskSector(segment: $0, number: 0) }
        case .state: takesState = cell.fault != .torn
        }
    }

    private static func sectors(
        _ record: DiskMap.Record, _ part: MatrixCell.Part
    ) -> [DiskSector] {
        switch part {
        case .record: record.sectors
        case .identifiers: [record.identifiers]
        case .both: record.sectors + [record.identifiers]
        }
    }

    private static func index(
        _ place: MatrixCell.Place, _ cell: MatrixCell, _ node: Int, _ scene: MatrixScene
    ) -> LogIndex? {
        let victims = (0..<cell.replicas).filter(cell.isVictim)
        let ledgers = victims.map { scene.images[$0].seats[cell.group].ledger }
        guard let first = ledgers.map(\.base.next).max(), let last = ledgers.map(\.lastIndex).min(),
            first <= last
        else { return nil }
        let span = last.rawValue - first.rawValue
        switch place {
        case .first: return first
        case .middle: return first + span / 2
        case .last: return last
        case .tail: return scene.images[node].seats[cell.group].ledger.lastIndex
        case .different:
            guard victims.count > 1, span >= UInt64(victims.count) else { return nil }
            return first + UInt64(victims.firstIndex(of: node)!)
        }
    }

    func apply(_ cell: MatrixCell, to world: World, _ scene: MatrixScene) throws(MatrixMistake) {
        let target = world.nodes[node]
        for seat in target.seats { seat.isHarmed = true }
        for (i, sector) in sectors.enumerated() {
            switch cell.fault {
            case .corrupt:
                target.device.flipBit(
                    sector.segment, byte: sector.number * 512 + (40 + 97 * i) % 500, bit: i % 8)
            case .unreadable:
                target.device.makeUnreadable(sector.segment, sector: sector.number)
            case .torn: throw MatrixMistake("a torn write harms nothing that was synced")
            }
        }
        let seat = target.seats[cell.group]
        if takesState { Self.takeState(seat, cell.fault) }
        guard cell.fault == .torn else { return }
        switch cell.aim {
        case .state:
            if let registers = seat.machine as? RegisterMachine,
                let flushed = scene.images[node].seats[cell.group].flushed
            {
                registers.image = flushed
            }
        case .entry: try tear(target, cell, world, isEntry: true)
        default: try tear(target, cell, world, isEntry: false)
        }
    }

    private static func takeState(_ seat: Seat, _ fault: MatrixCell.Fault) {
        guard let records = seat.machine as? RecordMachine else {
            // The map is small: it is gone as a whole, and a start finds that out.
            seat.mustRebuild = true
            return
        }
        if fault == .corrupt {
            _ = records.engine.damageEverything()
        } else {
            _ = records.engine.damageEverything(.inputOutput("no block can be read"))
        }
    }

    /// The power goes while this is on its way to the disk: it is dropped, and nothing else is.
    private func tear(
        _ target: Node, _ cell: MatrixCell, _ world: World, isEntry: Bool
    ) throws(MatrixMistake) {
        let group = MatrixScene.specs[cell.group].id
        let ledger = target.seats[cell.group].ledger
        var append = GroupAppend(group: group)
        append.hardState = HardState(
            term: ledger.hardState.term.next, vote: ReplicaID(UInt64(node + 1)),
            commitIndex: ledger.hardState.commitIndex)
        if isEntry {
            append.hardState = ledger.hardState
            append.entries = [
                LogEntry(
                    term: ledger.lastTerm, index: ledger.lastIndex.next,
                    timestamp: HybridTimestamp(microseconds: 1_900_000_000_000_000),
                    payload: .command(Bytes(repeating: 0x74, count: 3_000)))
            ]
        }
        do throws(LogError) {
            let log = try world.openLog(target.device, target).log
            try log.append([append])
            for seed in 0..<256 as Range<UInt64> {
                let trial = target.device.copy()
                trial.crash(seed: seed)
                let found = try world.openLog(trial, target)
                guard found.report.tornTail != nil,
                    found.groups[group]?.lastIndex == ledger.lastIndex,
                    found.groups[group]?.hardState.term == ledger.hardState.term
                else { continue }
                target.device.crash(seed: seed)
                return
            }
        } catch {
            throw MatrixMistake("an intact log cannot be written: \(error)")
        }
        throw MatrixMistake("no crash tears the tail of node \(target.id)")
    }

    /// What was harmed is as it was before: the cable has been changed, the copy put back.
    func heal(
        _ world: World, _ cell: MatrixCell, _ scene: MatrixScene
    ) throws(MatrixMistake) {
        let target = world.nodes[node]
        world.stop(target, keeping: .everything)
        let image = scene.images[node]
        do throws(LogDeviceError) {
            let present = try target.device.listSegments().map(\.number)
            for sector in sectors where present.contains(sector.segment) {
                let start = sector.number * 512
                let bytes = Bytes(image.device.contents(of: sector.segment)[start..<start + 512])
                let device = target.device
                try bytes.withUnsafeBytes { raw in
                    Result { () throws(LogDeviceError) in
                        try device.write(sector.segment, at: start, raw)
                    }
                }.get()
                try device.sync(sector.segment)
            }
        } catch {
            throw MatrixMistake("a sector cannot be written: \(error)")
        }
        if takesState {
            let seat = target.seats[cell.group]
            let (ledger, configuration) = (seat.ledger, seat.configuration)
            try seat.restore(image.seats[cell.group])
            seat.ledger = ledger
            seat.configuration = configuration
            seat.mustRebuild = false
        }
        world.schedule(.start(node: target.number, life: target.life), in: 1_000)
    }
}
