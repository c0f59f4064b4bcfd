import Consensus
import MultiRaft
import Primitives
import RecordModel

// A world whose story is told: nothing happens in it by itself but time.
extension World {
    /// Lets things happen until they are as wanted, or the time is up.
    ///
    /// - Returns: whether they are as wanted.
    func drive(_ microseconds: UInt64, until isDone: () -> Bool = { false }) -> Bool {
        let end = now + microseconds
        while report.failures.isEmpty {
            if isDone() { return true }
            guard let (time, event) = queue.pop() else { return false }
            if time > end {
                queue.push(event, at: time)
                now = end
                return false
            }
            now = time
            report.events += 1
            handle(event)
        }
        return false
    }

    /// Every link of these nodes with the others.
    func links(_ few: [Int]) -> [(from: Int, to: Int)] {
        nodes.indices.filter { !few.contains($0) }.flatMap { other in
            few.flatMap { [(from: $0, to: other), (from: other, to: $0)] }
        }
    }

    func hasWorkingLeader(_ group: Int) -> Bool {
        guard let (node, _, _) = leader(of: group) else { return false }
        return node.core?.group(specs[group].id)?.hasCommittedInTerm == true
    }

    func enthrone(_ number: Int, _ group: Int) throws(MatrixMistake) {
        for _ in 0..<20 {
            guard drive(3_000_000, until: { hasWorkingLeader(group) }),
                let (node, place, _) = leader(of: group)
            else { throw MatrixMistake("group \(group + 1) elects nobody: \(report.failures)") }
            if node.number == number { return }
            post(.transfer(seat: place, ReplicaID(UInt64(number + 1))), to: node)
            _ = drive(100_000)
        }
        throw MatrixMistake("group \(group + 1) does not elect node \(number + 1)")
    }

    func ask(_ request: WorkRequest, _ node: Node, _ place: Int) -> Client {
        let client = Client(number: clients.count)
        client.history = HistoryClient(clientsBefore + client.number)
        clients.append(client)
        client.serial = 1
        switch request {
        case .key(let key):
            client.current = (keyHistory.invoke(client.history, key, at: now), true)
        case .store(let store):
            client.current = (storeHistory.invoke(client.history, store, at: now), false)
        }
        report.operations.invoked += 1
        schedule(.clientTimeout(client.number, serial: 1), in: 1_000_000)
        submit(request, client, node, place)
        return client
    }

    /// Writes that are answered, one after the other, to both groups.
    func writeAll(count: Int) throws(MatrixMistake) {
        for serial in 0..<count {
            for group in specs.indices {
                guard let (node, place, _) = leader(of: group) else {
                    throw MatrixMistake("group \(group + 1) has lost its leader")
                }
                let client = ask(.write(group, "\(now).\(serial)"), node, place)
                _ = drive(500_000) { client.current == nil }
                guard case .answer? = client.heard else {
                    throw MatrixMistake("a write to group \(group + 1) is not answered")
                }
            }
        }
    }

    func flushAll(_ node: Node) {
        for (place, seat) in node.seats.enumerated() where seat.isRunning {
            do throws(MachineFailure) {
                try seat.machine.flush()
                guard seat.machine.snapshot() != nil else { continue }
                post(.persisted(seat: place, through: try seat.machine.persistedIndex()), to: node)
            } catch {
                machineFailed(node, seat, error)
                return
            }
        }
    }
}

extension WorkRequest {
    private static let stagedKey: Bytes = Array("a".utf8)

    static func write(_ group: Int, _ text: String) -> WorkRequest {
        let value = Array(text.utf8)
        return group == 0
            ? .key(KeyRequest(group: GroupID(1), key: stagedKey, .put(value)))
            : .store(StoreRequest(.put(key: stagedKey, value: value)))
    }

    static func read(_ group: Int) -> WorkRequest {
        group == 0
            ? .key(KeyRequest(group: GroupID(1), key: stagedKey, .read))
            : .store(StoreRequest(.range(.key(stagedKey))))
    }
}
