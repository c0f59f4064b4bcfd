import Consensus
import Primitives

/// Looks at every step of a `Cluster` for what Raft promises never to happen (thesis figure 3.2),
/// from outside: it knows disks, messages and what was handed out, and trusts no replica's word.
struct Checker {
    var violations: [String] = []
    /// Who led each term.
    private var leaders: [Term: ReplicaID] = [:]
    /// The term and the entry, once seen, at each committed index.
    private var committed: [LogIndex: Term] = [:]
    private var entries: [LogIndex: LogEntry] = [:]
    private(set) var highestCommit = LogIndex.zero
    /// In force at the highest commit.
    private(set) var settled: ConfigurationEntry
    /// Each replica at its last event, in this incarnation.
    private var earlier: [ReplicaID: RaftGroup] = [:]
    private var nextTicket: [ReplicaID: UInt64] = [:]
    /// Reads under way: who asked, and what was committed anywhere when it did.
    private var reads: [UInt64: (replica: ReplicaID, floor: LogIndex)] = [:]
    private(set) var reached: [String: Int] = [:]
    /// Whether the test takes disks back.
    var expectsQuarantine = false

    init(_ bootstrap: Configuration) {
        settled = ConfigurationEntry(index: .zero, configuration: bootstrap)
    }

    var openReads: Int { reads.count }

    mutating func reach(_ path: String) { reached[path, default: 0] += 1 }

    private mutating func unless(_ holds: Bool, _ what: @autoclosure () -> String) {
        if !holds { violations.append(what()) }
    }

    mutating func started(_ node: Cluster.Node) {
        earlier[node.id] = node.raft
        nextTicket[node.id] = 1
    }

    mutating func crashed(_ node: Cluster.Node) {
        reads = reads.filter { $0.value.replica != node.id }
    }

    /// What was committed before this cluster began.
    mutating func knows(_ entries: [LogEntry]) {
        for entry in entries {
            committed[entry.index] = entry.term
            self.entries[entry.index] = entry
            highestCommit = max(highestCommit, entry.index)
        }
    }

    mutating func asks(_ token: UInt64, _ node: Cluster.Node) {
        if node.raft != nil { reads[token] = (node.id, highestCommit) }
    }

    mutating func looked(at cluster: Cluster, _ id: Int, _ effects: Effects) {
        let node = cluster[id]
        let raft = node.raft!
        unless(effects.faults.isEmpty, "replica \(id) found faults \(effects.faults)")
        for broken in raft.checkInvariants(since: earlier[node.id]) {
            violations.append("replica \(id): \(broken)")
        }
        if effects.roleChange?.role == .leader { elected(raft) }
        notesMembership(effects, since: earlier[node.id])
        lookedAtLeading(earlier[node.id], raft, effects)
        checkCommit(cluster, from: earlier[node.id]?.commitIndex ?? .zero, raft)
        earlier[node.id] = raft
        if let work = effects.append {
            unless(
                work.ticket.rawValue == nextTicket[node.id],
                "replica \(id) issued ticket \(work.ticket.rawValue)")
            nextTicket[node.id]! += 1
            if let hardState = work.hardState {
                // The state holds what the log does not.
                let end = max(
                    node.disk.lastIndex, node.snapshots.installed?.index ?? .zero)
                unless(
                    hardState.commitIndex <= end,
                    "replica \(id) persists commit \(hardState.commitIndex), has \(end)")
            }
            if work.replacedFrom != nil { reach("entries replaced") }
            if work.replacedFrom != nil && !node.queued.isEmpty {
                reach("entries replaced while in flight to the disk")
            }
            if work.hardState == nil && work.entries.isEmpty { reach("order-only append") }
            if let start = work.start {
                reach(start.replacesAll ? "log replaced by a snapshot" : "log front cut")
                if !start.replacesAll && node.snapshots.installed?.index == start.index {
                    reach("log kept behind a snapshot")
                }
                if !node.isWitness && !start.replacesAll
                    && start.index > LogIndex(UInt64(node.durablyApplied))
                {
                    violations.append("replica \(id) cuts \(start.index), durably applied less")
                }
            }
            if !work.repaired.isEmpty { reach("entries repaired") }
        }
        for range in effects.committed {
            unless(
                range.through <= node.disk.lastIndex,
                "replica \(id) hands out \(range.through), its disk has \(node.disk.lastIndex)")
            reach(range.entries == nil ? "handout from the log" : "handout from memory")
        }
        if !effects.fetches.isEmpty { reach("fetch") }
        for read in effects.readsReady { answered(read, id) }
        for read in effects.readsRefused {
            unless(
                reads.removeValue(forKey: read.token) != nil,
                "replica \(id) refused read \(read.token) that was not open")
            reach("read refused: \(read.reason)")
        }
    }

    private mutating func notesMembership(_ effects: Effects, since earlier: RaftGroup?) {
        if let change = effects.configurationChange, let earlier {
            let was = earlier.configuration.voters
            let isRolledBack = change.index < earlier.configurationIndex
            if isRolledBack { reach("configuration rolled back") }
            if was.isJoint && !change.configuration.voters.isJoint && !isRolledBack {
                reach("joint left by itself")
            }
        }
        for alarm in effects.alarms {
            switch alarm {
            case .raised(.zoneRuleUnmet): reach("zone alarm raised")
            case .lowered(.zoneRuleUnmet): reach("zone alarm lowered")
            default: break
            }
        }
    }

    /// Transfers, sleep and starts.
    private mutating func lookedAtLeading(
        _ before: RaftGroup?, _ raft: RaftGroup, _ effects: Effects
    ) {
        switch effects.transferEnded {
        case .done: reach("transfer done")
        case .timedOut: reach("transfer timed out")
        case .leadershipLost: reach("transfer lost")
        case nil: break
        }
        if raft.isHibernating, let before, !before.isHibernating { reach("fell asleep") }
        if before?.standing == .registering && raft.standing == .trusted {
            reach("registered again")
        }
        if let reason = effects.quarantined {
            unless(expectsQuarantine, "replica \(raft.replica) is quarantined: \(reason)")
        }
        // The log's front may be cut off in sleep; nothing comes to it.
        if raft.isHibernating, before?.isHibernating ?? false {
            unless(
                effects.append?.entries.isEmpty ?? true,
                "replica \(raft.replica) appends while asleep")
        }
    }

    /// "Election Safety: at most one leader can be elected in a given term."
    /// "Leader Completeness: if a log entry is committed in a given term, then that entry will be
    /// present in the logs of the leaders for all higher-numbered terms."
    private mutating func elected(_ raft: RaftGroup) {
        let known = leaders[raft.term] ?? raft.replica
        unless(known == raft.replica, "term \(raft.term) has leaders \(known), \(raft.replica)")
        leaders[raft.term] = raft.replica
        for (index, term) in committed
        where index >= raft.firstIndex.previous && raft.term(at: index) != term {
            violations.append(
                "leader \(raft.replica) of term \(raft.term) lacks committed entry \(index)")
        }
        reach("election")
        if raft.configuration.voters.isJoint { reach("election while joint") }
    }

    /// What is committed stays so, is the same everywhere, and is on a majority of disks: of both
    /// sets while the configuration in force is joint. An event can bring the next configuration
    /// right after the commit: it is the one before or the one behind the event.
    private mutating func checkCommit(_ cluster: Cluster, from: LogIndex, _ raft: RaftGroup) {
        var index = from.next
        while index <= raft.commitIndex {
            defer { index = index.next }
            // What a snapshot holds was committed by others, who were looked at.
            guard let term = raft.term(at: index) else {
                unless(
                    committed[index] != nil, "replica \(raft.replica) begins behind \(index)")
                continue
            }
            if let known = committed[index] {
                unless(
                    known == term,
                    "replica \(raft.replica) commits \(index) of term \(term), others of \(known)")
                continue
            }
            committed[index] = term
            let before = earlier[raft.replica]?.configuration ?? raft.configuration
            let holders = holders(of: index, term, in: cluster)
            unless(
                [before, raft.configuration].contains { $0.hasQuorum(holders) },
                "replica \(raft.replica) commits \(index) held by \(holders)")
            if index == raft.commitIndex {
                checkZones(holders, [before, raft.configuration], raft)
            }
            highestCommit = max(highestCommit, index)
            settled = raft.configurationEntry(at: highestCommit)
            if settled.index == index && settled.configuration.voters.isJoint {
                reach("joint committed")
            }
        }
    }

    /// The last entry that is committed in one go is where its own rule wants it, and by it those
    /// before it.
    private mutating func checkZones(
        _ holders: [ReplicaID], _ inForce: [Configuration], _ raft: RaftGroup
    ) {
        let rule = raft.configurationEntry(at: raft.commitIndex).configuration.zoneRule
        guard rule.zonesMin > 1 else { return }
        guard !rule.isOverridden else { return reach("commit under an overridden zone rule") }
        reach("commit under a zone rule")
        let zones = inForce.map { configuration in
            var zones: [ZoneID] = []
            for member in configuration.members
            where configuration.voters.contains(member.replica) && !member.isWitness
                && holders.contains(member.replica) && member.zone != .unknown
                && !zones.contains(member.zone)
            {
                zones.append(member.zone)
            }
            return zones.count
        }
        unless(
            zones.contains { $0 >= Int(rule.zonesMin) },
            "replica \(raft.replica) commits \(raft.commitIndex) in \(zones) zones of \(rule)")
    }

    private func holders(of index: LogIndex, _ term: Term, in cluster: Cluster) -> [ReplicaID] {
        cluster.nodes.filter { !$0.isGone && $0.disk.entry(at: index)?.term == term }.map(\.id)
    }

    /// "State Machine Safety: if a server has applied a log entry at a given index to its state
    /// machine, no other server will ever apply a different log entry for the same index."
    mutating func applies(_ applied: [LogEntry], _ node: Cluster.Node) {
        var index = LogIndex(UInt64(node.applied.count))
        var stamp = node.applied.last?.timestamp ?? .zero
        for entry in applied {
            index = index.next
            unless(stamp < entry.timestamp, "stamp \(entry.timestamp) follows \(stamp)")
            stamp = entry.timestamp
            unless(entry.index == index, "replica \(node.id) applies \(entry.index) at \(index)")
            let known = entries[entry.index] ?? entry
            unless(known == entry, "replica \(node.id) applies \(entry), others \(known)")
            unless(
                committed[entry.index] == entry.term,
                "replica \(node.id) applies \(entry.index) that is not committed")
            entries[entry.index] = known
        }
    }

    /// A read sees at least what was committed anywhere when it was asked.
    private mutating func answered(_ read: ReadReady, _ id: Int) {
        guard let (_, floor) = reads.removeValue(forKey: read.token) else {
            violations.append("replica \(id) answered read \(read.token) that was not open")
            return
        }
        let ceiling = highestCommit
        unless(
            read.index >= floor && read.index <= ceiling,
            "read \(read.token) got \(read.index), committed \(floor)...\(ceiling)")
        reach("read answered")
    }

    /// What a message promises is on the sender's disk when it leaves.
    mutating func leaves(_ message: RaftMessage, of node: Cluster.Node) {
        let disk = node.disk
        switch message.kind {
        case .voteResponse(granted: true):
            unless(
                disk.hardState.term > message.term
                    || disk.hardState.term == message.term && disk.hardState.vote == message.to,
                "\(node.id) votes for \(message.to) in \(message.term), disk \(disk.hardState)")
        case .voteRequest:
            unless(
                disk.hardState.term > message.term
                    || disk.hardState.term == message.term && disk.hardState.vote == node.id,
                "\(node.id) campaigns in \(message.term), disk \(disk.hardState)")
        case .appendResponse(.accepted(let matchIndex)):
            unless(
                disk.hardState.term > message.term
                    || disk.hardState.term == message.term && disk.lastIndex >= matchIndex,
                "\(node.id) accepts \(matchIndex) in \(message.term), disk \(disk.lastIndex)")
            unless(
                node.snapshots.foundRot || disk.damaged.allSatisfy { $0 > matchIndex },
                "\(node.id) accepts \(matchIndex), damaged \(disk.damaged)")
        case .snapshotNeeded: reach("snapshot needed")
        case .snapshotOffer: reach("snapshot offered")
        case .entriesFound: reach("entries found")
        case .registration:
            // Sent where a promise would have been: peers are told at other times, too.
            if node.raft?.standing == .trusted { reach("a promise withheld") }
        case .staleTerm: reach("stale term told")
        case .appendResponse(.rejected): reach("append rejected")
        case .readIndexRequest: reach("read forwarded")
        case .commitNotice: reach("commit notice")
        default: break
        }
    }

    /// "Log Matching: if two logs contain an entry with the same index and term, then the logs are
    /// identical in all entries up through the given index." A witness' log but for commands.
    mutating func checkLogMatching(_ cluster: Cluster) {
        for a in cluster.nodes {
            for b in cluster.nodes where a.id < b.id {
                let shared = min(a.disk.entries.count, b.disk.entries.count)
                let agreed = (0..<shared).last {
                    a.disk.entries[$0].term == b.disk.entries[$0].term
                }
                guard let agreed else { continue }
                let same =
                    a.isWitness || b.isWitness
                    ? a.disk.entries[...agreed].map(\.place)
                        == b.disk.entries[...agreed].map(\.place)
                    : a.disk.entries[...agreed] == b.disk.entries[...agreed]
                unless(
                    same,
                    "logs of \(a.id) and \(b.id) agree at \(agreed + 1) and differ before")
            }
        }
    }

    /// Every entry ever committed is on a majority of the disks of those that are members now,
    /// whatever has happened.
    mutating func checkNothingLost(_ cluster: Cluster) {
        for (index, term) in committed {
            let holders = holders(of: index, term, in: cluster)
            unless(
                settled.configuration.hasQuorum(holders),
                "committed entry \(index) of term \(term) is on \(holders)")
        }
    }
}

extension Configuration {
    /// Counted by hand, apart from what the code under test counts with.
    func hasQuorum(_ holders: [ReplicaID]) -> Bool {
        [voters.incoming, voters.outgoing].allSatisfy { set in
            set.isEmpty || 2 * set.count(where: holders.contains) > set.count
        }
    }
}

extension LogEntry {
    /// All of an entry but a command, which witnesses do not get.
    var place: LogEntry {
        guard case .command = payload else { return self }
        var place = self
        place.payload = .empty
        return place
    }
}
