import Primitives

/// A position in a shard's history: etcd's main revision. An empty shard stands at 1; each command
/// that changes anything raises it by exactly one (etcd API reference, "Revisions").
package struct Revision: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: Int64
    package init(_ rawValue: Int64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue) }

    /// No revision: the answer's `modRevision` of a key that does not exist.
    package static let none = Revision(0)
    /// Where an empty shard stands.
    package static let initial = Revision(1)
    package var next: Revision { Revision(rawValue + 1) }
}

/// A set of keys with a policy and one or more shards (DESIGN, decision 2).
package struct KeyspaceID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt32
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    package static let system = KeyspaceID(0)
    package static let `default` = KeyspaceID(1)
    package static let fhir = KeyspaceID(2)
    package static let all: [KeyspaceID] = [.system, .default, .fhir]

    /// The name by which clients choose it (gRPC metadata `spine-keyspace`, `--keyspace`).
    package var name: String {
        switch self {
        case .system: "system"
        case .default: "default"
        case .fhir: "fhir"
        default: String(rawValue)
        }
    }

    package init?(name: String) {
        guard let found = Self.all.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    /// The group that holds the keyspace's one shard.
    package var group: GroupID { GroupID(rawValue) }
    package init(group: GroupID) { self.init(group.rawValue) }

    package var description: String { name }
}
