import Primitives

/// A replica's own start, and who knows of it.
struct OwnStart: Sendable {
    var registration: Registration
    /// Of the peers, those that remember this start durably.
    var answered: [ReplicaID] = []
    /// Of the others, those that know no member of this name.
    var strangers: [ReplicaID] = []
    /// The last committed entry behind which a peer has found this replica named.
    var namedBehind: LogIndex?
    /// The tick at which it was last told.
    var toldAt: UInt64 = 0
    /// Whether the peers had another record of this replica's own on disk.
    let wasQuarantined: Bool
}

// The replica that has started: thesis §3.8 asks that a server restart from all that it had
// persisted; here the peers check that it does (DESIGN, decision 7; why and how far: `Registration`).
extension RaftGroup {
    mutating func beginRegistration() {
        switch standing {
        case .quarantined:
            effects.quarantined = ownStart.wasQuarantined ? .quarantinedBefore : .untrustedLog
            announceQuarantine()
        case .registering:
            register()
            concludeRegistration()
        case .trusted: break
        }
    }

    mutating func registrationTicked() {
        guard settings.registersStarts || standing == .quarantined else { return }
        let interval =
            standing == .registering ? settings.heartbeatTicks : settings.electionTimeoutTicks
        if ticks >= ownStart.toldAt + UInt64(interval) {
            if standing == .quarantined { announceQuarantine() } else { register() }
        }
        concludeRegistration()
    }

    private mutating func register() {
        ownStart.toldAt = ticks
        var peers = otherVoters
        if let leader, leader != replica, !peers.contains(leader) { peers.append(leader) }
        // A stranger that learns of this replica leads it, or asks for its vote.
        for peer in peers where peer == leader || !ownStart.strangers.contains(peer) {
            introduce(to: peer)
        }
        if !isNamed {
            for peer in ownStart.answered {
                sendNow(.registration(ownStart.registration), to: peer)
            }
        }
    }

    /// Whether all who know no such member are known to be behind a configuration that names it.
    var isNamed: Bool {
        guard let absence = ownStart.registration.absence else { return true }
        return ownStart.namedBehind.map { $0 >= absence.index } ?? false
            || names(replica, behind: absence)
    }

    private mutating func receivedAbsence(_ place: CommittedPlace, from peer: ReplicaID) {
        let known = min(place.index, commitIndex)
        let wasMember = configurations.contains {
            $0.index > .zero && $0.index <= known && $0.configuration.member(replica) != nil
        }
        if wasMember {
            quarantine(.removed(asOf: place, by: peer))
            return
        }
        // Late: it has been named since, or its leader knows it.
        guard standing == .registering else { return }
        if !ownStart.strangers.contains(peer) { ownStart.strangers.append(peer) }
        if ownStart.registration.absence.map({ $0.index < place.index }) ?? true {
            ownStart.registration.absence = place
        }
        concludeRegistration()
    }

    /// What this replica promises counts with a peer only once that remembers this start.
    func isHeard(by peer: ReplicaID) -> Bool {
        standing == .trusted
            && (!settings.registersStarts || ownStart.answered.contains(peer))
    }

    /// Instead of a promise that the peer could not place.
    mutating func introduce(to peer: ReplicaID) {
        // One that has answered only has to wait until this replica is trusted.
        guard standing != .quarantined, !ownStart.answered.contains(peer) else { return }
        sendNow(.registration(ownStart.registration), to: peer)
    }

    mutating func receivedVerdict(
        _ verdict: RegistrationVerdict, on incarnation: UInt64, start: UInt64, from peer: ReplicaID
    ) {
        if verdict == .forgotten {
            ownStart.answered.removeAll { $0 == peer }
            introduce(to: peer)
            return
        }
        let own = ownStart.registration
        // An answer to an earlier start.
        guard own.incarnation == incarnation, own.start == start else { return }
        switch verdict {
        case .forgotten: break
        case .registered(let behind):
            if let behind { ownStart.namedBehind = max(ownStart.namedBehind ?? .zero, behind) }
        case .stranger(let place):
            receivedAbsence(place, from: peer)
            return
        case .startedTwice:
            quarantine(.startedTwice(of: peer))
            return
        case .quarantined(let record):
            guard record.replica == replica else { return }
            #if PlantedBugs
                if PlantedBug.active == .rolledBackDiskVotes { break }
            #endif
            if proves(record) {
                quarantine(.behindRecord(of: peer, record))
                return
            }
        // A late copy of the registration met what this very start has done since.
        }
        if !ownStart.answered.contains(peer) { ownStart.answered.append(peer) }
        concludeRegistration()
    }

    /// Whether this replica has forgotten what the record remembers: what it had done in earlier
    /// starts it must have had when this one began, and what in this one it must have now.
    func proves(_ record: PeerRecord) -> Bool {
        let own = ownStart.registration
        // A record of no start is of what a replica said before anybody remembered one: since it
        // became a member, perhaps in this very start.
        if record.incarnation != own.incarnation && record.incarnation != 0 {
            return record.incarnation > own.incarnation || own.isBehind(record)
        }
        let now = Registration(
            incarnation: own.incarnation, start: own.start, term: term,
            lastIndex: log.durableIndex, lastTerm: log.term(at: log.durableIndex) ?? .zero)
        return now.isBehind(record)
    }

    /// All voters have answered; or a quorum has, itself included, and the others had an election
    /// timeout. Whoever has no vote by its own log may not know who has: then its leader's answer
    /// is enough. None of this is, as long as it may be a member no more.
    mutating func concludeRegistration() {
        guard standing == .registering, isNamed else { return }
        func answered(_ voter: ReplicaID) -> Bool {
            voter == replica || ownStart.answered.contains(voter)
                || ownStart.strangers.contains(voter)
        }
        let voters = configuration.voters
        let isComplete = otherVoters.allSatisfy(answered)
        let hasQuorum = voters.outcome { answered($0) ? true : nil } == .won
        let hasWaited = ticks >= UInt64(settings.electionTimeoutTicks)
        let isLed = !voters.contains(replica) && (leader.map(ownStart.answered.contains) ?? false)
        guard isComplete || hasQuorum && hasWaited || isLed else { return }
        standing = .trusted
        // The configuration of its own that names it may be replaced yet.
        if let absence = ownStart.registration.absence { ownStart.namedBehind = absence.index }
    }

    /// For good: over restarts by this replica's own record and by those of its peers.
    mutating func quarantine(_ reason: QuarantineReason) {
        guard standing != .quarantined else { return }
        becomeFollower(term: term, leader: nil)
        standing = .quarantined
        effects.quarantined = reason
        work.peers.append(
            PeerRecord(
                replica: replica, incarnation: PeerRecord.quarantined, lastIndex: .zero,
                lastTerm: .zero))
        announceQuarantine()
    }

    private mutating func announceQuarantine() {
        ownStart.toldAt = ticks
        var notice = ownStart.registration
        notice.isQuarantined = true
        for member in configuration.replicas where member != replica {
            sendNow(.registration(notice), to: member)
        }
    }
}

extension RaftMessage.Kind {
    /// Whether somebody elects, commits or reads on the sender's word.
    var isPromise: Bool {
        switch self {
        case .voteResponse(granted: true), .preVoteResponse(granted: true),
            .appendResponse(.accepted):
            return true
        default: return false
        }
    }
}
