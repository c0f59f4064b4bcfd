import Consensus
import MultiRaft
import Primitives
import RecordModel
import ReplicatedLog

// Starts and stops.
extension World {
    /// Opens the disk and starts the process, or finds out that it cannot be.
    func start(_ node: Node) {
        node.incarnation += 1
        var opened: (log: ReplicatedLog, groups: [GroupID: RecoveredGroup], report: RecoveryReport)
        let left = node.device.copy()
        do throws(LogError) {
            opened = try openLog(node.device, node)
            checkDropped(opened.report, from: left, node)
            try beginSeats(node, opened.log, &opened.groups)
            let seated = node.seats.filter { !$0.isGivenUp }.map { spec($0).id }
            let forgotten = try opened.log.declareComplete(seats: seated)
            opened.groups.merge(forgotten) { _, lost in lost }
        } catch {
            cannotStart(node, "\(error)")
            return
        }
        node.hasLog = true
        trace.mix(2, node.number, Int(node.incarnation))
        trace.note(
            now,
            "node \(node.id) starts, incarnation \(node.incarnation), log of "
                + "\(opened.report.segments) segments, \(opened.report.batches) batches, "
                + "\(opened.groups.count) groups, \(opened.report.salvaged.count) damages"
                + (opened.report.mayLackGroups ? ", groups may lack" : ""))
        if opened.report.tornTail != nil { reach(.tornTailDropped) }
        node.life += 1
        node.isUp = true
        node.log = opened.log
        // A volume that comes back as it was counts its incarnations a second time.
        node.nextSequence = timeChance.word() >> 1
        var groups: [RaftGroup] = []
        for seat in node.seats where !seat.isGivenUp {
            guard let raft = restore(node, seat, opened.groups[spec(seat).id]) else {
                if node.isUp && report.failures.isEmpty { continue }
                return
            }
            groups.append(raft)
        }
        node.core = MultiRaft(
            node: node.id, incarnation: node.incarnation, settings: coreSettings, groups: groups,
            seed: timeChance.word())
        node.nextTick = now + tickInterval(node)
        schedule(
            .tick(node: node.number, life: node.life), in: timeChance.within(1...tick))
        schedule(.flush(node: node.number, life: node.life), in: timeChance.within(1...400_000))
        if options.isTraced { traceStarts(node) }
        tell(node) { $0.started() }
        endTurn(node)
    }

    /// Seats that were given out while the node was down, or whose group had another one here.
    private func beginSeats(
        _ node: Node, _ log: ReplicatedLog, _ groups: inout [GroupID: RecoveredGroup]
    ) throws(LogError) {
        for seat in node.seats where !seat.isGivenUp && !seat.hasBegun {
            let group = spec(seat).id
            try log.append([.beginning(of: group)])
            try log.sync()
            groups[group] = RecoveredGroup(group: group)
            seat.hasBegun = true
        }
    }

    func openLog(
        _ device: MemoryLogDevice, _ node: Node
    ) throws(LogError) -> (
        log: ReplicatedLog, groups: [GroupID: RecoveredGroup], report: RecoveryReport
    ) {
        // What stops and losses of power leave is an ordinary end of a log, and nothing to salvage.
        // A stage's disks are harmed by whoever set it.
        let maySalvage = isStaged || node.isDiskDamaged || device !== node.device
        return try ReplicatedLog.open(
            device: device, identity: LogIdentity(cluster: ClusterID(1), node: node.id),
            settings: LogSettings(
                segmentBytes: segmentBytes, requireExisting: node.hasLog,
                salvagesDamage: maySalvage))
    }

    /// - Returns: nil when the node has stopped again, or the seat is given up.
    func restore(_ node: Node, _ seat: Seat, _ found: RecoveredGroup?) -> RaftGroup? {
        let recovered = found ?? RecoveredGroup(group: spec(seat).id)
        do throws(MachineFailure) {
            try startMachine(seat)
        } catch {
            stop(node, keeping: .everything)
            schedule(.start(node: node.number, life: node.life), in: 500_000)
            return nil
        }
        seat.isRunning = true
        checkRecovered(seat, recovered)
        let restored: RestoredState
        do throws(DecodingFailure) {
            restored = try self.restored(node, seat, recovered)
        } catch {
            fail("node \(node.id) group \(spec(seat).id): a configuration cannot be read: \(error)")
            return nil
        }
        if restored.appliedIndex < recovered.lastIndex { reach(.stateBehindLog) }
        do throws(RestoreFailure) {
            return try RaftGroup(
                group: spec(seat).id, replica: seat.replica, settings: raftSettings(seat),
                restored: restored, seed: timeChance.word())
        } catch {
            // A disk that has lost something without knowing it may contradict itself: such a replica
            // is given up like one in quarantine. One whose log knows it starts, in quarantine.
            guard budget.isLost(seat), !restored.logIsUntrusted else {
                fail("node \(node.id) group \(spec(seat).id) cannot start: \(error)")
                return nil
            }
            reach(.quarantined)
            seat.machine.stop(seed: 0)
            seat.isRunning = false
            seat.isGivenUp = true
            return nil
        }
    }

    /// A state that is gone, or cannot be read, is made anew.
    private func startMachine(_ seat: Seat) throws(MachineFailure) {
        if !seat.mustRebuild {
            do throws(MachineFailure) {
                try seat.machine.start()
                return
            } catch {
                guard error.isLoss else { throw error }
                seat.mustRebuild = true
            }
        }
        reach(.stateLost)
        seat.installed = nil
        seat.stateIsAmiss = seat.ledger.base > .zero
        seat.machine.wipe()
        try seat.machine.start()
    }

    private func restored(
        _ node: Node, _ seat: Seat, _ recovered: RecoveredGroup
    ) throws(DecodingFailure) -> RestoredState {
        var configurations: [ConfigurationEntry] = []
        if recovered.startConfiguration.isEmpty {
            configurations.append(
                ConfigurationEntry(index: .zero, configuration: seat.addressBook))
        } else {
            configurations.append(
                ConfigurationEntry(
                    index: recovered.startConfigurationIndex,
                    configuration: try Configuration(decoding: recovered.startConfiguration)))
        }
        for entry in recovered.configurationEntries {
            guard case .configuration(let bytes) = entry.payload else { continue }
            configurations.append(
                ConfigurationEntry(
                    index: entry.index, configuration: try Configuration(decoding: bytes)))
        }
        var state = RestoredState(
            hardState: options.isTraced
                ? tracedStart(recovered.hardState, seat) : recovered.hardState,
            configurations: configurations,
            log: LogSummary(
                firstIndex: recovered.firstIndex, lastIndex: recovered.lastIndex,
                termBeforeFirst: recovered.truncatedTerm, termRuns: recovered.termRuns,
                lastTimestamp: recovered.lastTimestamp),
            appliedIndex: seat.machine.appliedIndex, incarnation: node.incarnation)
        state.peers = recovered.peers
        state.peersAreIncomplete = recovered.peersAreIncomplete
        state.stateIsLost = seat.mustRebuild
        state.installedSnapshot = seat.installed
        state.isWitness = seat.isWitness
        seat.mustRebuild = false
        state.appliedTimestamp = seat.machine.newestTimestamp
        state.appliedConfiguration = ConfigurationEntry(
            index: .zero, configuration: seat.addressBook)
        if let known = seat.machine.configuration {
            state.appliedConfiguration = ConfigurationEntry(
                index: known.index, configuration: try Configuration(decoding: known.encoded))
        }
        state.damaged = recovered.damaged
        state.voteIsUnknown = recovered.voteIsUnknown
        state.logIsUntrusted = recovered.isUntrusted
        if recovered.voteIsUnknown { reach(.voteUnknown) }
        if recovered.isUntrusted { reach(.logUntrusted) }
        if !recovered.damaged.isEmpty { reach(.damageFound) }
        return state
    }

    /// What is on the disk is what was synced, and any number of the works after it, in their order.
    private func checkRecovered(_ seat: Seat, _ recovered: RecoveredGroup) {
        var terms: [Term] = []
        for (i, run) in recovered.termRuns.enumerated() {
            let end =
                i + 1 < recovered.termRuns.count
                ? recovered.termRuns[i + 1].firstIndex : recovered.lastIndex.next
            for _ in run.firstIndex.rawValue..<end.rawValue { terms.append(run.term) }
        }
        let found = Ledger(
            hardState: recovered.hardState, base: recovered.truncatedThrough,
            baseTerm: recovered.truncatedTerm, terms: terms, peers: recovered.peers,
            damaged: recovered.damaged)
        defer {
            seat.ledger = found
            seat.known = found
            seat.unsynced = []
        }
        guard recovered.damaged.isEmpty, !recovered.isUntrusted, !recovered.voteIsUnknown,
            !seat.isHarmed
        else { return }
        var expected = seat.ledger
        var kept = 0
        while true {
            if expected.resembles(found) {
                if kept > 0 { reach(.unsyncedWritesKept) }
                return
            }
            guard kept < seat.unsynced.count else { break }
            expected.apply(seat.unsynced[kept])
            kept += 1
        }
        fail(
            """
            group \(spec(seat).id) replica \(seat.replica): the log came back with \
            \(found.hardState) \(found.base)...\(found.lastIndex) of term \(found.lastTerm), and \
            had \(seat.ledger.hardState) \(seat.ledger.base)...\(seat.ledger.lastIndex) of term \
            \(seat.ledger.lastTerm) and \(seat.unsynced.count) works on the way
            """)
    }

    private func cannotStart(_ node: Node, _ why: String) {
        trace.note(now, "node \(node.id) cannot start: \(why)")
        if node.isFull {
            node.incarnation -= 1
            schedule(.start(node: node.number, life: node.life), in: 500_000)
            return
        }
        fail("node \(node.id) cannot open its log: \(why)")
    }

    /// What is left of the writes that were on the way.
    enum Keeping {
        /// All of them: the process ended, the machine did not.
        case everything
        /// What the disk makes of a loss of power.
        case chance
    }

    func stop(_ node: Node, keeping: Keeping) {
        guard node.isUp else { return }
        trace.mix(3, node.number, Int(node.incarnation))
        trace.note(now, "node \(node.id) stops")
        for seat in node.seats where seat.isRunning { seat.machine.stop(seed: diskChance.word()) }
        switch keeping {
        case .everything: node.device.clearFaults()
        case .chance: node.device.crash(seed: diskChance.word())
        }
        for proposal in node.proposals.sorted(by: { $0.key < $1.key }) {
            told(proposal.value.client, proposal.value.serial, .unknown)
        }
        for read in node.reads.sorted(by: { $0.key < $1.key }) {
            told(read.value.client, read.value.serial, .refused)
        }
        node.isUp = false
        node.life += 1
        takeImage(node)
        node.pausedUntil = 0
        node.forget()
    }

    // MARK: Clocks

    /// Microseconds of true time of one tick of the node.
    func tickInterval(_ node: Node) -> UInt64 {
        UInt64(Int64(tick) * 1_000_000 / (1_000_000 + node.driftPPM))
    }

    /// Each node's own, and never less than before.
    func monotonic(_ node: Node) -> MonotonicTime {
        let reading = UInt64(Int64(now) + clockAhead(node))
        precondition(
            reading >= node.lastReading, "the clock went from \(node.lastReading) to \(reading)")
        node.lastReading = reading
        return MonotonicTime(nanoseconds: reading * 1_000)
    }

    /// Microseconds by which the monotonic clock is ahead of true time.
    private func clockAhead(_ node: Node) -> Int64 {
        node.clockAhead + Int64(now - node.driftsSince) * node.driftPPM / 1_000_000
    }

    /// What the clock has gained or lost so far it keeps.
    func drift(_ node: Node, byPPM rate: Int64) {
        node.clockAhead = clockAhead(node)
        node.driftsSince = now
        node.driftPPM = rate
    }

    func wallClock(_ node: Node) -> UInt64 {
        UInt64(Int64(1_700_000_000_000_000 + now) + node.skew)
    }
}
