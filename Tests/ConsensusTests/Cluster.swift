import Consensus
import Primitives

/// A group of replicas on simulated disks and a simulated network, in one thread. Whatever a test
/// does with it, its `Checker` looks on.
final class Cluster {
    struct Node {
        let id: ReplicaID
        /// What it knows of the group without its log: the bootstrap's, or an address book.
        let bootstrap: Configuration
        let isWitness: Bool
        /// Given up for ever, disk and all.
        var isGone = false
        var disk = SimulatedDisk()
        /// Nil while crashed.
        var raft: RaftGroup?
        /// Works given to the disk and not synced.
        var queued: [AppendWork] = []
        /// Handed out and not applied.
        var handed: [CommittedRange] = []
        var fetches: [FetchRequest] = []
        /// The state machine: every entry applied. A crash takes it back to `durablyApplied`.
        var applied: [LogEntry] = []
        var durablyApplied = 0
        /// On the disk: rolled back with it.
        var incarnation: UInt64 = 0
        /// In truth: no two starts draw the same chance.
        var starts: UInt64 = 0
        /// While true nothing is synced by `settle`.
        var diskIsStuck = false
        /// While true nothing is applied by `settle`.
        var applyIsStuck = false
        var snapshots = SnapshotShell()
        var readsReady: [ReadReady] = []
        var readsRefused: [ReadRefused] = []
        var transfersEnded: [TransferResult] = []
        var quarantined: [QuarantineReason] = []
        var configurationChanges: [ConfigurationEntry] = []
        var alarms: [AlarmChange] = []
    }

    let settings: RaftSettings
    let configuration: Configuration
    let seed: UInt64
    var nodes: [Node]
    var network: [RaftMessage] = []
    /// Everything that ever left a replica.
    var sent: [RaftMessage] = []
    /// Directed pairs that lose every message.
    var cut: [(from: ReplicaID, to: ReplicaID)] = []
    /// Microseconds since 1970.
    var wallClock: UInt64 = 1_000_000
    var checker: Checker
    var recordsSent = true
    /// What each replica's monotonic clock shows; nil where nobody asks it.
    var clock: (Int) -> MonotonicTime? = { _ in nil }

    convenience init(
        _ count: Int, settings: RaftSettings = RaftSettings(heartbeatTicks: 2), seed: UInt64 = 1,
        disks: [SimulatedDisk] = [], registers: Bool = false, members: [Member] = []
    ) {
        let ids = (1...count).map { ReplicaID(UInt64($0)) }
        self.init(
            Configuration(voters: JointConfiguration(incoming: ids), members: members),
            settings: settings, seed: seed, disks: disks, registers: registers)
    }

    /// - Parameter configuration: of replicas that are numbered from 1.
    init(
        _ configuration: Configuration, settings: RaftSettings = RaftSettings(heartbeatTicks: 2),
        seed: UInt64 = 1, disks: [SimulatedDisk] = [], registers: Bool = false
    ) {
        var settings = settings
        settings.registersStarts = registers
        self.settings = settings
        self.seed = seed
        self.configuration = configuration
        checker = Checker(configuration)
        let count = configuration.replicas.count
        nodes = configuration.members.map {
            Node(id: $0.replica, bootstrap: configuration, isWitness: $0.isWitness)
        }
        for (i, disk) in disks.enumerated() { nodes[i].disk = disk }
        for id in 1...count { start(id) }
        if registers {
            settle()
            sent = []
        }
    }

    // Replicas are named by number, from 1, as in the thesis' figures.

    subscript(id: Int) -> Node {
        get { nodes[id - 1] }
        set { nodes[id - 1] = newValue }
    }

    func raft(_ id: Int) -> RaftGroup { nodes[id - 1].raft! }

    var ids: [Int] { Array(1...nodes.count) }
    var running: [Int] { ids.filter { self[$0].raft != nil } }
    var leaders: [Int] { running.filter { raft($0).role == .leader } }

    // MARK: Life and death

    func start(_ id: Int) {
        precondition(self[id].raft == nil, "replica \(id) runs")
        self[id].incarnation += 1
        self[id].starts += 1
        var restored = RestoredState(
            hardState: self[id].disk.hardState,
            configurations: self[id].disk.configurations(after: self[id].bootstrap),
            log: self[id].disk.summary,
            appliedIndex: LogIndex(UInt64(self[id].durablyApplied)),
            incarnation: self[id].incarnation)
        restore(&restored, id)
        restored.isWitness = self[id].isWitness
        restored.peers = self[id].disk.peers
        restored.peersAreIncomplete = self[id].disk.peersAreIncomplete
        var settings = settings
        if self[id].snapshots.makesNone { settings.makesSnapshots = false }
        do {
            self[id].raft = try RaftGroup(
                group: .defaultKeyspace, replica: self[id].id, settings: settings,
                restored: restored,
                seed: seed &* 1_000_003 &+ UInt64(id) &* 101 &+ self[id].starts)
        } catch {
            checker.violations.append("replica \(id) cannot start: \(error)")
            return
        }
        checker.started(self[id])
        event(id) { $0.started() }
    }

    /// - Parameter surviving: works not synced that reached the disk all the same.
    func crash(_ id: Int, surviving: Int = 0) {
        for work in self[id].queued.prefix(surviving) { write(work, id) }
        crashSnapshots(id)
        self[id].raft = nil
        self[id].queued = []
        self[id].handed = []
        self[id].fetches = []
        self[id].applied.removeLast(self[id].applied.count - self[id].durablyApplied)
        checker.crashed(self[id])
    }

    // MARK: Events

    func event(_ id: Int, _ happens: (inout RaftGroup) -> Effects) {
        guard self[id].raft != nil else { return }
        let effects = happens(&nodes[id - 1].raft!)
        checker.looked(at: self, id, effects)
        for message in effects.messages { send(message, of: id) }
        if let work = effects.append { self[id].queued.append(work) }
        self[id].handed += effects.committed
        self[id].fetches += effects.fetches
        takeSnapshotEffects(effects, id)
        self[id].alarms += effects.alarms
        self[id].readsReady += effects.readsReady
        self[id].readsRefused += effects.readsRefused
        if let ended = effects.transferEnded { self[id].transfersEnded.append(ended) }
        if let reason = effects.quarantined { self[id].quarantined.append(reason) }
        if let change = effects.configurationChange { self[id].configurationChanges.append(change) }
    }

    private func send(_ message: RaftMessage, of id: Int) {
        checker.leaves(message, of: self[id])
        if recordsSent { sent.append(message) }
        guard !cut.contains(where: { $0.from == message.from && $0.to == message.to }) else {
            return
        }
        network.append(message)
    }

    func tick(_ id: Int, times: Int = 1) {
        for _ in 0..<times { event(id) { $0.ticked(now: clock(id)) } }
    }

    func tickAll(times: Int = 1) {
        for _ in 0..<times {
            for id in running { tick(id) }
            settle()
        }
    }

    func deliver(_ message: RaftMessage) {
        event(Int(message.to.rawValue)) { $0.received(message) }
    }

    /// Syncs the oldest works: they are durable, their messages leave, one acknowledgement comes.
    func sync(_ id: Int, works: Int = .max) {
        let done = self[id].queued.prefix(works)
        guard let last = done.last else { return }
        self[id].queued.removeFirst(done.count)
        for work in done { write(work, id) }
        for work in done { for message in work.messagesAfterDurable { send(message, of: id) } }
        event(id) { $0.appended(last.ticket) }
    }

    private func write(_ work: AppendWork, _ id: Int) {
        // A witness may cut what nobody has applied yet.
        let cutsItsOwn = self[id].isWitness && work.start?.replacesAll == false
        self[id].disk.write(
            work, state: cutsItsOwn ? self[id].disk.entries[...] : durableState(id))
        for entry in self[id].disk.wrongRepairs {
            checker.violations.append("replica \(id) repairs with \(entry)")
        }
    }

    /// Applies the oldest handout, and reads it again later when the log cannot.
    func apply(_ id: Int) {
        guard !self[id].handed.isEmpty else { return }
        let range = self[id].handed[0]
        guard
            let entries = range.entries
                ?? self[id].disk.read(from: range.first, through: range.through)
        else {
            checker.violations.append("replica \(id) hands out \(range), which has gone")
            return
        }
        guard range.first.rawValue + UInt64(entries.count) == range.through.rawValue + 1 else {
            return checker.reach("handout waits for a repair")
        }
        self[id].handed.removeFirst()
        checker.applies(entries, self[id])
        self[id].applied += entries
        event(id) { $0.applied(through: range.through) }
    }

    func answerFetch(_ id: Int, failing: Bool = false) {
        guard !self[id].fetches.isEmpty else { return }
        let request = self[id].fetches.removeFirst()
        var entries: [LogEntry]?
        if !failing {
            var bytes = 0
            entries = []
            for entry in self[id].disk.read(from: request.first, through: request.through) ?? [] {
                bytes += entry.payloadBytes
                if !entries!.isEmpty && bytes > request.maxBytes { break }
                entries!.append(entry)
            }
            if entries!.isEmpty { entries = nil }
        }
        let fetched = FetchedEntries(request: request, entries: entries)
        event(id) { $0.entriesFetched(fetched) }
    }

    @discardableResult
    func propose(_ commands: String..., at id: Int) -> ProposalOutcome {
        propose(commands.map { Proposal(command: Array($0.utf8)) }, at: id)
    }

    @discardableResult
    func propose(_ proposals: [Proposal], at id: Int) -> ProposalOutcome {
        var outcome = ProposalOutcome.refused(.notLeader(leader: nil))
        let clock = wallClock
        event(id) { raft in
            let (result, effects) = raft.proposed(proposals, wallClock: clock)
            outcome = result
            return effects
        }
        return outcome
    }

    func read(_ tokens: UInt64..., at id: Int) {
        for token in tokens { checker.asks(token, self[id]) }
        event(id) { $0.readsRequested(tokens, now: clock(id)) }
    }

    // MARK: Until nothing moves

    /// Delivers, syncs, applies and fetches, in order, until nothing is left that could be done.
    func settle() {
        var moved = true
        var patience = 10_000
        while moved {
            moved = false
            patience -= 1
            guard patience > 0 else {
                checker.violations.append("the group never falls silent")
                network = []
                return
            }
            let arriving = network
            network = []
            for message in arriving {
                moved = true
                deliver(message)
            }
            for id in running {
                if !self[id].diskIsStuck && !self[id].queued.isEmpty {
                    moved = true
                    sync(id)
                }
                if !self[id].applyIsStuck && !self[id].handed.isEmpty {
                    let applied = self[id].applied.count
                    apply(id)
                    if self[id].applied.count > applied { moved = true }
                }
                if moveSnapshots(id) { moved = true }
                if !self[id].diskIsStuck && !self[id].fetches.isEmpty {
                    moved = true
                    answerFetch(id)
                }
            }
        }
    }

    /// What is on its way arrives; disks and state machines stand still.
    func deliverAll() {
        let arriving = network
        network = []
        for message in arriving { deliver(message) }
    }

    // MARK: Partitions

    func isolate(_ id: Int) {
        for other in ids where other != id {
            cut.append((self[id].id, self[other].id))
            cut.append((self[other].id, self[id].id))
        }
        network.removeAll { $0.from == self[id].id || $0.to == self[id].id }
    }

    func heal() { cut = [] }

    // MARK: Shortcuts

    /// Time passes for one replica until it leads; the others have forgotten any leader before.
    func elect(_ id: Int) {
        for other in running where other != id && raft(other).role == .follower {
            if raft(other).leader != nil { tick(other, times: settings.electionTimeoutTicks) }
        }
        var patience = 6 * settings.electionTimeoutTicks
        while raft(id).role != .leader && patience > 0 {
            tick(id)
            settle()
            patience -= 1
        }
    }

    func commands(at id: Int) -> [String] {
        self[id].applied.compactMap { entry in
            guard case .command(let bytes) = entry.payload else { return nil }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    func logTerms(of id: Int) -> [UInt64] {
        let raft = raft(id)
        var terms: [UInt64] = []
        var index = raft.firstIndex
        while index <= raft.lastIndex {
            terms.append(raft.term(at: index)!.rawValue)
            index = index.next
        }
        return terms
    }
}
