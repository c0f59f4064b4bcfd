import Primitives

// Linearizable reads without a log entry: ReadIndex, thesis §6.4.
//
// A leader serves reads in rounds. One round of heartbeats is under way at a time, and reads that
// come meanwhile share the next: its number rides on heartbeats, and a quorum that returns it, or
// a later one, proves that the leader still led after the reads had come.
extension RaftGroup {
    mutating func leaderRead(_ origins: [ReadOrigin]) {
        leadership!.idleTicks = 0
        #if PlantedBugs
            if PlantedBug.active == .readsWithoutAsking, hasCommittedInTerm {
                for origin in origins { answer(origin, .ready(log.commitIndex)) }
                return
            }
        #endif
        for origin in origins {
            guard leadership!.readCount < settings.maxPendingReads else {
                answer(origin, .refused(.tooManyReads))
                continue
            }
            #if PlantedBugs
                let knowsCommit =
                    hasCommittedInTerm || PlantedBug.active == .readsBeforeTheTermCommits
            #else
                let knowsCommit = hasCommittedInTerm
            #endif
            if knowsCommit {
                enqueue(origin)
            } else {
                // "If the leader has not yet marked an entry from its current term committed, it
                // waits until it has done so." (thesis §6.4)
                leadership!.heldReads.append(origin)
            }
        }
        startRound()
    }

    mutating func releaseHeldReads() {
        guard hasCommittedInTerm, !leadership!.heldReads.isEmpty else { return }
        let held = leadership!.heldReads
        leadership!.heldReads = []
        for origin in held { enqueue(origin) }
        startRound()
    }

    private mutating func enqueue(_ origin: ReadOrigin) {
        leadership!.pendingReads.append(
            PendingRead(
                origin: origin, index: log.commitIndex, round: leadership!.round + 1))
    }

    /// Begins the next round if reads wait for it and none is under way.
    private mutating func startRound() {
        guard let last = leadership!.pendingReads.last, last.round > leadership!.round,
            leadership!.confirmedRound == leadership!.round
        else { return }
        sendHeartbeats()
        // A group with one voter needs no answer.
        confirmRounds()
    }

    mutating func confirmRounds() {
        let agreed = configuration.voters.agreed(confirmedRound(of:))
        guard agreed > leadership!.confirmedRound else { return }
        leadership!.confirmedRound = agreed
        leadership!.lease.confirmed(through: agreed)
        while let read = leadership!.pendingReads.first, read.round <= agreed {
            leadership!.pendingReads.popFirst()
            answer(read.origin, .ready(read.index))
        }
        startRound()
    }

    private func confirmedRound(of voter: ReplicaID) -> UInt64 {
        guard let led = leadership else { return 0 }
        if voter == replica { return led.round }
        return led.position(of: voter).map { led.progress[$0].ackedRound } ?? 0
    }

    private mutating func answer(_ origin: ReadOrigin, _ result: ReadIndexResult) {
        switch origin {
        case .token(let token): finish(token, result)
        case .follower(let context):
            sendNow(.readIndexResponse(context, result), to: context.replica)
        }
    }

    private mutating func finish(_ token: UInt64, _ result: ReadIndexResult) {
        switch result {
        case .ready(let index): effects.readsReady.append(ReadReady(token: token, index: index))
        case .refused(let reason):
            effects.readsRefused.append(ReadRefused(token: token, reason: reason))
        }
    }

    /// A deposed leader answers none of its reads: what it knows may be old.
    mutating func refuseReads(of led: Leadership) {
        for origin in led.heldReads { answer(origin, .refused(.leadershipLost)) }
        for i in 0..<led.pendingReads.count {
            answer(led.pendingReads[i].origin, .refused(.leadershipLost))
        }
    }

    // MARK: Through the leader

    /// Reads at a replica that does not lead travel in batches, one at a time; they wait for
    /// a leader and for their answer together one election timeout.
    mutating func forwardReads(_ tokens: [UInt64]) {
        let deadline = ticks + UInt64(settings.electionTimeoutTicks)
        for token in tokens {
            guard forwarded.count < settings.maxPendingReads else {
                finish(token, .refused(.tooManyReads))
                continue
            }
            forwarded.waiting.append(ForwardedReads.Read(token: token, deadline: deadline))
        }
        sendForwardedReads()
    }

    mutating func sendForwardedReads() {
        guard let leader, leader != replica, forwarded.outstanding == nil,
            !forwarded.waiting.isEmpty
        else { return }
        let context = ReadContext(
            replica: replica, incarnation: incarnation, sequence: forwarded.nextSequence)
        forwarded.nextSequence += 1
        forwarded.outstanding = ForwardedReads.Batch(context: context, reads: forwarded.waiting)
        forwarded.waiting.removeAll()
        sendNow(.readIndexRequest(context), to: leader)
    }

    mutating func forwardedReadsTicked() {
        refuse(forwarded.waiting.expired(at: ticks))
        guard forwarded.outstanding != nil else { return }
        refuse(forwarded.outstanding!.reads.expired(at: ticks))
        guard !forwarded.outstanding!.reads.isEmpty else {
            forwarded.outstanding = nil
            sendForwardedReads()
            return
        }
        // The question or its answer may be lost. Asking again with the same context is harmless:
        // whichever answer comes was found after the batch's reads had come.
        forwarded.outstanding!.ticksSinceSent += 1
        if forwarded.outstanding!.ticksSinceSent >= settings.heartbeatTicks, let leader {
            forwarded.outstanding!.ticksSinceSent = 0
            sendNow(.readIndexRequest(forwarded.outstanding!.context), to: leader)
        }
    }

    private mutating func refuse(_ late: [ForwardedReads.Read]) {
        for read in late { finish(read.token, .refused(.timedOut)) }
    }

    mutating func receivedReadIndex(_ result: ReadIndexResult, for context: ReadContext) {
        // An answer to a batch that was answered or given up, perhaps by an earlier incarnation.
        guard let batch = forwarded.outstanding, batch.context == context else { return }
        forwarded.outstanding = nil
        for i in 0..<batch.reads.count { finish(batch.reads[i].token, result) }
        sendForwardedReads()
    }

    /// A new leader answers for itself what it had asked of the last one.
    mutating func adoptForwardedReads() {
        var tokens: [UInt64] = []
        if let batch = forwarded.outstanding {
            for i in 0..<batch.reads.count { tokens.append(batch.reads[i].token) }
        }
        for i in 0..<forwarded.waiting.count { tokens.append(forwarded.waiting[i].token) }
        forwarded.outstanding = nil
        forwarded.waiting.removeAll()
        leaderRead(tokens.map(ReadOrigin.token))
    }
}
