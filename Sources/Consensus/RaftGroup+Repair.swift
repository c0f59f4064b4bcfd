import Primitives

// Entries whose contents the disk has lost come back from any replica that holds them
// (Protocol-Aware Recovery, FAST '18): index and term say which entry it is, and by Log Matching
// whoever holds an entry of that index and term holds the same.
//
// Until then this replica votes, for where its log ends is certain, and does not campaign. It
// acknowledges nothing from the first damaged entry on, and neither hands out nor gives away any of
// them. A leader that finds damage while it leads goes on with the rest.
struct Repair: Sendable {
    /// Terms and gaps that one request names at most; the others come once these are there.
    static let runsMax = 64
    /// Reads of the log for others under way at most. Beyond it a request is not answered, and comes
    /// again.
    static let fetchesMax = 8

    /// Counts the peers asked.
    var turn = 0
    var ticksSinceAsked = 0
    var ticksWithoutProgress = 0
    var alarmed: ClosedRange<LogIndex>?
    /// For whom this replica reads its own log.
    var fetches: [(id: UInt64, replica: ReplicaID)] = []
}

extension RaftGroup {
    /// The log found that it cannot read these entries any more. Repeated news change nothing.
    package mutating func damaged(_ indexes: ClosedRange<LogIndex>) -> Effects {
        wake()
        if log.lost(indexes) {
            wake()
            // What is still in memory needs nobody.
            var index = max(indexes.lowerBound, log.cache.firstIndex)
            while index <= indexes.upperBound, log.cache.holds(index) {
                supply(log.cache[index])
                index = index.next
            }
            if candidacy != nil && isHinderedByDamage { becomeFollower(term: term, leader: nil) }
            askForEntries()
        }
        return finishEvent()
    }

    /// The first question, at the start.
    mutating func askForEntries() {
        repair.ticksSinceAsked = 0
        let peers = otherFullMembers
        guard !peers.isEmpty else { return }
        repair.turn += 1
        askForEntries(peers[repair.turn % peers.count])
    }

    private mutating func askForEntries(_ peer: ReplicaID) {
        let wanted = log.wantedEntries(max: Repair.runsMax)
        if !wanted.isEmpty { sendNow(.entriesWanted(wanted), to: peer) }
    }

    mutating func repairTicked() {
        guard let first = log.damage.wanted.first?.lowerBound,
            let last = log.damage.wanted.last?.upperBound
        else {
            if log.damage.isEmpty {
                unread = UnreadConfigurations()
                if let alarmed = repair.alarmed { lowerDamageAlarm(alarmed) }
            }
            repair.ticksWithoutProgress = 0
            return
        }
        repair.ticksSinceAsked += 1
        repair.ticksWithoutProgress += 1
        if repair.ticksSinceAsked >= settings.heartbeatTicks { askForEntries() }
        guard repair.ticksWithoutProgress % settings.electionTimeoutTicks == 0 else { return }
        if repair.alarmed == nil {
            repair.alarmed = first...last
            effects.alarms.append(.raised(.entriesDamaged(first: first, through: last)))
        }
        // Nobody may have them any more because everyone has them in its state.
        dropSettledDamage()
        if settings.makesSnapshots, let left = log.damage.wanted.first?.lowerBound {
            searchSnapshot(atLeast: left)
        }
    }

    private mutating func lowerDamageAlarm(_ alarmed: ClosedRange<LogIndex>) {
        repair.alarmed = nil
        effects.alarms.append(
            .lowered(
                .entriesDamaged(first: alarmed.lowerBound, through: alarmed.upperBound)))
    }

    /// Damage behind the state machine's durable state is nothing that this replica needs: the log's
    /// front goes. What a follower misses then, it gets as a snapshot. The log's beginning names the
    /// configuration in force there: where the last damaged entry may be one that nobody has read, the
    /// log begins behind a later one that is known, or with it.
    mutating func dropSettledDamage() {
        // A witness has no contents to give, and needs but the place of a state.
        guard settings.makesSnapshots || isWitness else { return }
        let settled = settledIndex
        let behind = log.damage.wanted.compactMap { $0.part(below: settled.next) }
        for end in behind.reversed().map(\.upperBound) {
            if knowsConfiguration(at: end) { return truncateLog(through: end) }
            let later = configurations.first { $0.index > end && $0.index <= settled }
            if let later { return truncateLog(through: later.index) }
        }
    }

    // MARK: What others have lost

    mutating func receivedEntriesWanted(_ wanted: [WantedEntries], from peer: ReplicaID) {
        // A witness has nothing to give.
        guard !isWitness else { return }
        var found: [LogEntry] = []
        var bytes = 0
        for run in wanted.prefix(Repair.runsMax) {
            guard let held = log.held(of: run) else { continue }
            guard log.cache.holds(held.lowerBound) else {
                // The disk is asked for one piece at a time; what is at hand goes first.
                if found.isEmpty { fetchEntries(held, for: peer) }
                break
            }
            let room = settings.maxEntryBytesPerAppend - bytes
            guard room > 0 else { break }
            let slice = log.cache.slice(
                from: held.lowerBound, through: held.upperBound, maxBytes: room)
            found += slice.entries
            bytes += slice.bytes
        }
        if !found.isEmpty { sendNow(.entriesFound(found), to: peer) }
    }

    private mutating func fetchEntries(_ held: ClosedRange<LogIndex>, for peer: ReplicaID) {
        // One that is being read for this peer answers this question, too.
        guard repair.fetches.count < Repair.fetchesMax,
            !repair.fetches.contains(where: { $0.replica == peer })
        else { return }
        var through = held.upperBound
        if log.cache.firstIndex <= through { through = log.cache.firstIndex.previous }
        repair.fetches.append((nextFetch, peer))
        effects.fetches.append(
            FetchRequest(
                id: nextFetch, replica: peer, first: held.lowerBound, through: through,
                maxBytes: settings.maxEntryBytesPerAppend))
        nextFetch += 1
    }

    /// - Returns: whether this was read for the repair of another replica.
    mutating func sendFound(_ fetched: FetchedEntries) -> Bool {
        let request = fetched.request
        guard let i = repair.fetches.firstIndex(where: { $0.id == request.id }) else {
            return false
        }
        repair.fetches.remove(at: i)
        guard let entries = fetched.entries, !entries.isEmpty,
            // Replaced, truncated or found rotten while the disk was read.
            log.held(of: request, entries)
        else { return true }
        sendNow(.entriesFound(entries), to: request.replica)
        return true
    }

    // MARK: What comes back

    mutating func receivedEntriesFound(_ entries: [LogEntry], from peer: ReplicaID) {
        for (entry, next) in zip(entries, entries.dropFirst())
        where entry.index >= next.index || entry.term > next.term
            || entry.timestamp >= next.timestamp
        {
            effects.faults.append(.malformedRepair(from: peer, at: next.index))
            return
        }
        if repair(with: entries, from: peer) { askForEntries(peer) }
    }

    /// Takes the contents of damaged entries. Others are passed over: they have come before, or
    /// another leader's have taken their place.
    ///
    /// - Returns: whether any was taken.
    @discardableResult
    mutating func repair(with entries: [LogEntry], from peer: ReplicaID) -> Bool {
        guard !log.damage.wanted.isEmpty else { return false }
        var isAny = false
        for entry in entries where log.isDamaged(entry) {
            let fits = log.fitsNeighbours(entry)
            guard fits, adoptConfiguration(of: entry) else {
                effects.faults.append(.malformedRepair(from: peer, at: entry.index))
                continue
            }
            supply(entry)
            isAny = true
        }
        if isAny { repair.ticksWithoutProgress = 0 }
        return isAny
    }

    private mutating func supply(_ entry: LogEntry) {
        var entry = entry
        // A witness stores no commands.
        if isWitness, case .command = entry.payload { entry.payload = .empty }
        work.repaired.append(entry)
        log.supplied(entry, with: nextTicket)
    }

    /// A configuration that nobody could read at the start is in force from its entry on.
    private mutating func adoptConfiguration(of entry: LogEntry) -> Bool {
        guard case .configuration(let bytes) = entry.payload else { return true }
        guard !configurations.contains(where: { $0.index == entry.index }) else { return true }
        do throws(DecodingFailure) {
            let configuration = try Configuration(decoding: bytes)
            configurationFound(
                ConfigurationEntry(index: entry.index, configuration: configuration))
            return true
        } catch {
            return false
        }
    }

    private mutating func configurationFound(_ found: ConfigurationEntry) {
        let later = configurations.filter { $0.index > found.index }
        if let next = later.first { configurationsTruncated(from: next.index) }
        for entry in [found] + later { configurationAppended(entry) }
    }
}

extension RaftLog {
    fileprivate func isDamaged(_ entry: LogEntry) -> Bool {
        damage.wants(entry.index) && term(at: entry.index) == entry.term
    }

    /// Stamps rise along a log.
    fileprivate func fitsNeighbours(_ entry: LogEntry) -> Bool {
        if cache.holds(entry.index.next), cache[entry.index.next].timestamp <= entry.timestamp {
            return false
        }
        let previous = entry.index.previous
        return !cache.holds(previous) || cache[previous].timestamp < entry.timestamp
    }

    /// Whether what the disk returned is still what the log holds there.
    fileprivate func held(of request: FetchRequest, _ entries: [LogEntry]) -> Bool {
        var index = request.first
        for entry in entries {
            guard entry.index == index, index <= min(request.through, durableIndex),
                entry.term == term(at: index), !damage.contains(index)
            else { return false }
            index = index.next
        }
        return true
    }
}
