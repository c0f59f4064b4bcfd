import Primitives
import Testing

@testable import ReplicatedLog

/// Lets chance append, sync, fail and stop the power, and holds the log to its promise: after each
/// opening the log is what it was after some append, no earlier than the last sync.
@Suite struct CrashTests {
    struct ModelGroup: Equatable {
        var hardState = HardState()
        var start = LogIndex.zero
        var startTerm = Term.zero
        var configuration: Bytes = []
        var entries: [LogEntry] = []
        var peers: [PeerRecord] = []

        var last: LogIndex { start + UInt64(entries.count) }
        var lastTerm: Term { entries.last?.term ?? startTerm }
    }
    typealias Model = [GroupID: ModelGroup]

    struct Run {
        var generator: SeededGenerator
        let device = MemoryLogDevice()
        var log: ReplicatedLog
        /// The state after each append since the last sync; the first is the synced one.
        var states: [Model] = [[:]]
        var content: UInt8 = 0
        var reopened = 0
        var torn = 0

        init(seed: UInt64) throws {
            generator = SeededGenerator(seed: seed)
            log = try Fixture.open(device).log
        }

        mutating func chance(_ n: Int, in m: Int) -> Bool {
            Int.random(in: 0..<m, using: &generator) < n
        }

        /// Up to three groups with anything that a group may ask for. Below the size at which the
        /// log splits an append.
        mutating func batch() -> ([GroupAppend], Model) {
            var state = states.last!
            var batch: [GroupAppend] = []
            for id in (UInt32(0)...4).shuffled(using: &generator).prefix(
                Int.random(in: 1...3, using: &generator))
            {
                let group = GroupID(id)
                var model = state[group] ?? ModelGroup()
                var part = GroupAppend(group: group)
                if chance(1, in: 40) {
                    part.isReset = true
                    model = ModelGroup()
                }
                if chance(1, in: 10) { part.start = start(&model) }
                if chance(1, in: 8) {
                    let peer = PeerRecord(
                        replica: ReplicaID(UInt64.random(in: 1...2, using: &generator)),
                        incarnation: generator.next(), start: generator.next(),
                        term: Term(generator.next()), lastIndex: model.last,
                        lastTerm: model.lastTerm)
                    model.peers.removeAll { $0.replica == peer.replica }
                    model.peers = (model.peers + [peer]).sorted { $0.replica < $1.replica }
                    part.peers = [peer]
                }
                if chance(1, in: 3) {
                    model.hardState.term = model.hardState.term.next
                    model.hardState.vote = chance(1, in: 2) ? ReplicaID(UInt64(id) + 1) : nil
                    model.hardState.commitIndex = model.last
                    part.hardState = model.hardState
                }
                if chance(1, in: 4), !model.entries.isEmpty {
                    let from = UInt64.random(
                        in: 1...UInt64(model.entries.count) + 1, using: &generator)
                    part.replaceFrom = model.start + from
                    model.entries.removeSubrange(Int(from - 1)...)
                }
                var entries: [LogEntry] = []
                let term = max(model.lastTerm, model.hardState.term)
                for _ in 0..<Int.random(in: 0...4, using: &generator) {
                    content &+= 1
                    let next = model.last.rawValue + UInt64(entries.count) + 1
                    let bytes = Int.random(in: 0...(chance(1, in: 8) ? 200 : 60), using: &generator)
                    entries.append(
                        Fixture.entry(next, term: term.rawValue, bytes: bytes, fill: content))
                }
                model.entries += entries
                part.entries = entries[...]
                let isEmpty =
                    part.hardState == nil && part.replaceFrom == nil && entries.isEmpty
                    && part.start == nil && part.peers.isEmpty
                guard !isEmpty || part.isReset else { continue }
                state[group] = isEmpty ? nil : model
                batch.append(part)
            }
            return (batch, state)
        }

        /// A truncation behind entries that there are, or a snapshot in their place.
        private mutating func start(_ model: inout ModelGroup) -> LogStart? {
            let replacesAll = chance(1, in: 3)
            if replacesAll {
                model.startTerm = max(model.lastTerm, Term(1))
                model.start = model.last + UInt64.random(in: 1...9, using: &generator)
                model.entries = []
            } else {
                guard !model.entries.isEmpty else { return nil }
                let count = Int.random(in: 1...model.entries.count, using: &generator)
                model.startTerm = model.entries[count - 1].term
                model.start = model.start + UInt64(count)
                model.entries.removeFirst(count)
            }
            content &+= 1
            model.configuration = [content]
            return LogStart(
                index: model.start, term: model.startTerm,
                timestamp: HybridTimestamp(microseconds: model.start.rawValue),
                configuration: model.configuration, configurationIndex: model.start,
                replacesAll: replacesAll)
        }

        mutating func step() throws {
            let (next, state) = batch()
            if chance(1, in: 12) {
                let kinds: [LogDeviceError.Operation] = [.write, .sync, .create]
                let kind = kinds[Int.random(in: 0..<3, using: &generator)]
                let after = Int.random(in: 0...3, using: &generator)
                device.fail(MemoryLogDevice.Fault(kind, after: after))
            }
            states.append(state)
            let sync = chance(1, in: 3)
            let failed = write(next, sync: sync, seal: chance(1, in: 40))
            if failed == nil, sync { states = [state] }
            if case .device(let cause) = failed {
                expectPoisoned(cause)
                // Without a crash, the log comes back from what the system's cache still shows.
                if chance(1, in: 2) { crash() }
                return try reopen()
            }
            #expect(failed == nil)
            if chance(1, in: 10) {
                if chance(3, in: 4) { crash() }
                try reopen()
            }
        }

        func write(_ batch: [GroupAppend], sync: Bool, seal: Bool) -> LogError? {
            do throws(LogError) {
                try log.append(batch)
                if sync { try log.sync() }
                if sync, seal { try log.seal() }
                return nil
            } catch {
                return error
            }
        }

        func expectPoisoned(_ cause: LogDeviceError) {
            #expect(throws: LogError.poisoned(cause)) { try log.append([]) }
        }

        mutating func crash() { device.crash(seed: generator.next()) }

        mutating func reopen() throws {
            device.clearFaults()
            let (log, groups, report) = try Fixture.open(device)
            self.log = log
            reopened += 1
            torn += report.tornTail == nil ? 0 : 1
            var found: Model = [:]
            for (id, group) in groups {
                let entries = try log.everything(of: id)
                #expect(group.lastIndex == group.truncatedThrough + UInt64(entries.count))
                let start = HybridTimestamp(microseconds: group.truncatedThrough.rawValue)
                #expect(group.lastTimestamp == entries.last?.timestamp ?? start)
                #expect(
                    entries.allSatisfy { entry in
                        group.termRuns.last { $0.firstIndex <= entry.index }?.term == entry.term
                    })
                found[id] = ModelGroup(
                    hardState: group.hardState, start: group.truncatedThrough,
                    startTerm: group.truncatedTerm, configuration: group.startConfiguration,
                    entries: entries, peers: group.peers)
            }
            let position = states.lastIndex(of: found)
            #expect(position != nil, "not a state since the last sync")
            // Opening makes what it found durable.
            states = [found]
        }
    }

    @Test(arguments: UInt64(1)...(isThorough ? 60 : 16))
    func whatWasSyncedSurvivesAndNothingIsHalfThere(seed: UInt64) throws {
        print("crash seed \(seed)")
        var run = try Run(seed: seed)
        for _ in 0..<250 { try run.step() }
        #expect(run.reopened > 5)
    }

    /// The runs above would prove little if no batch were ever torn or no segment filled.
    @Test func theRunsReachWhatTheyAreFor() throws {
        var torn = 0
        var segments = 0
        for seed in UInt64(1)...10 {
            var run = try Run(seed: seed)
            for _ in 0..<250 { try run.step() }
            torn += run.torn
            segments += try run.device.listSegments().count
        }
        #expect(torn > 20)
        #expect(segments > 15)
    }

    @Test func aDroppedTailNeverComesBack() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        let first = SegmentNumber(1)
        try log.append([Fixture.append(1, entries: 1...1)])
        try log.sync()
        // Three batches in flight: the first is lost, the others reach the disk.
        let before = device.contents(of: first)
        try log.append([Fixture.append(1, entries: 2...2)])
        let between = device.contents(of: first)
        try log.append([Fixture.append(1, entries: 3...3)])
        try log.append([Fixture.append(1, entries: 4...4)])
        let after = device.contents(of: first)
        var torn = before
        for i in torn.indices where after[i] != between[i] { torn[i] = after[i] }
        device.overwrite(first, at: 0, torn)

        let (again, _, report) = try Fixture.open(device)
        #expect(report.tornTail?.droppedBytes == 4 * Sector.size)
        #expect(try again.everything(of: GroupID(1)) == [Fixture.entry(1)])
        // The mark of the opening and one batch take the places of the first two: they lead right
        // to where the third was, and its sequence is the next one.
        let replacement = Fixture.entry(2, term: 2, fill: 0x77)
        try again.append([GroupAppend(group: GroupID(1), entries: [replacement])])
        try again.sync()
        device.crash(seed: 3)
        let last = try Fixture.open(device)
        #expect(try last.log.everything(of: GroupID(1)) == [Fixture.entry(1), replacement])
        #expect(last.report.tornTail == nil)
    }

    @Test func aFailedSyncPoisonsAndIsNeverRepeated() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        try log.append([Fixture.append(1, entries: 1...1)])
        device.fail(.init(.sync))
        let cause = LogDeviceError(
            .sync, segment: SegmentNumber(1), errorNumber: 5, detail: "injected")
        #expect(throws: LogError.device(cause)) { try log.sync() }
        let syncs = device.count(of: .sync)
        let writes = device.count(of: .write)
        #expect(throws: LogError.poisoned(cause)) { try log.sync() }
        #expect(throws: LogError.poisoned(cause)) { try log.seal() }
        #expect(throws: LogError.poisoned(cause)) {
            try log.append([Fixture.append(1, entries: 2...2)])
        }
        #expect(device.count(of: .sync) == syncs && device.count(of: .write) == writes)
    }

    /// After a sync that failed the system may show pages that it will never write: what the log
    /// returns when it is opened on them must survive a power loss all the same.
    @Test func whatOpeningReturnsIsDurableEvenAfterAFailedSync() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        try log.append([Fixture.append(1, entries: 1...9)])
        device.fail(.init(.sync))
        #expect(throws: LogError.self) { try log.sync() }
        let shown = try Fixture.open(device)
        #expect(try shown.log.everything(of: GroupID(1)).count == 9)
        device.crash(seed: 1)
        let kept = try Fixture.open(device)
        #expect(try kept.log.everything(of: GroupID(1)).count == 9)
    }

    @Test func aSegmentThatWasNotYetAnnouncedIsRemoved() throws {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        try log.append([Fixture.append(1, entries: 1...40)])
        // The next batch does not fit. What fills the segment is synced, its successor is made, but
        // the mark that says so fails.
        device.fail(.init(.write, after: 0))
        #expect(throws: LogError.self) {
            try log.append([Fixture.append(1, entries: 41...41, bytes: 9000)])
        }
        device.crash(seed: 5)
        #expect(try device.listSegments().count == 2)
        let (again, _, report) = try Fixture.open(device)
        #expect(report.discardedSegment == SegmentNumber(2))
        #expect(try again.everything(of: GroupID(1)).count == 40)
        #expect(try device.listSegments().count == 1)
    }
}
