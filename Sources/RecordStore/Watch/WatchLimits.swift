/// What watching may cost. Each bounds memory or the length of one step.
package struct WatchLimits: Sendable {
    /// Newest events that are kept in memory, so that a watcher which falls behind by little need
    /// not read from disk. The oldest go first.
    package var recentEventsMax = 4096
    /// The same in bytes (`WatchEvent.bytes`).
    package var recentBytesMax = 8 << 20
    /// Events times watchers that are gathered before they are handed out, give or take one revision:
    /// thousands may watch the same range while thousands of events wait.
    package var matchesMax = 1 << 20
    /// Bytes of events that one stream is given before it must say whether it can take more. At the
    /// limit its watchers fall behind, one by one, and read from disk later. One response may be
    /// larger.
    package var streamTurnBytesMax = 1 << 20
    /// A response is not filled beyond this unless one revision alone does it: etcd splits a
    /// revision only where the client has asked for fragments.
    package var responseBytesMax = 1 << 20
    /// The size above which a watcher that asked for fragments gets one revision in several
    /// responses: etcd's `--max-request-bytes` and 512 KiB for what gRPC adds.
    package var fragmentBytesMax = 2 << 20
    /// Watchers that one read from disk serves.
    package var readWatchersMax = 4096
    /// Rows of `revisions` that one read looks at.
    package var readRowsMax = 4096
    /// Bytes of events that one read brings, each counted once for each of its watchers. One
    /// revision is always read whole.
    package var readBytesMax = 2 << 20
    /// A progress request while the limit of unanswered ones is reached is joined with the one
    /// before it.
    package var progressRequestsMax = 128

    package init() {}
}
