/// One entry of one group's log, as consensus orders it and the log stores it.
package struct LogEntry: Hashable, Sendable {
    package var term: Term
    package var index: LogIndex
    /// Stamped by the leader that appended it: above every stamp before it in the log.
    package var timestamp: HybridTimestamp
    package var semantics: SemanticsLevel
    package var payload: Payload

    package enum Payload: Hashable, Sendable {
        /// A new leader's first entry: it commits what earlier terms left (thesis §3.6.2).
        case empty
        /// A command of the state machine, encoded by `RecordModel`.
        case command(Bytes)
        /// A configuration of the group, encoded by `Consensus`.
        case configuration(Bytes)
    }

    package init(
        term: Term, index: LogIndex, timestamp: HybridTimestamp,
        semantics: SemanticsLevel = .first, payload: Payload
    ) {
        self.term = term
        self.index = index
        self.timestamp = timestamp
        self.semantics = semantics
        self.payload = payload
    }

    /// Bytes of the payload: what size limits count.
    package var payloadBytes: Int {
        switch payload {
        case .empty: 0
        case .command(let bytes), .configuration(let bytes): bytes.count
        }
    }
}

/// What a replica must not forget over a restart besides its log: its term and its vote
/// (thesis §3.4). The commit index is a hint that saves work after a restart.
package struct HardState: Hashable, Sendable {
    package var term: Term
    package var vote: ReplicaID?
    package var commitIndex: LogIndex

    package init(term: Term = .zero, vote: ReplicaID? = nil, commitIndex: LogIndex = .zero) {
        self.term = term
        self.vote = vote
        self.commitIndex = commitIndex
    }
}
