import Consensus
import Primitives
import RecordModel

/// What the checkers know of the world, from outside: they see disks, messages, what is handed out
/// and what clients are told, and trust no replica's word.
struct Checks {
    /// Of one group.
    struct GroupFacts {
        /// Who led each term.
        var leaders: [Term: ReplicaID] = [:]
        /// Of each committed entry, from index 1.
        var committed: [Term] = []
        /// The term of the replica that was first seen to have committed it.
        var committedIn: [Term] = []
        /// Of each applied entry, from index 1; zero where none was seen.
        var applied: [UInt64] = []
        /// State digests after an index.
        var digests: [LogIndex: UInt64] = [:]
        /// Every entry ever written to any disk, and the term of the one before it.
        var written: [EntryName: (fingerprint: UInt64, previous: Term)] = [:]
        /// Where each proposal was applied.
        var proposals: [ProposalID: LogIndex] = [:]
        /// Who was given a vote, by whom and in which term.
        var votes: [VoteName: ReplicaID] = [:]
        /// Of the entries written, those that hold a configuration.
        var configurations: [EntryName: Configuration] = [:]
        /// The zone rules of committed configurations, ascending.
        var zoneRules: [(index: LogIndex, rule: ZoneRule)] = []
        /// Whom the leader of a term told to campaign without being asked to.
        var handovers: [Term: ReplicaID] = [:]
        /// The last entry that a client was told of.
        var acknowledged = LogIndex.zero

        /// Whether this entry is committed, and so is, up to it, a configuration that named the
        /// replica and a later one that does not.
        func isRemoved(_ replica: ReplicaID, asOf place: CommittedPlace) -> Bool {
            let last = Int(place.index.rawValue)
            guard last > 0, last <= committed.count, committed[last - 1] == place.term else {
                return false
            }
            let memberships = committed[..<last].enumerated().compactMap { offset, term in
                configurations[EntryName(index: LogIndex(UInt64(offset) + 1), term: term)]
            }.map { $0.member(replica) != nil }
            return memberships.contains(true) && memberships.last == false
        }
    }

    struct VoteName: Hashable {
        var voter: ReplicaID
        var term: Term
    }

    struct EntryName: Hashable {
        var index: LogIndex
        var term: Term
    }

    var groups: [GroupFacts]
    /// Found where no event is looked at.
    var complaints: [String] = []
    private var looks = 0

    init(groups: Int) { self.groups = Array(repeating: GroupFacts(), count: groups) }

    mutating func acknowledged(_ group: Int, _ index: LogIndex) {
        groups[group].acknowledged = max(groups[group].acknowledged, index)
    }

    /// What a snapshot brings was committed before it was made.
    mutating func installed(_ group: Int, _ metadata: SnapshotMetadata) {
        let place = Int(metadata.index.rawValue) - 1
        let known = groups[group].committed
        if place >= known.count || known[place] != metadata.term {
            complaints.append(
                "a snapshot of \(metadata.index), term \(metadata.term), is not of what is committed"
            )
        }
    }

    /// Whether it is time for a look that costs more.
    mutating func isSampled(every count: Int) -> Bool {
        looks += 1
        return looks % count == 0
    }
}

extension LogEntry {
    /// Of all that the entry says.
    var fingerprint: UInt64 {
        var value: UInt64 = 0x9E37_79B9_7F4A_7C15
        func mix(_ word: UInt64) {
            value = (value ^ word) &* 0xBF58_476D_1CE4_E5B9
            value ^= value >> 31
        }
        mix(term.rawValue)
        mix(index.rawValue)
        mix(timestamp.microseconds)
        mix(UInt64(timestamp.logical) << 16 | UInt64(semantics.rawValue))
        switch payload {
        case .empty: mix(1)
        case .command(let bytes):
            mix(2)
            bytes.withUnsafeBytes { mix(UInt64(CRC32C.checksum($0)) << 20 | UInt64($0.count)) }
        case .configuration(let bytes):
            mix(3)
            bytes.withUnsafeBytes { mix(UInt64(CRC32C.checksum($0)) << 20 | UInt64($0.count)) }
        }
        return value | 1
    }
}

/// A replica at one moment.
struct Glance: Equatable {
    var role: Role
    var term: Term
    var commitIndex: LogIndex
    var lastIndex: LogIndex
    var configuration: ConfigurationEntry
    var isHibernating: Bool

    init(_ raft: RaftGroup) {
        role = raft.role
        term = raft.term
        commitIndex = raft.commitIndex
        lastIndex = raft.lastIndex
        configuration = ConfigurationEntry(
            index: raft.configurationIndex, configuration: raft.configuration)
        isHibernating = raft.isHibernating
    }
}
