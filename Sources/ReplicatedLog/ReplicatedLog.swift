import Primitives
import Synchronization

/// The log of all groups of a node: one sequence of batches in preallocated segments, one sync for
/// every group that is ready (DESIGN, decision 7). The format, and how a torn tail and rot are told
/// apart, is `docs/formats/log-segment.md`.
///
/// Threads: `append`, `sync`, `seal` and `truncateLog` come from one thread, the log thread.
/// `entries` and `bounds` may come from any thread at any time.
package final class ReplicatedLog: Sendable {
    private init() {}

    /// Reads the log back and makes it ready for appends; begins one when the device is empty.
    ///
    /// A torn tail is dropped, reported and set back to zero. Everything that is returned is
    /// durable when this returns. Corruption is an error, and then nothing was changed on disk.
    package static func open(
        device: any LogDevice, identity: LogIdentity, settings: LogSettings
    ) throws(LogError) -> (
        log: ReplicatedLog, groups: [GroupID: RecoveredGroup], report: RecoveryReport
    ) {
        fatalError("in progress")
    }

    /// Writes what the groups ask for, in the order of the batch, as one write where it fits.
    /// Entries can be read as soon as this returns; they are durable after the next `sync`.
    ///
    /// - Throws: `device`, and from then on `poisoned`; `tooLarge` before anything is written.
    package func append(_ batch: [GroupAppend]) throws(LogError) {
        fatalError("in progress")
    }

    /// Makes everything appended so far durable, with one device sync. Does nothing when there is
    /// nothing new. A sync that failed is never tried again: pages may have been dropped, and a
    /// second sync would report success without them.
    package func sync() throws(LogError) {
        fatalError("in progress")
    }

    /// Writes and syncs an empty batch which proves that all before it was synced: from then on
    /// even a lost write at the end of the log is told from a torn tail. For a clean stop, and for
    /// a log that has been idle for a while.
    package func seal() throws(LogError) {
        fatalError("in progress")
    }

    /// Entries from `from` through at most `through`, as many as fit into `maxBytes` of payload,
    /// and at least one. Checksums and identity are verified on every read.
    ///
    /// - Throws: `unavailable` when `from` is not in the log or `through` is past its end.
    package func entries(
        of group: GroupID, from: LogIndex, through: LogIndex, maxBytes: Int
    ) throws(LogError) -> [LogEntry] {
        fatalError("in progress")
    }

    /// The first and last index of a group's log; first is one past last when it is empty.
    package func bounds(of group: GroupID) -> (first: LogIndex, last: LogIndex) {
        fatalError("in progress")
    }

    /// Forgets entries up to and including `through`, which the state machine has persisted.
    /// Segments that no group needs any more are removed with the next `sync`.
    package func truncateLog(of group: GroupID, through: LogIndex) throws(LogError) {
        fatalError("in progress")
    }
}
