/// How one node stands, as it sees itself.
public struct NodeStatus: Hashable, Sendable {
    public var endpoint: String
    public var memberID: UInt64
    public var clusterID: UInt64
    public var version: String
    /// Bytes of the node's state.
    public var databaseBytes: Int64
    /// 0: no leader is known.
    public var leader: UInt64
    public var raftTerm: UInt64
    public var raftIndex: UInt64
    public var raftAppliedIndex: UInt64
    public var revision: Int64
    public var isLeader: Bool { leader != 0 && leader == memberID }
}

public struct Member: Hashable, Sendable {
    public var id: UInt64
    /// Empty until the member has started once.
    public var name: String
    public var peerURLs: [String]
    public var clientURLs: [String]
    public var isLearner: Bool
}
