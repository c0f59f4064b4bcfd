import Consensus
import MultiRaft
import Primitives
import RecordModel
import ReplicatedLog

// The apply thread of a node: it takes committed entries in order, applies them, answers clients;
// and the engine's flushes beside it.
extension World {
    private var applyRangesMax: Int { 8 }
    private var replayBytes: Int { 4_000 }

    func beginApply(_ node: Node) {
        let count = min(node.applyQueue.count, 1 + diskChance.below(applyRangesMax))
        guard count > 0 else {
            node.isApplyBusy = false
            return
        }
        node.applyBatch = Array(node.applyQueue[..<count])
        node.applyQueue.removeFirst(count)
        schedule(
            .applied(node: node.number, life: node.life),
            in: diskChance.within(profile.engineLatency))
    }

    func endApply(_ node: Node) {
        let batch = node.applyBatch
        node.applyBatch = []
        for (place, range) in batch {
            guard apply(range, node, place) else { return }
        }
        if node.applyQueue.isEmpty {
            node.isApplyBusy = false
        } else {
            schedule(.apply(node: node.number, life: node.life), in: timeChance.within(1...50))
        }
    }

    /// - Returns: false when the node has stopped.
    private func apply(_ range: CommittedRange, _ node: Node, _ place: Int) -> Bool {
        let seat = node.seats[place]
        guard seat.machine.appliedIndex < range.through else { return true }
        if let entries = range.entries { return apply(entries, node, place) }
        reach(.handoutFromLog)
        var next = max(range.first, seat.machine.appliedIndex.next)
        while next <= range.through {
            let entries: [LogEntry]
            do throws(LogError) {
                entries = try node.log!.entries(
                    of: spec(seat).id, from: next, through: range.through, maxBytes: replayBytes)
            } catch {
                readFailed(node, place, next...range.through, error)
                // What was handed out cannot be read: the process ends, and its next start finds
                // the damage.
                stop(node, keeping: .everything)
                restartLater(node)
                return false
            }
            guard apply(entries, node, place) else { return false }
            next = entries[entries.count - 1].index.next
        }
        return true
    }

    private func apply(_ handed: [LogEntry], _ node: Node, _ place: Int) -> Bool {
        let seat = node.seats[place]
        let entries = handed.filter { $0.index > seat.machine.appliedIndex }
        guard let last = entries.last else { return true }
        checkApplying(entries, seat)
        let answers: [MachineAnswer]
        do throws(MachineFailure) {
            answers = try seat.machine.apply(sabotaged(entries))
        } catch {
            machineFailed(node, seat, error)
            return false
        }
        trace.mix(6, node.number, Int(last.index.rawValue))
        trace.mix(seat.machine.digest)
        checkDigest(seat)
        notePromises(entries, node, place)
        var sequences: [UInt64] = []
        for answer in answers {
            checkOnce(answer, seat)
            if let sequence = answered(answer, node, seat) { sequences.append(sequence) }
        }
        post(
            .applied(
                AppliedReport(
                    group: spec(seat).id, through: last.index, term: last.term,
                    sequences: sequences)), to: node)
        return true
    }

    private func sabotaged(_ entries: [LogEntry]) -> [LogEntry] {
        switch options.sabotage {
        case .skippedEntry, .changedEntry:
            entries.map { entry in
                guard entry.index.rawValue % 37 == 5, diskChance.below(4) == 0,
                    case .command(let bytes) = entry.payload
                else { return entry }
                var changed = entry
                changed.payload =
                    options.sabotage == .skippedEntry ? .empty : .command(bytes + [1])
                return changed
            }
        default: entries
        }
    }

    /// - Returns: the proposal's sequence, where it is of this life of this node.
    private func answered(_ answer: MachineAnswer, _ node: Node, _ seat: Seat) -> UInt64? {
        guard answer.proposal.node == node.id, answer.proposal.incarnation == node.incarnation,
            let proposal = node.proposals.removeValue(forKey: answer.proposal.sequence)
        else { return nil }
        checks.acknowledged(seat.group, answer.index)
        told(proposal.client, proposal.serial, .answer(answer.answer))
        return answer.proposal.sequence
    }

    func machineFailed(_ node: Node, _ seat: Seat, _ error: MachineFailure) {
        trace.note(now, "node \(node.id) group \(spec(seat).id): \(error)")
        if error.isLoss { seat.mustRebuild = true }
        stop(node, keeping: .everything)
        restartLater(node)
    }

    func flush(_ node: Node) {
        if isStaged { return }
        for (place, seat) in node.seats.enumerated() where seat.isRunning {
            do throws(MachineFailure) {
                if diskChance.below(2) == 0 { try seat.machine.flush() }
                // A log whose state machine makes no snapshots must keep all.
                guard seat.machine.snapshot() != nil, !seat.isWitness else { continue }
                let index = try seat.machine.persistedIndex()
                post(.persisted(seat: place, through: index), to: node)
            } catch {
                machineFailed(node, seat, error)
                return
            }
        }
        schedule(
            .flush(node: node.number, life: node.life), in: timeChance.within(50_000...800_000))
    }
}
