import Primitives
import Testing

@testable import ReplicatedLog

/// Harms logs at random and holds the salvage to its promise: nothing intact is lost, nothing
/// damaged is returned as intact, what may be forgotten is named or its group distrusted, and what
/// was found stays found until it is repaired.
@Suite struct SalvageFuzzTests {
    static let settings = LogSettings(
        segmentBytes: 16 << 10, requireExisting: true, salvagesDamage: true)
    typealias Opened = (
        log: ReplicatedLog, groups: [GroupID: RecoveredGroup], report: RecoveryReport
    )

    struct Tally {
        var groups = 0
        var trusted = 0
        var damagedByName = 0
        var untrusted = 0
        var unknownVotes = 0
        var salvages = 0
    }

    static func harm(_ device: MemoryLogDevice, faults: Int, seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<faults {
            let segments = try device.listSegments()
            let segment = segments.randomElement(using: &generator)!
            let bytes = device.contents(of: segment.number)
            let sectors = bytes.count / Sector.size
            let written = (0..<sectors).filter { sector in
                bytes[sector * Sector.size..<(sector + 1) * Sector.size].contains { $0 != 0 }
            }
            guard let sector = written.randomElement(using: &generator) else { continue }
            switch Int.random(in: 0..<12, using: &generator) {
            case 0..<4:
                device.flipBit(
                    segment.number,
                    byte: sector * Sector.size + Int.random(in: 0..<Sector.size, using: &generator),
                    bit: Int.random(in: 0..<8, using: &generator))
            case 4..<7: device.makeUnreadable(segment.number, sector: sector)
            case 7..<9:
                // Zeroes at the very end of the log cannot be told from a torn tail: the seal, and
                // with it what it seals.
                let isLast = segment.number == segments.last?.number
                let half = written.filter { $0 < sectors / 2 }.max() ?? 0
                let other = written.filter { $0 >= sectors / 2 }.min() ?? 0
                if isLast, sector == half || sector == other { continue }
                device.overwrite(
                    segment.number, at: sector * Sector.size,
                    Bytes(repeating: 0, count: Sector.size))
            case 9:
                let target = written.randomElement(using: &generator)!
                device.overwrite(
                    segment.number, at: target * Sector.size,
                    Bytes(bytes[sector * Sector.size..<(sector + 1) * Sector.size]))
            case 10 where segments.count > 1:
                device.lose(segment.number)
            default:
                device.truncate(
                    segment.number, bytes: Int.random(in: 0..<bytes.count, using: &generator))
            }
        }
    }

    static func check(_ opened: Opened, against model: SalvageModel, _ tally: inout Tally) throws {
        for (id, expected) in model.groups.sorted(by: { $0.key < $1.key }) {
            tally.groups += 1
            guard let found = opened.groups[id] else {
                #expect(
                    opened.report.mayLackGroups,
                    "group \(id) is forgotten in silence, seed \(model.seed)")
                tally.untrusted += 1
                continue
            }
            try checkContents(opened.log, found, model)
            if found.isUntrusted {
                tally.untrusted += 1
                continue
            }
            tally.trusted += 1
            tally.damagedByName += found.damaged.isEmpty ? 0 : 1
            tally.unknownVotes += found.voteIsUnknown ? 1 : 0
            #expect(found.hardState.term == expected.hardState.term, "group \(id)")
            #expect(found.hardState.commitIndex == expected.hardState.commitIndex, "group \(id)")
            if !found.voteIsUnknown {
                #expect(found.hardState.vote == expected.hardState.vote, "group \(id)")
            }
            #expect(found.lastIndex == expected.last, "group \(id)")
            #expect(found.lastTerm == expected.term(of: expected.last), "group \(id)")
            // A truncation that is lost leaves more behind it.
            #expect(found.truncatedThrough <= expected.start.index, "group \(id)")
            if found.truncatedThrough == expected.start.index {
                #expect(found.truncatedTerm == expected.start.term)
                #expect(found.startConfiguration == expected.start.configuration)
            }
            for (offset, term) in expected.terms.enumerated() {
                let index = expected.start.index + UInt64(offset) + 1
                let run = found.termRuns.last { $0.firstIndex <= index }
                #expect(run?.term == term, "group \(id) entry \(index)")
            }
            if !found.peersAreIncomplete {
                let peers = expected.peers.values.sorted { $0.replica < $1.replica }
                #expect(found.peers == peers, "group \(id)")
            }
        }
    }

    /// Every entry can be read and is what the group had there in that term, or is named damaged.
    private static func checkContents(
        _ log: ReplicatedLog, _ found: RecoveredGroup, _ model: SalvageModel
    ) throws {
        var index = found.firstIndex
        var configurations: [LogEntry] = []
        while index <= found.lastIndex {
            defer { index = index.next }
            let term = found.termRuns.last { $0.firstIndex <= index }!.term
            if found.damaged.contains(where: { $0.contains(index) }) {
                let corruption = try corruption {
                    _ = try log.entries(of: found.group, from: index, through: index, maxBytes: 1)
                }
                #expect(corruption?.damage.first?.indexes == index...index)
                continue
            }
            let entry = try log.entries(
                of: found.group, from: index, through: index, maxBytes: 1)[0]
            #expect(entry == SalvageModel.entry(found.group, index, term))
            if case .configuration = entry.payload { configurations.append(entry) }
            let place = SalvageModel.Place(index: index, term: term)
            #expect(model.history[found.group]?.contains(place) == true)
        }
        #expect(found.configurationEntries == configurations)
    }

    /// What peers would bring, written in one go or, as consensus would, in several.
    static func repair(_ opened: Opened, _ model: inout SalvageModel) throws {
        for (id, expected) in model.groups.sorted(by: { $0.key < $1.key }) {
            var part = GroupAppend(group: id)
            let found = opened.groups[id]
            if let found, !found.isUntrusted {
                part.repaired = found.damaged.flatMap { range in
                    (range.lowerBound.rawValue...range.upperBound.rawValue).map { raw in
                        let index = LogIndex(raw)
                        let term = found.termRuns.last { $0.firstIndex <= index }!.term
                        return SalvageModel.entry(id, index, term)
                    }
                }
                if found.voteIsUnknown {
                    part.hardState = HardState(
                        term: expected.hardState.term.next,
                        commitIndex: expected.hardState.commitIndex)
                    model.groups[id]!.hardState = part.hardState!
                }
                part.isTrustedAgain = found.peersAreIncomplete
            } else {
                part.isReset = true
                part.start = expected.start
                part.start?.replacesAll = true
                part.hardState = expected.hardState
                part.entries = SalvageModel.entries(id, expected)[...]
                part.isTrustedAgain = true
            }
            part.peers = expected.peers.values.sorted { $0.replica < $1.replica }
            try opened.log.append([part])
        }
        // Groups that a damaged log may believe in, and this node has not.
        for id in opened.groups.keys.sorted() where model.groups[id] == nil {
            try opened.log.append([GroupAppend(group: id, isReset: true)])
        }
        try opened.log.sync()
        let lacking = try opened.log.declareComplete(seats: model.groups.keys.sorted())
        #expect(lacking.isEmpty, "those that were lost have been written again")
    }

    static func groups(_ opened: Opened) -> [GroupID: RecoveredGroup] { opened.groups }

    /// Opens with a failure at every device operation that changes something, each followed by a
    /// crash, until an opening gets through.
    static func openThroughCrashes(
        _ device: MemoryLogDevice, seed: UInt64, expecting: [GroupID: RecoveredGroup]
    ) throws -> Opened {
        for operation in [LogDeviceError.Operation.write, .sync, .create, .remove] {
            for after in 0... {
                let hurt = device.copy()
                hurt.fail(.init(operation, after: after))
                var passed = false
                do throws(LogError) {
                    _ = try Fixture.open(hurt, settings: settings)
                    passed = true
                } catch {}
                hurt.crash(seed: seed &+ UInt64(after))
                let opened = try Fixture.open(hurt, settings: settings)
                #expect(opened.groups == expecting, "seed \(seed) \(operation) \(after)")
                if passed { break }
            }
        }
        return try Fixture.open(device, settings: settings)
    }

    static func run(seed: UInt64, faults: Int, batches: Int, tally: inout Tally) throws {
        var model = try SalvageModel(seed: seed)
        try model.write(batches: batches)
        let device = model.device
        try harm(device, faults: faults, seed: seed &* 31)
        let image = device.copy()
        let opened = try Fixture.open(device, settings: settings)
        tally.salvages += opened.report.salvaged.isEmpty ? 0 : 1
        try check(opened, against: model, &tally)
        // The same again: from the log that begins anew, and from the damaged one.
        var ignored = Tally()
        let again = try Fixture.open(device, settings: settings)
        #expect(again.groups == opened.groups, "seed \(seed)")
        #expect(again.report.salvaged.isEmpty)
        #expect(again.report.mayLackGroups == opened.report.mayLackGroups)
        let crashed = try openThroughCrashes(image, seed: seed, expecting: opened.groups)
        try check(crashed, against: model, &ignored)
        // Unrepaired, it is not taken for a sound log; repaired, it is one.
        let isSound =
            opened.groups.values.allSatisfy {
                $0.damaged.isEmpty && !$0.isUntrusted && !$0.voteIsUnknown && !$0.peersAreIncomplete
            } && !opened.report.mayLackGroups
        if !isSound { #expect(try corruption { _ = try Fixture.open(device) } != nil) }
        try repair(again, &model)
        device.crash(seed: seed)
        let sound = try Fixture.open(device)
        for (id, expected) in model.groups {
            let found = try #require(sound.groups[id])
            #expect(found.lastIndex == expected.last)
            let entries = try sound.log.everything(of: id)
            #expect(entries.suffix(expected.terms.count) == SalvageModel.entries(id, expected)[...])
        }
        // Once more, behind the restart and in it.
        model.log = sound.log
        try model.write(batches: 30)
        try harm(device, faults: faults, seed: seed &* 37)
        let second = try Fixture.open(device, settings: settings)
        try check(second, against: model, &ignored)
        #expect(try Fixture.open(device, settings: settings).groups == second.groups)
    }

    @Test(arguments: UInt64(1)...(isThorough ? 40 : 14))
    func aFaultIsNamedOrDistrusted(seed: UInt64) throws {
        print("salvage seed \(seed)")
        var tally = Tally()
        try Self.run(seed: seed, faults: Int(seed % 4) + 1, batches: 40 + Int(seed), tally: &tally)
    }

    /// The cost of a single fault: most of the time every group stays trusted.
    @Test func oneFaultSeldomCostsTrust() throws {
        var tally = Tally()
        let runs = isThorough ? 40 : 14
        for seed in UInt64(1000)..<1000 + UInt64(runs) {
            try Self.run(seed: seed, faults: 1, batches: 60, tally: &tally)
        }
        print("salvage: \(tally)")
        #expect(tally.salvages * 4 > runs * 3)
        #expect(tally.damagedByName * 4 > runs)
        #expect(tally.untrusted > 0)
        #expect(tally.trusted * 100 >= tally.groups * 80, "\(tally)")
    }
}
