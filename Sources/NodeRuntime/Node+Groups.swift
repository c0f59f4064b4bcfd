import Consensus
import Primitives
import RecordModel
import RecordStore
import ReplicatedLog

/// The Raft groups of a node, as its disk has them.
extension Node {
    /// Ticks in a heartbeat interval: the resolution in which election timeouts are drawn.
    static let ticksPerHeartbeat = 5
    /// A group that has had nothing to do for so many election timeouts is put to sleep.
    private static let timeoutsUntilSleep = 5
    /// Groups of `NodeConfiguration.idleGroups` are numbered from here.
    static let firstIdleGroup: UInt32 = 0x1_0000

    static func raftSettings(_ configuration: NodeConfiguration) -> RaftSettings {
        let ratio = configuration.electionTimeout / configuration.heartbeatInterval
        let timeout = Int((ratio * Double(ticksPerHeartbeat)).rounded())
        return RaftSettings(
            electionTimeoutTicks: timeout, heartbeatTicks: ticksPerHeartbeat,
            maxEntryBytes: NodeLimits.commandBytes,
            makesSnapshots: false,
            hibernationTicks: timeoutsUntilSleep * timeout)
    }

    static func openGroups(
        _ configuration: NodeConfiguration, recovered: [GroupID: RecoveredGroup],
        stores: [GroupID: RecordStore], directory: DataDirectory,
        generator: inout some RandomNumberGenerator
    ) throws(ConfigurationError) -> [RaftGroup] {
        let replica = ReplicaID(configuration.ownID.rawValue)
        let voters = configuration.initialCluster.map {
            ReplicaID(configuration.nodeID(of: $0).rawValue)
        }
        let settings = raftSettings(configuration)
        let idle = (0..<UInt32(configuration.idleGroups)).map { GroupID(firstIdleGroup + $0) }
        var groups: [RaftGroup] = []
        for group in groupIDs + idle {
            do {
                var restored = try RestoredState(
                    group: recovered[group] ?? RecoveredGroup(group: group),
                    bootstrap: Configuration(voters: voters),
                    appliedIndex: stores[group]?.appliedIndex ?? .zero,
                    incarnation: directory.identity.incarnation)
                if let store = stores[group] {
                    try restored.takeState(of: store, bootstrap: Configuration(voters: voters))
                }
                groups.append(
                    try RaftGroup(
                        group: group, replica: replica, settings: settings, restored: restored,
                        seed: generator.next()))
            } catch {
                throw ConfigurationError(
                    "group \(group): this node's log and state contradict each other: \(error). "
                        + "It must neither vote nor serve: move \(directory.path) aside and look "
                        + "at the disk")
            }
        }
        return groups
    }
}

extension RestoredState {
    /// - Parameter bootstrap: in force until the log says otherwise.
    init(
        group: RecoveredGroup, bootstrap: Configuration, appliedIndex: LogIndex,
        incarnation: UInt64
    ) throws(DecodingFailure) {
        var configurations: [ConfigurationEntry] = []
        if group.startConfiguration.isEmpty {
            configurations.append(ConfigurationEntry(index: .zero, configuration: bootstrap))
        } else {
            configurations.append(
                ConfigurationEntry(
                    index: group.startConfigurationIndex,
                    configuration: try Configuration(decoding: group.startConfiguration)))
        }
        for entry in group.configurationEntries {
            guard case .configuration(let bytes) = entry.payload else { continue }
            configurations.append(
                ConfigurationEntry(
                    index: entry.index, configuration: try Configuration(decoding: bytes)))
        }
        self.init(
            hardState: group.hardState, configurations: configurations,
            log: LogSummary(
                firstIndex: group.firstIndex, lastIndex: group.lastIndex,
                termBeforeFirst: group.truncatedTerm, termRuns: group.termRuns,
                lastTimestamp: group.lastTimestamp),
            appliedIndex: appliedIndex, incarnation: incarnation)
        peers = group.peers
        peersAreIncomplete = group.peersAreIncomplete
        damaged = group.damaged
        voteIsUnknown = group.voteIsUnknown
        logIsUntrusted = group.isUntrusted
    }

    /// What the state machine remembers of the entries that it stands for.
    mutating func takeState(
        of store: RecordStore, bootstrap: Configuration
    ) throws(DecodingFailure) {
        appliedTimestamp = store.newestTimestamp
        appliedConfiguration = ConfigurationEntry(index: .zero, configuration: bootstrap)
        guard let known = store.configuration else { return }
        appliedConfiguration = ConfigurationEntry(
            index: known.index, configuration: try Configuration(decoding: known.encoded))
    }
}
