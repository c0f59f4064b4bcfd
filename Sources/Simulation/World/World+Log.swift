import Consensus
import MultiRaft
import Primitives
import ReplicatedLog

// The log thread of a node: it takes all work that waits, writes it, syncs once, and only then lets
// the messages go that speak of it.
extension World {
    func writeLog(_ node: Node) {
        guard let log = node.log, !node.logQueue.isEmpty else {
            node.isLogBusy = false
            return
        }
        node.logBatch = node.logQueue.removeFirst()
        for batch in node.logQueue { node.logBatch.follow(with: batch) }
        node.logQueue = []
        let works = node.logBatch.works.filter { node.place(of: $0.group, specs) != nil }
        let appends = works.map { GroupAppend($0.group, $0.value) }
        trace.mix(4, node.number, appends.count)
        guard !appends.isEmpty else {
            finishLog(node)
            return
        }
        for work in works {
            node.seats[node.place(of: work.group, specs)!].unsynced.append(work.value)
        }
        do throws(LogError) {
            try log.append(appends)
        } catch {
            logFailed(node, error)
            return
        }
        if options.sabotage == .forgetfulDisk, diskChance.below(3) == 0 { node.device.loseSync() }
        let delay =
            diskChance.within(profile.syncLatency) + node.syncDelay
            + UInt64(node.device.takeDelay())
        schedule(.logSync(node: node.number, life: node.life), in: delay)
    }

    /// A replica begins on a node that runs.
    ///
    /// - Returns: whether that is durable; if not, the node has stopped.
    func begin(_ seat: Seat, at node: Node) -> Bool {
        do throws(LogError) {
            try node.log?.append([.beginning(of: spec(seat).id)])
            try node.log?.sync()
            seat.hasBegun = true
            return true
        } catch {
            logFailed(node, error)
            return false
        }
    }

    func syncLog(_ node: Node) {
        do throws(LogError) {
            try node.log?.sync()
        } catch {
            logFailed(node, error)
            return
        }
        finishLog(node)
    }

    private func finishLog(_ node: Node) {
        let batch = node.logBatch
        node.logBatch = AppendBatch()
        for work in batch.works {
            guard let place = node.place(of: work.group, specs) else { continue }
            synced(work.value, node, node.seats[place])
        }
        for seat in node.seats { seat.unsynced = [] }
        for batch in batch.messagesAfterDurable { checkLeaving(batch.messages, node) }
        trace.mix(5, node.number, batch.tickets.count)
        post(.durable(batch.tickets), to: node)
        send(batch.messagesAfterDurable, from: node)
        if node.logQueue.isEmpty {
            node.isLogBusy = false
        } else {
            schedule(.logWrite(node: node.number, life: node.life), in: timeChance.within(1...30))
        }
    }

    private func synced(_ work: AppendWork, _ node: Node, _ seat: Seat) {
        checkWriting(work, seat)
        checkTruncation(work, seat)
        seat.ledger.apply(work)
        seat.known.apply(work)
        if !work.repaired.isEmpty { reach(.entryRepaired) }
        if let start = work.start, !start.replacesAll { reach(.logTruncated) }
        if let last = work.entries.last, let raft = node.core?.group(spec(seat).id),
            raft.term(at: last.index) != last.term
        {
            // The acknowledgement that follows speaks of entries that others have replaced.
            reach(.staleAppendAcknowledged)
        }
    }

    private func logFailed(_ node: Node, _ error: LogError) {
        trace.note(now, "node \(node.id): \(error)")
        switch error {
        case .device, .poisoned: break
        case .corruption, .foreign, .unsupportedVersion, .missing, .unavailable, .tooLarge:
            fail("node \(node.id) cannot write its log: \(error)")
            return
        }
        if node.isFull { reach(.diskFull) }
        stop(node, keeping: .everything)
        restartLater(node)
    }

    func restartLater(_ node: Node) {
        schedule(
            .start(node: node.number, life: node.life), in: timeChance.within(20_000...1_500_000))
    }

    /// Reads entries for a follower that is far behind.
    func fetch(_ node: Node, _ seat: Seat, _ request: FetchRequest) {
        guard let log = node.log, seat.isRunning,
            let place = node.seats.firstIndex(where: { $0 === seat })
        else { return }
        reach(.entriesFetched)
        var found: [LogEntry]?
        do throws(LogError) {
            found = try log.entries(
                of: spec(seat).id, from: request.first, through: request.through,
                maxBytes: request.maxBytes)
        } catch {
            readFailed(node, place, request.first...request.through, error)
        }
        post(.fetched(seat: place, FetchedEntries(request: request, entries: found)), to: node)
    }

    /// Some of these entries cannot be read: each that cannot is damaged.
    func readFailed(
        _ node: Node, _ place: Int, _ range: ClosedRange<LogIndex>, _ error: LogError
    ) {
        trace.note(now, "node \(node.id): \(error)")
        guard let log = node.log else { return }
        let id = spec(node.seats[place]).id
        var index = range.lowerBound
        while index <= range.upperBound {
            defer { index = index.next }
            do throws(LogError) {
                _ = try log.entries(of: id, from: index, through: index, maxBytes: 0)
            } catch {
                switch error {
                case .corruption, .device:
                    reach(.damageFound)
                    log.noteDamage(of: id, at: index)
                    post(.damaged(seat: place, index...index), to: node)
                case .unavailable, .foreign, .unsupportedVersion, .missing, .poisoned, .tooLarge:
                    return
                }
            }
        }
    }
}

extension GroupAppend {
    init(_ group: GroupID, _ work: AppendWork) {
        self.init(
            group: group, start: work.start, hardState: work.hardState,
            replaceFrom: work.replacedFrom, entries: work.entries[...], repaired: work.repaired,
            peers: work.peers)
    }
}
