import Primitives

// Which configuration is in force where: "a server always uses the latest configuration in its log,
// regardless of whether the entry is committed" (thesis §4.1).
extension RaftGroup {
    /// What was in force at `index`, which the log has not passed by.
    package func configurationEntry(at index: LogIndex) -> ConfigurationEntry {
        configurations.last { $0.index <= index } ?? configurations[0]
    }

    /// Those that may have to be reckoned with: the last that is known to be committed, and all
    /// behind it. One of them is in force wherever a quorum agrees.
    var unsettledConfigurations: ArraySlice<ConfigurationEntry> {
        let settled = configurations.lastIndex { $0.index <= log.commitIndex } ?? 0
        return configurations[settled...]
    }

    /// The log has taken an entry that brings this configuration.
    mutating func configurationAppended(_ entry: ConfigurationEntry) {
        configurations.append(entry)
        configurationsTouched = true
    }

    /// The log's entries from `index` on are gone: what was in force before them is again.
    mutating func configurationsTruncated(from index: LogIndex) {
        while configurations.count > 1, configurations[configurations.count - 1].index >= index {
            configurations.removeLast()
            configurationsTouched = true
        }
    }

    /// The log begins behind `index` now.
    mutating func configurationsForgotten(through index: LogIndex) {
        let first = configurations.lastIndex { $0.index <= index } ?? 0
        configurations.removeFirst(first)
    }

    /// A snapshot has taken the whole log's place.
    mutating func configurationsReplaced(by entry: ConfigurationEntry) {
        configurations = [entry]
        configurationsTouched = true
    }

    /// Called at the end of every event.
    mutating func announceConfiguration() {
        guard configurationsTouched else { return }
        configurationsTouched = false
        let now = configurations[configurations.count - 1]
        if now != announcedConfiguration {
            announcedConfiguration = now
            effects.configurationChange = now
        }
    }

    /// Whether this replica may ask for votes. A witness has nothing to lead with, a learner or a
    /// removed replica no vote. But: "a server that is not part of its own latest configuration
    /// should still start new elections, as it might still be needed until the C_new entry is
    /// committed" (thesis §4.2.2). Its own vote counts only if it is part of it.
    var mayCampaign: Bool {
        !isWitness
            && unsettledConfigurations.contains { $0.configuration.voters.contains(replica) }
    }
}
