import Primitives

// Membership changes, the leader's side: thesis chapter 4.
extension RaftGroup {
    /// Configurations that a leader's log holds and that are not committed, at most; changes of the
    /// zone rule can pile up while it is not met. Their entries may exceed `maxUncommittedBytes`,
    /// since what lets a full tail move again may be a configuration.
    static let uncommittedConfigurationsMax = 16

    /// Asks a leader to change the group's configuration.
    ///
    /// - Parameter wallClock: microseconds since 1970, as this node's clock reads now.
    package mutating func configurationProposed(
        _ request: ConfigurationRequest, wallClock: UInt64
    ) -> (ConfigurationOutcome, Effects) {
        wake()
        do throws(ConfigurationRefusal) {
            let next = try nextConfiguration(request)
            guard unsettledConfigurations.count <= Self.uncommittedConfigurationsMax else {
                throw .uncommittedTailFull
            }
            appendConfiguration(next, wallClock: wallClock)
            return (.accepted(term: term, index: log.lastIndex), finishEvent())
        } catch {
            return (.refused(error), finishEvent())
        }
    }

    private func nextConfiguration(
        _ request: ConfigurationRequest
    ) throws(ConfigurationRefusal) -> Configuration {
        guard leadership != nil else { throw .notLeader(leader: leader) }
        if case .change(let changes, _) = request, changes.allSatisfy(\.isOfZoneRule) {
            return try Configuration(applying: changes, leave: .automatic, to: configuration)
        }
        try checkChangeMayBegin()
        switch request {
        case .leaveJoint:
            guard configuration.voters.isJoint else { throw .notJoint }
            return configuration.left
        case .change(let changes, let leave):
            guard !configuration.voters.isJoint else {
                throw .changeInProgress(index: configurationIndex)
            }
            return try Configuration(applying: changes, leave: leave, to: configuration)
        }
    }

    private func checkChangeMayBegin() throws(ConfigurationRefusal) {
        if let transfer { throw .transferInProgress(to: transfer.target) }
        guard configurationIndex <= log.commitIndex else {
            throw .changeInProgress(index: configurationIndex)
        }
        // "a leader may not append a new configuration entry until it has committed an entry from
        // its current term" (Ongaro, raft-dev, 10 July 2015): a configuration of an earlier term
        // that never got a majority could otherwise come back beside this one, and their majorities
        // need not meet.
        guard hasCommittedInTerm else { throw .termNotCommitted }
    }

    private mutating func appendConfiguration(_ next: Configuration, wallClock: UInt64) {
        append(.configuration(next.encoded()), semantics: .first, wallClock: wallClock)
        configurationAppended(ConfigurationEntry(index: log.lastIndex, configuration: next))
        progressFollowsConfiguration()
        sendAppendsToAll()
        // Fewer may be asked now than before.
        advanceCommit()
        confirmRounds()
    }

    /// What a leader does of itself once a configuration is committed. Called at the end of every
    /// event.
    mutating func settleMembership() {
        guard leadership != nil, configurationIndex <= log.commitIndex else { return }
        if configuration.voters.isJoint {
            leaveJointByItself()
        } else if !configuration.voters.contains(replica) {
            // "the removed leader steps down once the C_new entry is committed" (thesis §4.2.2),
            // and not before its followers have been told.
            sendCommitNotices()
            becomeFollower(term: term, leader: nil)
        }
    }

    private mutating func leaveJointByItself() {
        guard configuration.leavesAutomatically, hasCommittedInTerm, transfer == nil else { return }
        // No clock is at hand: the stamp is the next one possible.
        appendConfiguration(configuration.left, wallClock: 0)
    }
}
