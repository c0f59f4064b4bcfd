import Consensus
import MultiRaft
import Primitives

// Snapshots on their way: made by one node, fetched in steps by another, installed there.
extension World {
    /// Snapshots that a node keeps for others; the oldest goes first.
    private static var snapshotsKept: Int { 4 }

    func makeSnapshot(_ node: Node, _ place: Int, _ request: SnapshotRequest) {
        let seat = node.seats[place]
        guard seat.isRunning else { return }
        guard let image = seat.machine.snapshot() else {
            post(.snapshotMade(seat: place, request.id, nil), to: node)
            return
        }
        reach(.snapshotMade)
        if seat.last?.role != .leader { reach(.snapshotFromFollower) }
        node.snapshots.append((seat.group, request.id, image))
        if node.snapshots.count > Self.snapshotsKept { node.snapshots.removeFirst() }
        post(.snapshotMade(seat: place, request.id, image.appliedIndex), to: node)
    }

    func beginTransfer(_ node: Node, _ place: Int, _ fetch: SnapshotFetch) {
        let metadata = fetch.metadata
        trace.note(
            now, "node \(node.id) fetches snapshot \(metadata.index) of \(metadata.id.source)")
        node.seats[place].transfer = metadata.id
        let transfer = Transfer(
            seat: place, metadata: metadata, source: fetch.node.map { Int($0.rawValue) - 1 },
            stepsLeft: 1 + networkChance.below(6), image: nil)
        schedule(transferEvent(node, transfer), in: networkChance.within(profile.latency))
    }

    private func transferEvent(_ node: Node, _ transfer: Transfer) -> Event {
        .snapshotStep(node: node.number, life: node.life, transfer)
    }

    func stepTransfer(_ node: Node, _ transfer: Transfer) {
        var transfer = transfer
        let seat = node.seats[transfer.seat]
        let id = transfer.metadata.id
        guard seat.isRunning, seat.transfer == id else { return }
        if transfer.stepsLeft > 0 {
            guard let image = read(transfer, by: node) else {
                reach(.snapshotBrokeOff)
                seat.transfer = nil
                post(.snapshotEnded(seat: transfer.seat, id, .failed), to: node)
                return
            }
            transfer.image = image
            transfer.stepsLeft -= 1
            schedule(
                transferEvent(node, transfer),
                in: networkChance.within(profile.latency) + diskChance.within(500...20_000))
            return
        }
        install(transfer, node, seat)
    }

    private func read(_ transfer: Transfer, by node: Node) -> MachineSnapshot? {
        guard let source = transfer.source, nodes[source].isUp,
            !network.isCut(node.number, source), !network.isCut(source, node.number)
        else { return nil }
        if profile.enables(.snapshotBreak), networkChance.below(12) == 0 {
            injected(.snapshotBreak)
            return nil
        }
        let group = node.seats[transfer.seat].group
        return nodes[source].snapshots.last {
            $0.group == group && $0.id == transfer.metadata.id
        }?.image
    }

    private func install(_ transfer: Transfer, _ node: Node, _ seat: Seat) {
        let metadata = transfer.metadata
        seat.transfer = nil
        guard let image = transfer.image, image.appliedIndex == metadata.index else {
            fail(
                "node \(node.id) fetched a snapshot of \(metadata.index) that is of "
                    + "\(transfer.image?.appliedIndex.description ?? "nothing")")
            return
        }
        guard image.appliedIndex >= seat.machine.appliedIndex else {
            post(.snapshotEnded(seat: transfer.seat, metadata.id, .failed), to: node)
            return
        }
        seat.machine.install(image)
        seat.installed = metadata
        seat.stateIsAmiss = false
        node.applyQueue.removeAll { $0.seat == transfer.seat }
        node.applyBatch.removeAll { $0.seat == transfer.seat }
        reach(.snapshotInstalled)
        if metadata.configuration.configuration.voters.isJoint
            || seat.last?.configuration.configuration.voters.isJoint == true
        {
            reach(.snapshotDuringJoint)
        }
        checkDigest(seat)
        checks.installed(seat.group, metadata)
        trace.note(now, "node \(node.id) installs snapshot \(metadata.index)")
        post(.snapshotEnded(seat: transfer.seat, metadata.id, .installed), to: node)
    }
}
