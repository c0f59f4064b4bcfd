import Consensus
import Foundation
import MultiRaft
import Primitives

/// More seeds, for a machine that has the time: `THOROUGH=1 swift test`.
let isThorough = ProcessInfo.processInfo.environment["THOROUGH"] != nil

/// Nodes that share groups, on simulated disks and a simulated network, in one thread.
///
/// Fault model: a batch between nodes, whole or in its parts, is lost, repeated or delayed by chance;
/// writes and applied entries lag behind; a crash loses works that were not synced, and what was
/// applied without being persisted. Disks do not lie.
final class World {
    struct Disk {
        var hardState = HardState()
        var entries: [LogEntry] = []
        var peers: [PeerRecord] = []

        mutating func write(_ work: AppendWork) {
            if let state = work.hardState { hardState = state }
            for record in work.peers {
                peers.removeAll { $0.replica == record.replica }
                peers.append(record)
            }
            if let from = work.replacedFrom { entries.removeAll { $0.index >= from } }
            for entry in work.entries {
                precondition(entry.index.rawValue == UInt64(entries.count) + 1, "gap at \(entry)")
                entries.append(entry)
            }
        }

        var summary: LogSummary {
            var runs: [TermRun] = []
            for entry in entries where runs.last?.term != entry.term {
                runs.append(TermRun(firstIndex: entry.index, term: entry.term))
            }
            return LogSummary(
                firstIndex: LogIndex(1), lastIndex: LogIndex(UInt64(entries.count)),
                termBeforeFirst: .zero, termRuns: runs,
                lastTimestamp: entries.last?.timestamp ?? .zero)
        }
    }

    struct Node {
        let id: NodeID
        var multi: MultiRaft?
        var incarnation: UInt64 = 0
        var disks: [GroupID: Disk] = [:]
        var appends: [AppendBatch] = []
        var ranges: [InGroup<CommittedRange>] = []
        var fetches: [InGroup<FetchRequest>] = []
        /// Commands applied, by group, in order. Persisted at once.
        var applied: [GroupID: [LogEntry]] = [:]
        var answered: [UInt64] = []
        var failed: [FailedRequest] = []
        var readsReady: [UInt64] = []
        var readsFailed: [FailedRequest] = []
        var nodeChanges: [NodeChange] = []
        var deadlines: [GroupID] = []
        var nextSequence: UInt64 = 1
    }

    let settings: MultiRaftSettings
    let raftSettings: RaftSettings
    let configuration: Configuration
    let groupIDs: [GroupID]
    var generator: SeededGenerator
    var nodes: [Node]
    var network: [(batch: NodeMessages, from: NodeID, to: NodeID)] = []
    /// Everything that left, since the list was last emptied.
    var sent: [(batch: NodeMessages, from: NodeID, to: NodeID)] = []
    var cut: Set<[NodeID]> = []
    var now = MonotonicTime(nanoseconds: 1)
    var violations: [String] = []
    /// Chance, in 100: lost, repeated, delayed; and that a step of a disk or state machine lags.
    var loss = 0
    var repetition = 0
    var delay = 0
    var lag = 0

    init(nodes count: Int = 3, groups: Int, raft: RaftSettings, seed: UInt64 = 1) {
        settings = MultiRaftSettings(
            heartbeatTicks: raft.heartbeatTicks, electionTimeoutTicks: raft.electionTimeoutTicks)
        raftSettings = raft
        generator = SeededGenerator(seed: seed)
        let ids = (1...count).map { ReplicaID(UInt64($0)) }
        configuration = Configuration(voters: ids)
        groupIDs = (1...groups).map { GroupID(UInt32($0)) }
        nodes = (1...count).map { Node(id: NodeID(UInt64($0))) }
        for id in 1...count { start(id) }
    }

    subscript(id: Int) -> Node {
        get { nodes[id - 1] }
        _modify { yield &nodes[id - 1] }
    }

    var ids: [Int] { Array(1...nodes.count) }
    var running: [Int] { ids.filter { self[$0].multi != nil } }

    func start(_ id: Int) {
        self[id].incarnation += 1
        var groups: [RaftGroup] = []
        for group in groupIDs {
            let disk = self[id].disks[group] ?? Disk()
            var restored = RestoredState(
                hardState: disk.hardState, configuration: configuration, log: disk.summary,
                appliedIndex: self[id].applied[group]?.last?.index ?? .zero,
                incarnation: self[id].incarnation)
            restored.peers = disk.peers
            do {
                groups.append(
                    try RaftGroup(
                        group: group, replica: ReplicaID(UInt64(id)), settings: raftSettings,
                        restored: restored, seed: generator.next()))
            } catch {
                violations.append("node \(id), group \(group) cannot start: \(error)")
            }
        }
        self[id].multi = MultiRaft(
            node: self[id].id, incarnation: self[id].incarnation, settings: settings,
            groups: groups, seed: generator.next())
        event(id) { $0.started() }
    }

    func crash(_ id: Int) {
        self[id].multi = nil
        self[id].appends = []
        self[id].ranges = []
        self[id].fetches = []
    }

    // MARK: Events

    /// One event, and the end of its turn.
    func event(_ id: Int, checking: Bool = true, _ happens: (inout MultiRaft) -> Void) {
        guard self[id].multi != nil else { return }
        let before = checking && groupIDs.count < 20 ? self[id].multi : nil
        happens(&nodes[id - 1].multi!)
        perform(nodes[id - 1].multi!.endTurn(now: now, wallClock: 1_000), at: id)
        if let before { violations += self[id].multi!.checkInvariants(since: before) }
    }

    private func perform(_ effects: NodeEffects, at id: Int) {
        send(effects.outgoing, from: id)
        if let append = effects.append {
            if let last = self[id].appends.indices.last, chance(30) {
                self[id].appends[last].follow(with: append)
            } else {
                self[id].appends.append(append)
            }
        }
        self[id].ranges += effects.apply
        self[id].fetches += effects.fetches
        self[id].failed += effects.proposalsFailed
        self[id].readsReady += effects.readsReady.flatMap(\.value)
        self[id].readsFailed += effects.readsFailed
        self[id].nodeChanges += effects.nodeChanges
        self[id].deadlines += effects.deadlinesReached
        for fault in effects.faults { violations.append("node \(id): \(fault)") }
        for reason in effects.quarantined { violations.append("node \(id): \(reason)") }
    }

    private func send(_ batches: [NodeBatch], from id: Int) {
        for batch in batches {
            sent.append((batch.messages, self[id].id, batch.to))
            if cut.contains([self[id].id, batch.to]) || chance(loss) { continue }
            let parts = batch.messages.parts()
            for part in (parts.urgent.map { [$0] } ?? []) + parts.bulk {
                network.append((part, self[id].id, batch.to))
                if chance(repetition) { network.append((part, self[id].id, batch.to)) }
            }
        }
    }

    func chance(_ percent: Int) -> Bool {
        percent > 0 && Int(generator.next() % 100) < percent
    }

    func tick(_ id: Int) { event(id) { $0.ticked(now: now) } }

    /// A tick of all, and everything that follows from it.
    func tickAll(_ times: Int = 1) {
        for _ in 0..<times {
            now.nanoseconds += 1_000_000
            for id in running { tick(id) }
            settle()
        }
    }

    func settle() {
        var patience = 1_000
        while patience > 0, step() { patience -= 1 }
        if patience == 0 { violations.append("the nodes never fall silent") }
    }

    /// Everything that waits moves on, once.
    private func step() -> Bool {
        var moved = false
        let arriving = network
        network = []
        for item in arriving {
            if chance(delay) {
                network.append(item)
                continue
            }
            moved = true
            event(Int(item.to.rawValue)) { $0.received(item.batch, from: item.from) }
        }
        for id in running {
            if !self[id].appends.isEmpty, !chance(lag) {
                moved = true
                sync(id)
            }
            // Of what was handed out by now; chance may leave the rest for later.
            for _ in self[id].ranges {
                if chance(lag) { break }
                moved = true
                apply(id)
            }
            if !self[id].fetches.isEmpty, !chance(lag) {
                moved = true
                fetch(id)
            }
        }
        return moved
    }

    func sync(_ id: Int) {
        let batch = self[id].appends.removeFirst()
        for work in batch.works { self[id].disks[work.group, default: Disk()].write(work.value) }
        send(batch.messagesAfterDurable, from: id)
        event(id) { $0.durable(batch.tickets) }
    }

    /// A command is the sequence of its proposal, and its node.
    private func apply(_ id: Int) {
        let range = self[id].ranges.removeFirst()
        let entries =
            range.value.entries
            ?? Array(
                self[id].disks[range.group]!.entries[
                    Int(range.value.first.rawValue) - 1..<Int(range.value.through.rawValue)])
        var sequences: [UInt64] = []
        for entry in entries {
            self[id].applied[range.group, default: []].append(entry)
            if case .command(let bytes) = entry.payload {
                let (node, incarnation, sequence) = Self.decode(bytes)
                guard node == id, incarnation == self[id].incarnation else { continue }
                sequences.append(sequence)
                self[id].answered.append(sequence)
            }
        }
        let report = AppliedReport(
            group: range.group, through: entries.last!.index, term: entries.last!.term,
            sequences: sequences)
        event(id) { $0.applied(report) }
    }

    private func fetch(_ id: Int) {
        let fetch = self[id].fetches.removeFirst()
        let entries = self[id].disks[fetch.group]!.entries[
            Int(fetch.value.first.rawValue) - 1..<Int(fetch.value.through.rawValue)]
        let fetched = FetchedEntries(request: fetch.value, entries: Array(entries.prefix(20)))
        event(id) { $0.fetched(fetch.group, fetched) }
    }

    private static func decode(_ bytes: Bytes) -> (Int, UInt64, UInt64) {
        (
            Int(bytes[0]), UInt64(bytes[1]),
            bytes[2...].reduce(0) { $0 << 8 | UInt64($1) }
        )
    }

    @discardableResult
    func propose(_ group: Int = 1, at id: Int, patience: UInt64 = 1_000_000_000) -> UInt64 {
        let sequence = self[id].incarnation << 32 | self[id].nextSequence
        self[id].nextSequence += 1
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: sequence >> (56 - 8 * UInt64($0))) }
        let command = [UInt8(id), UInt8(self[id].incarnation)] + bytes
        let deadline = MonotonicTime(nanoseconds: now.nanoseconds + patience)
        event(id) {
            $0.propose(
                NodeProposal(
                    sequence: sequence, group: GroupID(UInt32(group)), command: command,
                    deadline: deadline))
        }
        return sequence
    }

    func isolate(_ id: Int) {
        for other in ids where other != id {
            cut.insert([self[id].id, self[other].id])
            cut.insert([self[other].id, self[id].id])
        }
    }

    func heal() { cut = [] }

    func leader(of group: GroupID) -> Int? {
        running.filter { self[$0].multi!.group(group)!.role == .leader }
            .max { self[$0].multi!.group(group)!.term < self[$1].multi!.group(group)!.term }
    }

    func hasLeaders() -> Bool { groupIDs.allSatisfy { leader(of: $0) != nil } }

    /// Commands applied at a node, as bytes.
    func commands(_ group: GroupID, at id: Int) -> [Bytes] {
        (self[id].applied[group] ?? []).compactMap { entry in
            guard case .command(let bytes) = entry.payload else { return nil }
            return bytes
        }
    }
}
