/// Where a group's log begins once its front is gone: behind what the state machine has persisted,
/// or behind a snapshot.
package struct LogStart: Hashable, Sendable {
    /// The last entry that is gone, and its term. The stamp is at or above every one that is gone,
    /// and possibly above some that stay: it keeps stamps rising once the log is empty, and nothing
    /// is compared with it.
    package var index: LogIndex
    package var term: Term
    package var timestamp: HybridTimestamp
    /// The configuration in force at `index`, encoded by `Consensus`, and the index of its entry.
    package var configuration: Bytes
    package var configurationIndex: LogIndex
    /// Everything that the log held is gone, because a snapshot takes its place that the log did
    /// not hold; `index` may lie beyond the log's end. False when only the front goes.
    package var replacesAll: Bool

    package init(
        index: LogIndex, term: Term, timestamp: HybridTimestamp, configuration: Bytes,
        configurationIndex: LogIndex, replacesAll: Bool
    ) {
        self.index = index
        self.term = term
        self.timestamp = timestamp
        self.configuration = configuration
        self.configurationIndex = configurationIndex
        self.replacesAll = replacesAll
    }
}
