import Primitives

/// Names a proposal, so that the node which made it finds the answer among what it applies. Not an
/// idempotence token: a client's retry is another proposal.
package struct ProposalID: Hashable, Sendable {
    package var node: NodeID
    /// Raised at each start of the node, so that ids never repeat over restarts.
    package var incarnation: UInt64
    package var sequence: UInt64
    package init(node: NodeID, incarnation: UInt64, sequence: UInt64) {
        self.node = node
        self.incarnation = incarnation
        self.sequence = sequence
    }
}

/// What a log entry asks the state machine to do. Encoded by `Command.encode` into the entry's
/// payload (docs/formats/command.md).
package struct Command: Hashable, Sendable {
    package enum Body: Hashable, Sendable {
        case operation(Operation)
        /// Raises the floor that etcd's API shows; removes nothing by itself.
        case compact(through: Revision)
        /// Empties nothing: refused unless the keyspace is empty or in a restore. A second begin
        /// starts over and drops the rows taken so far.
        case restoreBegin(restoreID: String, revision: Revision, compactRevision: Revision)
        /// Rows in key order, versions of a key from the oldest on; `rows` as `VersionRow.encode`
        /// wrote them, one after another.
        case restoreRows(restoreID: String, sequence: UInt64, rows: Bytes)
        /// Compares count and digest of what was taken in with what the archive says.
        case restoreFinish(restoreID: String, rowCount: UInt64, digest: LogicalDigest)
        /// Lets the keyspace serve. Only after a finish that matched.
        case restoreActivate(restoreID: String)
        case lease(LeaseCommand)
    }

    package var id: ProposalID
    package var body: Body
    package init(id: ProposalID, body: Body) {
        self.id = id
        self.body = body
    }
}
