/// Where a group's log begins: what stands for the entries that are no longer in it.
package struct LogStart: Hashable, Sendable {
    /// The last entry that is gone, with its term and stamp; entry `index.next` is the log's first.
    package var index: LogIndex
    package var term: Term
    package var timestamp: HybridTimestamp
    /// The encoded configuration in force at `index`. The log does not read it.
    package var configuration: Bytes
    /// The entry that put `configuration` in force, at most `index`.
    package var configurationIndex: LogIndex
    /// `false`: entries through `index` are gone and those behind it stay: truncation behind the
    /// state machine, or a snapshot whose (index, term) the log holds. `true`: a snapshot took the
    /// place of the whole log, which goes on behind `index`, wherever it ended before.
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
