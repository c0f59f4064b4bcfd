import Primitives

// The follower's side of replication: thesis §3.5.
extension RaftGroup {
    mutating func receivedAppend(_ request: AppendRequest, from leader: ReplicaID) {
        guard isWellFormed(request, from: leader) else { return }
        repair(with: request.entries, from: leader)
        let end = request.previousIndex + UInt64(request.entries.count)
        // Committed entries are the leader's too (Leader Completeness, thesis §3.6.3): what an old
        // or repeated request says about them is known.
        guard end > log.commitIndex || request.previousIndex == log.commitIndex else {
            accept(through: log.commitIndex, of: request, from: leader)
            return
        }
        if request.previousIndex >= log.commitIndex {
            guard log.term(at: request.previousIndex) == request.previousTerm else {
                reject(request, from: leader)
                return
            }
        }
        let known = request.entries.prefix { entry in
            #if PlantedBugs
                if PlantedBug.active == .conflictNotReplaced {
                    return entry.index <= log.lastIndex
                }
            #endif
            return entry.index <= log.commitIndex || log.term(at: entry.index) == entry.term
        }
        let news = request.entries.dropFirst(known.count)
        #if PlantedBugs
            if PlantedBug.active == .shortAppendTruncates, news.isEmpty, !request.entries.isEmpty,
                end > log.commitIndex, end < log.lastIndex
            {
                log.truncate(from: end.next)
                configurationsTruncated(from: end.next)
                work.replacedFrom = end.next
            }
        #endif
        guard let configurations = configurations(in: news, from: leader) else { return }
        if let conflict = news.first, let held = log.term(at: conflict.index) {
            // The term's leader wrote each of the term's entries once (Log Matching, §3.5).
            guard held < term else {
                effects.faults.append(
                    .conflictWithSettledEntry(from: leader, at: conflict.index))
                return
            }
            log.truncate(from: conflict.index)
            configurationsTruncated(from: conflict.index)
            work.replacedFrom = conflict.index
        }
        for entry in news {
            log.append(entry)
            work.entries.append(entry)
        }
        for entry in configurations { configurationAppended(entry) }
        accept(through: end, of: request, from: leader)
    }

    /// The configurations that these entries bring, each in force as soon as it is in the log.
    ///
    /// - Returns: nil, with a fault, when one cannot be read or does not follow from the one before
    ///   it: with it this replica could take a minority for a majority.
    private mutating func configurations(
        in news: ArraySlice<LogEntry>, from leader: ReplicaID
    ) -> [ConfigurationEntry]? {
        var found: [ConfigurationEntry] = []
        for entry in news {
            guard case .configuration(let bytes) = entry.payload else { continue }
            // What this log holds from the first of them on goes, configurations too.
            let previous =
                found.last ?? configurationEntry(at: news[news.startIndex].index.previous)
            guard let next = try? Configuration(decoding: bytes), mayFollow(next, previous) else {
                effects.faults.append(.unreadableConfiguration(from: leader, at: entry.index))
                return nil
            }
            found.append(ConfigurationEntry(index: entry.index, configuration: next))
        }
        return found
    }

    private func mayFollow(_ next: Configuration, _ previous: ConfigurationEntry) -> Bool {
        if let own = next.member(replica), own.isWitness != isWitness { return false }
        // Before the first entry of a group stands the bootstrap's configuration, but with a replica
        // that joined any one of the group, as address book: what it says of members is old or new.
        // And one that is damaged may stand between.
        return previous.index == .zero || configurationsMayLack
            || next.follows(previous.configuration)
    }

    private mutating func accept(
        through end: LogIndex, of request: AppendRequest, from leader: ReplicaID
    ) {
        // "the minimum of leaderCommit and index of last new entry" (thesis figure 3.1): behind it
        // the log is not known to be the leader's.
        #if PlantedBugs
            let known = PlantedBug.active == .commitBeyondTheAppend ? log.lastIndex : end
        #else
            let known = end
        #endif
        log.commit(through: max(log.commitIndex, min(request.commitIndex, known)))
        let intact = acknowledgeable(through: end)
        #if PlantedBugs
            if PlantedBug.active == .acknowledgesBeforeTheSync {
                return sendNow(.appendResponse(.accepted(matchIndex: intact)), to: leader)
            }
        #endif
        sendWhenDurable(.appendResponse(.accepted(matchIndex: intact)), to: leader)
    }

    private mutating func reject(_ request: AppendRequest, from leader: ReplicaID) {
        let limit = min(request.previousIndex, log.lastIndex)
        let hint = log.terms.lastIndex(atMost: limit, termAtMost: request.previousTerm)
        sendWhenDurable(
            .appendResponse(
                .rejected(
                    previousIndex: request.previousIndex, hintIndex: hint,
                    hintTerm: log.term(at: hint)!)),
            to: leader)
    }

    private mutating func isWellFormed(_ request: AppendRequest, from leader: ReplicaID) -> Bool {
        let indexMax = UInt64.max / 2
        guard request.previousIndex.rawValue < indexMax, request.previousTerm <= term else {
            effects.faults.append(.malformedAppend(from: leader, at: request.previousIndex))
            return false
        }
        var index = request.previousIndex
        var entryTerm = request.previousTerm
        var stamp: HybridTimestamp?
        for entry in request.entries {
            index = index.next
            guard entry.index == index, entry.term >= entryTerm, entry.term <= term,
                stamp.map({ $0 < entry.timestamp }) ?? true
            else {
                effects.faults.append(.malformedAppend(from: leader, at: index))
                return false
            }
            entryTerm = entry.term
            stamp = entry.timestamp
        }
        return true
    }

    /// The leader says that this much is committed, of what this replica has acknowledged to it.
    mutating func followCommit(_ commitIndex: LogIndex, from leader: ReplicaID) {
        guard commitIndex <= log.lastIndex else {
            // While it registers, it may be this replica that has forgotten; that comes out.
            if standing == .trusted {
                effects.faults.append(
                    .beyondLog(from: leader, index: commitIndex, lastIndex: log.lastIndex))
            }
            return
        }
        log.commit(through: commitIndex)
    }
}
