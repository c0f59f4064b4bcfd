/// A process of the cluster: etcd's member id. Never reused after a removal.
package struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// Lower-case hexadecimal, as etcd prints member ids.
    package var description: String { String(rawValue, radix: 16) }
}

/// The cluster that a node belongs to. Peers and data directories of another one are refused.
package struct ClusterID: Hashable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package var description: String { String(rawValue, radix: 16) }
}

/// One Raft group: one shard of one keyspace.
package struct GroupID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt32
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue) }

    /// Nodes, zones, shard map, policies.
    package static let system = GroupID(0)
    /// Keyspace `default`: what plain etcd clients see.
    package static let defaultKeyspace = GroupID(1)
    /// Keyspace `fhir`.
    package static let fhirKeyspace = GroupID(2)
}

/// A node's seat in one group. A node that is quarantined rejoins under a new seat.
package struct ReplicaID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue, radix: 16) }
}

/// Raft's term (thesis §3.3). Zero is before the first election.
package struct Term: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue) }
    package static let zero = Term(0)
    package var next: Term { Term(rawValue + 1) }
}

/// A position in one group's log. Entries are numbered from 1; zero is before the first entry.
package struct LogIndex: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue) }
    package static let zero = LogIndex(0)
    package var next: LogIndex { LogIndex(rawValue + 1) }
    /// The index before this one. Calling it on `zero` is a bug of the caller.
    package var previous: LogIndex {
        precondition(rawValue > 0, "LogIndex.previous of zero")
        return LogIndex(rawValue - 1)
    }
    package static func + (a: Self, b: UInt64) -> Self { LogIndex(a.rawValue + b) }
}

/// Which meaning `apply` gives to a command. Rises by an entry once all members speak it, so that
/// old logs replay to the same digest (DESIGN, decision 9).
package struct SemanticsLevel: Hashable, Comparable, Sendable {
    package var rawValue: UInt16
    package init(_ rawValue: UInt16) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package static let first = SemanticsLevel(1)
}

/// An availability zone: a stable hash of its name, which group 0 holds.
package struct ZoneID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue, radix: 16) }
    /// Not said: counts as a zone of its own for nobody.
    package static let unknown = ZoneID(0)
}
