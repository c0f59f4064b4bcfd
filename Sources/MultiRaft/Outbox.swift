import Consensus
import Primitives

/// What leaves together, by node.
struct Outbox: Sendable {
    /// Ascending by node, none of them empty.
    private(set) var batches: [NodeBatch] = []

    mutating func append(_ message: RaftMessage, to node: NodeID, _ incarnation: UInt64) {
        let at = position(of: node, incarnation)
        batches[at].messages.append(message)
    }

    mutating func append(_ forward: ForwardedProposals, to node: NodeID, _ incarnation: UInt64) {
        let at = position(of: node, incarnation)
        batches[at].messages.forwards.append(forward)
    }

    mutating func append(_ refusal: ForwardRefused, to node: NodeID, _ incarnation: UInt64) {
        let at = position(of: node, incarnation)
        batches[at].messages.refusals.append(refusal)
    }

    mutating func append(_ alive: NodeHeartbeat, to node: NodeID, _ incarnation: UInt64) {
        let at = position(of: node, incarnation)
        batches[at].messages.alive = alive
    }

    private mutating func position(of node: NodeID, _ incarnation: UInt64) -> Int {
        let at = batches.firstIndex { $0.to >= node } ?? batches.count
        if at == batches.count || batches[at].to != node {
            let empty = NodeBatch(to: node, messages: NodeMessages(incarnation: incarnation))
            batches.insert(empty, at: at)
        }
        return at
    }
}
