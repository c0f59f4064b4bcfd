import Primitives

// The leader's side of replication: thesis §3.5, pipelining §10.2.1, flow control after
// etcd-io/raft's `tracker`.
extension RaftGroup {
    mutating func sendAppendsToAll() {
        for i in leadership!.progress.indices { sendAppends(toPosition: i) }
    }

    /// All that the follower's window takes.
    private mutating func sendAppends(toPosition i: Int) {
        while sendAppend(toPosition: i, evenEmpty: false) {}
    }

    /// One append to one follower, if there is something to send and the window is open.
    ///
    /// - Parameter evenEmpty: an append without entries tells the leader, by its answer, where the
    ///   follower's log stands; it is not held back by a full window.
    /// - Returns: whether a message was sent.
    @discardableResult
    private mutating func sendAppend(toPosition i: Int, evenEmpty: Bool) -> Bool {
        guard leadership!.progress[i].fetch == nil else { return false }
        switch leadership!.progress[i].flow {
        case .probe(paused: true), .snapshot: return false
        case .probe(paused: false), .replicate: break
        }
        let isProbing = leadership!.progress[i].flow != .replicate
        let next = leadership!.progress[i].nextIndex
        let previous = next.previous
        guard let previousTerm = log.term(at: previous) else {
            becomeSnapshot(position: i)
            return false
        }
        var entries: [LogEntry] = []
        var bytes = 0
        if next <= log.lastIndex && !leadership!.progress[i].inflight.isFull(settings) {
            if next >= log.cache.firstIndex {
                (entries, bytes) = slice(from: next)
            } else if !isProbing {
                fetch(forPosition: i)
                return false
            }
            // A probe of entries that are not in memory goes out empty: where the logs agree is
            // asked before the disk is.
        }
        guard !entries.isEmpty || evenEmpty || isProbing && next <= log.lastIndex
        else { return false }
        sendAppend(
            toPosition: i, previousIndex: previous, previousTerm: previousTerm, entries: entries,
            bytes: bytes)
        return true
    }

    private mutating func sendAppend(
        toPosition i: Int, previousIndex: LogIndex, previousTerm: Term, entries: [LogEntry],
        bytes: Int
    ) {
        let end = previousIndex + UInt64(entries.count)
        let isWitness = leadership!.progress[i].isWitness
        sendNow(
            .appendRequest(
                AppendRequest(
                    previousIndex: previousIndex, previousTerm: previousTerm,
                    entries: isWitness ? entries.map(\.withoutCommand) : entries,
                    commitIndex: log.commitIndex)),
            to: leadership!.progress[i].replica)
        if leadership!.progress[i].flow == .replicate {
            leadership!.progress[i].nextIndex = end.next
            if !entries.isEmpty {
                leadership!.progress[i].inflight.add(lastIndex: end, bytes: bytes)
            }
            let told = min(log.commitIndex, end)
            leadership!.progress[i].sentCommitIndex = max(
                leadership!.progress[i].sentCommitIndex, told)
        } else {
            leadership!.progress[i].flow = .probe(paused: true)
        }
    }

    private mutating func slice(from first: LogIndex) -> (entries: [LogEntry], bytes: Int) {
        if let shared = sharedSlice, shared.first == first {
            return (shared.entries, shared.bytes)
        }
        let (entries, bytes) = log.cache.slice(
            from: first, through: log.lastIndex, maxBytes: settings.maxEntryBytesPerAppend)
        sharedSlice = SharedSlice(first: first, entries: entries, bytes: bytes)
        return (entries, bytes)
    }

    private mutating func fetch(forPosition i: Int) {
        // While the disk has lost the next entry, its follower waits, and is tried again at each
        // sign of life.
        let first = leadership!.progress[i].nextIndex
        guard let through = log.readable(from: first, through: log.cache.firstIndex.previous)
        else { return }
        effects.fetches.append(
            FetchRequest(
                id: nextFetch, replica: leadership!.progress[i].replica,
                first: first, through: through,
                maxBytes: settings.maxEntryBytesPerAppend))
        leadership!.progress[i].fetch = nextFetch
        nextFetch += 1
    }

    mutating func sendFetched(_ fetched: FetchedEntries) {
        let request = fetched.request
        guard let i = leadership?.position(of: request.replica),
            leadership!.progress[i].fetch == request.id
        else { return }  // Leadership or the follower's place changed while the disk was read.
        leadership!.progress[i].fetch = nil
        guard let entries = fetched.entries, !entries.isEmpty,
            // The log's front has gone meanwhile.
            request.first >= log.firstIndex
        else { return }
        var index = request.first
        for entry in entries {
            guard entry.index == index, index <= request.through,
                entry.term == log.term(at: index)
            else {
                effects.faults.append(.wrongEntriesFetched(first: request.first, at: index))
                return
            }
            index = index.next
        }
        if leadership!.progress[i].nextIndex == request.first
            && !leadership!.progress[i].inflight.isFull(settings)
        {
            let previous = request.first.previous
            sendAppend(
                toPosition: i, previousIndex: previous, previousTerm: log.term(at: previous)!,
                entries: entries, bytes: entries.reduce(0) { $0 + $1.accountedBytes })
        }
        sendAppends(toPosition: i)
    }

    // MARK: Answers

    mutating func receivedAppendResponse(_ response: AppendResponse, from peer: ReplicaID) {
        guard let i = leadership?.position(of: peer) else { return }
        heard(fromPosition: i)
        switch response {
        case .accepted(let matchIndex):
            guard matchIndex <= log.lastIndex else {
                effects.faults.append(
                    .beyondLog(from: peer, index: matchIndex, lastIndex: log.lastIndex))
                return
            }
            guard leadership!.progress[i].accepted(through: matchIndex) else { return }
            advanceCommit()
            sendAppends(toPosition: i)
            driveTransfer()
        case .rejected(let previousIndex, let hintIndex, let hintTerm):
            let agreement = log.terms.lastIndex(atMost: hintIndex, termAtMost: hintTerm)
            guard
                leadership!.progress[i].rejected(
                    previousIndex: previousIndex, agreement: agreement)
            else { return }
            sendAppend(toPosition: i, evenEmpty: true)
        }
    }

    mutating func receivedHeartbeatResponse(
        round: UInt64, hibernates: Bool, from peer: ReplicaID
    ) {
        guard let i = leadership?.position(of: peer) else { return }
        guard round <= leadership!.round else {
            effects.faults.append(.unknownRound(from: peer, round: round))
            return
        }
        heard(fromPosition: i)
        leadership!.progress[i].isAsleep = hibernates
        remindOfSnapshot(position: i)
        if leadership!.progress[i].flow == .probe(paused: true) {
            leadership!.progress[i].flow = .probe(paused: false)
        }
        // If everything in flight was lost, no answer would ever come. One empty append behind it
        // is refused then, and the leader probes.
        if leadership!.progress[i].matchIndex < log.lastIndex
            || leadership!.progress[i].flow != .replicate
        {
            sendAppend(toPosition: i, evenEmpty: true)
        }
        if round > leadership!.progress[i].ackedRound {
            leadership!.progress[i].ackedRound = round
            confirmRounds()
        }
        if hibernates { sleepIfAllDo() }
    }

    private mutating func heard(fromPosition i: Int) {
        leadership!.progress[i].isActive = true
        leadership!.progress[i].heardAt = ticks
        leadership!.progress[i].isAsleep = false
    }

    // MARK: Heartbeats and commit notices

    mutating func sendHeartbeats() {
        leadership!.heartbeatElapsed = 0
        // Reads that gathered behind a round need not wait for an answer to it that may be lost.
        if let last = leadership!.pendingReads.last {
            leadership!.round = max(leadership!.round, last.round)
        }
        let hibernates = isIdle
        for i in leadership!.progress.indices {
            #if PlantedBugs
                let told =
                    PlantedBug.active == .heartbeatTellsTooMuch
                    ? log.commitIndex : min(leadership!.progress[i].matchIndex, log.commitIndex)
            #else
                let told = min(leadership!.progress[i].matchIndex, log.commitIndex)
            #endif
            sendNow(
                .heartbeat(
                    Heartbeat(commitIndex: told, round: leadership!.round, hibernates: hibernates)),
                to: leadership!.progress[i].replica)
        }
    }

    /// Followers apply, and answer reads, as soon as they know that an entry is committed. Those
    /// whose last append did not say so are told.
    mutating func sendCommitNotices() {
        guard leadership != nil else { return }
        for i in leadership!.progress.indices where leadership!.progress[i].flow == .replicate {
            let told = min(leadership!.progress[i].matchIndex, log.commitIndex)
            guard told > leadership!.progress[i].sentCommitIndex else { continue }
            leadership!.progress[i].sentCommitIndex = told
            sendNow(.commitNotice(commitIndex: told), to: leadership!.progress[i].replica)
        }
    }
}
