import Primitives
import RecordModel
import RecordStore
import StorageEngine

/// Leases on three nodes in virtual time: each with the real state machine, the real clock, and a
/// mailbox like the lease thread's. Raft is reduced to what leases depend on: entries commit in one
/// order; a new leader keeps some of what its predecessor had not committed; nobody else commits in
/// a term; a read is confirmed by the leader of the day once an entry of its term is committed, and
/// served where the asker has applied everything up to then.
///
/// Faults: nodes stand still and do not notice; leaders are deposed and are told late; nodes restart
/// with another monotonic clock; proposals are lost, or sent again in a later term.
final class LeaseWorld {
    enum Event {
        case role(Term?)
        case changed([LeaseChange])
        case keepAlive(UInt64, LeaseID)
        case confirmed([(UInt64, LeaseID)], Term)
        case failed(LeaseCommand)
    }

    final class Node {
        let engine = MemoryEngine()
        var store: RecordStore
        var clock: LeaseClock
        /// Of this run of the node, ahead of the world's time.
        var offset: UInt64
        var run = 0
        var mailbox: [(at: UInt64, event: Event)] = []
        /// The term that Raft on this node believes to lead in.
        var believes: Term?
        var standsStillUntil: UInt64 = 0
        /// When it hears that it leads no more.
        var deposedAt: UInt64?
        /// Proposed in a term that this node does not lead in any more.
        var limbo: [LeaseCommand] = []
        var reads: [(index: Int, asked: [(UInt64, LeaseID)])] = []

        init(_ settings: LeaseClock.Settings, offset: UInt64) throws {
            store = try RecordStore(engine: engine, group: .defaultKeyspace, keyspace: .default)
            self.offset = offset
            clock = LeaseClock(
                leases: [], settings: settings, now: MonotonicTime(nanoseconds: offset))
        }
    }

    struct Entry {
        var entry: LogEntry
        var command: LeaseCommand?
        var origin: (node: Int, run: Int)?
    }

    static let second: UInt64 = 1_000_000_000
    var chance: SeededGenerator
    let settings: LeaseClock.Settings
    var now: UInt64 = second
    var nodes: [Node] = []
    var leader = 0
    var term = Term(0)
    var committed: [Entry] = []
    var tail: [Entry] = []
    /// Reads that wait for the leader's word.
    var unconfirmed: [(node: Int, run: Int, asked: [(UInt64, LeaseID)])] = []
    /// Applies what is committed at once: what is true.
    let truth: RecordStore
    var nextSequence: UInt64 = 1
    var promises = LeasePromises()
    var counts: [String: Int] = [:]

    init(seed: UInt64, settings: LeaseClock.Settings) throws {
        chance = SeededGenerator(seed: seed)
        self.settings = settings
        truth = try RecordStore(
            engine: MemoryEngine(), group: .defaultKeyspace, keyspace: .default)
        for _ in 0..<3 {
            let offset = UInt64.random(in: 0...(1 << 50), using: &chance)
            nodes.append(try Node(settings, offset: offset))
        }
        elect(0)
    }

    func happens(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &chance) < percent }
    func count(_ what: String) { counts[what, default: 0] += 1 }
    func standsStill(_ node: Int) -> Bool { nodes[node].standsStillUntil > now }
    func time(on node: Int) -> MonotonicTime {
        MonotonicTime(nanoseconds: now + nodes[node].offset)
    }

    func post(_ event: Event, to node: Int, within milliseconds: UInt64 = 20) {
        let delay = UInt64.random(in: 0...milliseconds * 1_000_000, using: &chance)
        let last = nodes[node].mailbox.last?.at ?? 0
        nodes[node].mailbox.append((at: max(last, now + delay), event: event))
    }

    // MARK: Raft

    func elect(_ winner: Int) {
        count("elections")
        let former = leader
        term = term.next
        leader = winner
        let kept = tail.isEmpty ? 0 : Int.random(in: 0...tail.count, using: &chance)
        for lost in tail.dropFirst(kept) {
            guard let command = lost.command, let origin = lost.origin,
                nodes[origin.node].run == origin.run
            else { continue }
            nodes[origin.node].limbo.append(command)
        }
        if kept > 0 { count("entries inherited") }
        tail = Array(tail.prefix(kept))
        if former != winner, nodes[former].believes != nil {
            nodes[former].deposedAt = now + UInt64.random(in: 0...3 * Self.second, using: &chance)
        }
        nodes[winner].believes = term
        nodes[winner].deposedAt = nil
        post(.role(term), to: winner)
        append(nil, from: nil)
    }

    func append(_ command: LeaseCommand?, from origin: Int?) {
        let index = LogIndex(UInt64(committed.count + tail.count + 1))
        var payload = LogEntry.Payload.empty
        if let command {
            let id = ProposalID(node: NodeID(1), incarnation: 1, sequence: nextSequence)
            payload = .command(Command(id: id, body: .lease(command)).encode())
            nextSequence += 1
        }
        let entry = LogEntry(
            term: term, index: index, timestamp: HybridTimestamp(microseconds: index.rawValue),
            payload: payload)
        tail.append(
            Entry(
                entry: entry, command: command,
                origin: origin.map { (node: $0, run: nodes[$0].run) }))
    }

    func propose(_ command: LeaseCommand, from node: Int) {
        if nodes[node].believes == term, leader == node {
            if happens(5) {
                count("overloaded")
                return post(.failed(command), to: node)
            }
            append(command, from: node)
            if happens(10) {
                count("of unknown outcome")
                post(.failed(command), to: node)
            }
        } else {
            nodes[node].limbo.append(command)
        }
    }

    /// The leader's tail becomes durable on a quorum, bit by bit.
    func commit() throws {
        guard !standsStill(leader), !tail.isEmpty, happens(60) else { return }
        for _ in 0..<Int.random(in: 1...tail.count, using: &chance) {
            let entry = tail.removeFirst()
            committed.append(entry)
            let applied = try truth.apply([entry.entry])
            for change in applied.flatMap(\.leaseChanges) {
                try promises.note(change, by: entry.command, at: now)
            }
        }
    }

    func confirmReads() {
        let ofTerm = committed.last?.entry.term == term
        guard !standsStill(leader), ofTerm, happens(70) else { return }
        for read in unconfirmed where nodes[read.node].run == read.run {
            nodes[read.node].reads.append((index: committed.count, asked: read.asked))
        }
        unconfirmed = []
    }

    // MARK: Nodes

    func turn(_ place: Int) throws {
        let node = nodes[place]
        if let told = node.deposedAt, told <= now {
            node.deposedAt = nil
            post(.role(nil), to: place)
        }
        try apply(place)
        serveReads(place)
        while let first = node.mailbox.first, first.at <= now {
            node.mailbox.removeFirst()
            try handle(first.event, place)
        }
        let before = node.clock
        let effects = node.clock.advanced(now: time(on: place))
        node.clock.checkInvariants(since: before)
        try perform(effects, place)
        for command in node.limbo {
            // Held until Raft knows better: then lost, or sent again in another term.
            guard node.believes == nil || node.believes == term, happens(30) else { continue }
            node.limbo.removeAll { $0 == command }
            if happens(50) {
                count("sent again")
                append(command, from: place)
            } else {
                post(.failed(command), to: place)
            }
        }
    }

    func apply(_ place: Int) throws {
        let node = nodes[place]
        let from = Int(node.store.appliedIndex.rawValue)
        guard from < committed.count, happens(80) else { return }
        let through = Int.random(in: from + 1...committed.count, using: &chance)
        let entries = committed[from..<through]
        let applied = try node.store.apply(entries.map(\.entry))
        let changes = applied.flatMap(\.leaseChanges)
        if !changes.isEmpty { post(.changed(changes), to: place) }
        for (entry, outcome) in zip(entries, applied) {
            guard let command = entry.command, let origin = entry.origin, origin.node == place,
                origin.run == node.run, case .failure = outcome.outcome?.result
            else { continue }
            count("refused")
            post(.failed(command), to: place)
        }
    }

    func serveReads(_ place: Int) {
        let node = nodes[place]
        let applied = Int(node.store.appliedIndex.rawValue)
        for read in node.reads where read.index <= applied {
            post(.confirmed(read.asked, node.store.appliedTerm), to: place)
        }
        node.reads.removeAll { $0.index <= applied }
    }

    func handle(_ event: Event, _ place: Int) throws {
        let node = nodes[place]
        let before = node.clock
        let time = time(on: place)
        var effects: [LeaseEffect] = []
        switch event {
        case .role(let term):
            if term == nil, leader == place { break }
            node.believes = term
            effects =
                term.map { node.clock.leadershipBegan(in: $0, now: time) }
                ?? node.clock.leadershipEnded(now: time)
        case .changed(let changes):
            for change in changes { effects += node.clock.changed(change, now: time) }
        case .keepAlive(let token, let id):
            guard node.clock.term != nil else { break }
            unconfirmed.append((node: place, run: node.run, asked: [(token, id)]))
            // What is applied already may be all that the read waits for.
            if standsStill(leader) { count("asked of a leader that stands still") }
        case .confirmed(let asked, let term):
            for (token, id) in asked {
                effects += node.clock.keptAlive(token, id, confirmedIn: term, now: time)
            }
        case .failed(let command): effects = node.clock.proposalFailed(command, now: time)
        }
        node.clock.checkInvariants(since: before)
        try perform(effects, place)
    }

    func perform(_ effects: [LeaseEffect], _ place: Int) throws {
        for effect in effects {
            switch effect {
            case .propose(let command):
                switch command {
                case .expire: count("expiries proposed")
                case .checkpoint: count("checkpoints proposed")
                case .renew: count("renewals proposed")
                case .grant, .revoke: break
                }
                propose(command, from: place)
            case .answer(let token, let answer):
                count("\(answer)".split(separator: "(")[0].description)
                guard case .renewed(let seconds) = answer else {
                    promises.dismissed(token)
                    continue
                }
                try promises.acknowledged(token, seconds: seconds, isThere: truth)
            }
        }
    }

    func restart(_ place: Int) throws {
        count("restarts")
        let node = nodes[place]
        node.run += 1
        node.offset = UInt64.random(in: 0...(1 << 50), using: &chance)
        node.mailbox = []
        node.limbo = []
        node.reads = []
        node.believes = nil
        node.deposedAt = nil
        node.store = try RecordStore(
            engine: node.engine, group: .defaultKeyspace, keyspace: .default)
        node.clock = LeaseClock(
            leases: try node.store.leases(), settings: settings, now: time(on: place))
        if leader == place { elect((place + Int.random(in: 1...2, using: &chance)) % 3) }
    }
}
