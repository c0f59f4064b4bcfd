import Primitives

extension RaftGroup {
    /// The invariants that `RaftGroup` numbers, checked. For tests and simulators: it costs what
    /// the cache and the log's terms are long.
    ///
    /// - Parameter earlier: this replica at an earlier moment of the same run; those that relate
    ///   two moments are checked against it.
    /// - Returns: what does not hold, each with its number; empty when all is well.
    package func checkInvariants(since earlier: RaftGroup? = nil) -> [String] {
        var broken = Broken()
        checkIndexes(&broken)
        checkCache(&broken)
        checkRole(&broken)
        if let led = leadership { checkLeadership(led, &broken) }
        checkQueues(&broken)
        checkSnapshotsAndDamage(&broken)
        checkMembership(&broken)
        checkStanding(&broken)
        if let earlier {
            checkPassage(from: earlier, &broken)
            checkStandingPassage(from: earlier, &broken)
        }
        return broken.found
    }

    struct Broken {
        var found: [String] = []

        mutating func unless(
            _ holds: Bool, _ number: Int, _ what: @autoclosure () -> String
        ) {
            if !holds { found.append("invariant \(number): \(what())") }
        }
    }

    private func checkIndexes(_ broken: inout Broken) {
        broken.unless(
            appliedIndex <= handedIndex && handedIndex <= log.handoutLimit
                && log.terms.baseIndex <= log.handoutLimit && commitIndex <= lastIndex
                && durableIndex <= lastIndex
                && (log.needsSnapshot ? handedIndex == appliedIndex : true),
            1,
            """
            first \(firstIndex) applied \(appliedIndex) handed \(handedIndex) \
            committed \(commitIndex) durable \(durableIndex) last \(lastIndex)
            """)
        broken.unless(
            log.terms.isConsistent && log.lastTerm <= term, 2,
            "runs \(log.terms.runs) of \(firstIndex)...\(lastIndex) in term \(term)")
    }

    private func checkCache(_ broken: inout Broken) {
        let cache = log.cache
        broken.unless(
            cache.nextIndex == lastIndex.next && cache.firstIndex <= durableIndex.next, 3,
            "cache \(cache.firstIndex)..<\(cache.nextIndex) durable \(durableIndex)")
        var bytes = 0
        var unsettledBytes = 0
        var stamp: HybridTimestamp?
        var index = cache.firstIndex
        while index < cache.nextIndex {
            let entry = cache[index]
            broken.unless(
                entry.index == index && entry.term == log.term(at: index)
                    && stamp.map { $0 < entry.timestamp } ?? true
                    && entry.timestamp <= log.lastTimestamp,
                3, "cached entry \(index) is \(entry.index) of term \(entry.term)")
            bytes += entry.accountedBytes
            if index > log.handoutLimit { unsettledBytes += entry.accountedBytes }
            stamp = entry.timestamp
            index = index.next
        }
        broken.unless(
            cache.bytes == bytes && bytes <= max(settings.cacheBytesMax, unsettledBytes), 4,
            "cache counts \(cache.bytes) bytes, has \(bytes), of them unsettled \(unsettledBytes)")
    }

    private func checkRole(_ broken: inout Broken) {
        broken.unless(
            candidacy == nil || leadership == nil, 5, "a candidate and a leader at once")
        if role == .candidate || role == .leader {
            broken.unless(vote == replica, 5, "\(role) voted for \(vote?.description ?? "none")")
        }
        broken.unless(
            (leader == replica) == (role == .leader), 5,
            "\(role) names \(leader?.description ?? "none") as leader")
    }

    private func checkLeadership(_ led: Leadership, _ broken: inout Broken) {
        for progress in led.progress {
            let inflight = progress.inflight
            broken.unless(
                progress.matchIndex < progress.nextIndex && progress.matchIndex <= lastIndex
                    && progress.nextIndex <= lastIndex.next
                    && (progress.flow == .replicate || inflight.count == 0),
                6, "\(progress) with log end \(lastIndex)")
            broken.unless(
                inflight.count <= settings.maxInflightAppends
                    && (inflight.count == 0
                        || inflight.bytesBeforeLast < settings.maxInflightBytes),
                7, "\(inflight.count) appends, \(inflight.bytes) bytes in flight")
        }
        if hasCommittedInTerm {
            let agreed = unsettledConfigurations.map {
                $0.configuration.voters.agreed(durableIndex(of:))
            }
            broken.unless(
                agreed.contains { $0 >= commitIndex }, 8,
                "committed \(commitIndex), quorums have \(agreed)")
        }
        var round: UInt64 = 0
        for i in 0..<led.pendingReads.count {
            let read = led.pendingReads[i]
            broken.unless(
                read.round >= round && read.round > led.confirmedRound
                    && read.round <= led.round + 1 && read.index <= commitIndex,
                10, "a read of round \(read.round), begun \(led.round)")
            round = read.round
        }
        broken.unless(
            led.readCount <= settings.maxPendingReads && led.confirmedRound <= led.round, 10,
            "\(led.readCount) reads, round \(led.confirmedRound) of \(led.round)")
    }

    private func checkQueues(_ broken: inout Broken) {
        var ticket = AppendTicket(0)
        for i in 0..<log.appendsInFlight.count {
            let append = log.appendsInFlight[i]
            broken.unless(
                append.ticket > ticket && append.ticket < nextTicket && append.end <= lastIndex,
                9, "\(append) with log end \(lastIndex)")
            ticket = append.ticket
        }
        broken.unless(
            forwarded.count <= settings.maxPendingReads, 10, "\(forwarded.count) reads forwarded")
    }

    private func checkPassage(from earlier: RaftGroup, _ broken: inout Broken) {
        broken.unless(
            earlier.term <= term && earlier.commitIndex <= commitIndex
                && earlier.appliedIndex <= appliedIndex && earlier.handedIndex <= handedIndex,
            11,
            """
            term \(earlier.term) to \(term), committed \(earlier.commitIndex) to \(commitIndex), \
            applied \(earlier.appliedIndex) to \(appliedIndex)
            """)
        broken.unless(
            earlier.firstIndex <= firstIndex && earlier.log.persistedIndex <= log.persistedIndex,
            34, "first \(earlier.firstIndex) to \(firstIndex)")
        if earlier.term == term {
            broken.unless(
                earlier.vote == nil || earlier.vote == vote, 12,
                "vote changed in term \(term) to \(vote?.description ?? "none")")
            broken.unless(
                earlier.leader == nil || leader == nil || earlier.leader == leader, 12,
                "leader changed in term \(term) to \(leader?.description ?? "none")")
        }
        broken.unless(
            agrees(with: earlier, through: earlier.commitIndex), 13,
            "an entry committed at \(earlier.commitIndex) has another term")
        if earlier.term == term && earlier.role == .leader && role == .leader {
            broken.unless(
                earlier.lastIndex <= lastIndex && agrees(with: earlier, through: earlier.lastIndex),
                14, "a leader's log went from end \(earlier.lastIndex) to \(lastIndex)")
        }
    }

    /// Terms are steps: where they agree at the beginning of every run, they agree between.
    private func agrees(with earlier: RaftGroup, through end: LogIndex) -> Bool {
        let begin = max(firstIndex, earlier.firstIndex)
        let steps = (log.terms.runs + earlier.log.terms.runs).map(\.firstIndex)
        return (steps + [end]).allSatisfy { index in
            index < begin || index > end || term(at: index) == earlier.term(at: index)
        }
    }
}
