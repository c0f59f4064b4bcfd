import Primitives
import RecordModel
import StorageEngine
import Synchronization

/// The deterministic state machine of one shard: one group, one keyspace, over an engine that other
/// shards of the node may share. The same entries give the same rows, the same answers and the same
/// digest, however they are batched (DESIGN, decisions 8 and 9; docs/formats/record-tables.md).
///
/// One thread at a time calls `apply`; readers are made and used on any thread.
package final class RecordStore: Sendable {
    package let group: GroupID
    package let keyspace: KeyspaceID

    let engine: any StorageEngine
    let layout: KeyLayout
    private let limits: CommandLimits
    private let shared: Mutex<Shared>

    private struct Shared: Sendable {
        var state: AppliedState
        var isApplying = false
    }

    /// Takes up where the engine's `applied` row of the group stands, or at nothing.
    ///
    /// - Parameter limits: what entries of this level mean. Others than the default are for tests:
    ///   replicas of a group must have the same.
    package init(
        engine: any StorageEngine, group: GroupID, keyspace: KeyspaceID,
        limits: CommandLimits = .first
    ) throws(RecordStoreError) {
        self.limits = limits
        self.engine = engine
        self.group = group
        self.keyspace = keyspace
        layout = KeyLayout(group: group, keyspace: keyspace)
        let view = try storage { () throws(StorageError) in try engine.makeReadView() }
        let state = try AppliedState.load(from: view, layout)
        shared = Mutex(Shared(state: state))
    }

    /// The index that a restart after a crash now would replay from: what the log may be truncated
    /// through, once every group's is known.
    package static func persistedAppliedIndex(
        engine: any StorageEngine, group: GroupID
    ) throws(RecordStoreError) -> LogIndex {
        let raw = try storage { () throws(StorageError) in
            try engine.persistedValue(for: KeyLayout.applied(group))
        }
        guard let raw else { return .zero }
        return try AppliedState(decoding: raw, group: group).appliedIndex
    }

    // MARK: Where the shard stands, safe to ask from any thread

    package var appliedIndex: LogIndex { shared.withLock { $0.state.appliedIndex } }
    package var appliedTerm: Term { shared.withLock { $0.state.appliedTerm } }
    package var revision: Revision { shared.withLock { $0.state.revision } }
    package var compactRevision: Revision { shared.withLock { $0.state.compactRevision } }
    /// What watchers may know of: while the shard is being restored, that it is empty.
    package var watchableRevision: Revision { shared.withLock { $0.state.watchableRevision } }
    package var watchableCompactRevision: Revision {
        shared.withLock { $0.state.watchableCompactRevision }
    }
    /// The chained digest of everything applied, at `appliedIndex`.
    package var effectDigest: EffectDigest { shared.withLock { $0.state.digest } }
    /// The newest stamp in the shard: of entries applied and, once a restore has finished, of the
    /// rows restored. A leader stamps above this as well as above its log, because restored rows
    /// bring stamps that the log never had. The step that activates a restore is refused while its
    /// own stamp is not above them.
    package var newestTimestamp: HybridTimestamp {
        shared.withLock { $0.state.newestTimestamp }
    }
    /// The configuration entry applied last; nil when there was none.
    package var configuration: (index: LogIndex, encoded: Bytes)? {
        shared.withLock { shared in
            guard shared.state.configurationIndex > .zero else { return nil }
            return (shared.state.configurationIndex, shared.state.configuration)
        }
    }
    package var restoreProgress: RestoreProgress {
        shared.withLock { $0.state.restoreProgress }
    }

    // MARK: Apply

    /// Bytes of rows, and of answers, at which a batch of the engine ends and the next entry begins
    /// another: few entries can change much.
    package static let batchBytesMax = 64 << 20

    /// Applies all entries, as `applySome` does, batch by batch.
    package func apply(_ entries: [LogEntry]) throws(RecordStoreError) -> [AppliedEntry] {
        var applied: [AppliedEntry] = []
        var rest = entries[...]
        while !rest.isEmpty {
            applied += try applySome(rest)
            rest = rest.drop { $0.index <= appliedIndex }
        }
        return applied
    }

    /// Applies entries in one batch of the engine, the applied index within it: all of them, or as
    /// many from the first on as `batchBytesMax` lets in. Entries up to the applied index are
    /// skipped: they are a replay. After an error nothing of the call has taken effect, and the
    /// shard must be stopped.
    ///
    /// - Parameter entries: without gaps, beginning at or before the entry after `appliedIndex`.
    /// - Returns: one for each entry that was not skipped, at least one if any was not.
    package func applySome(
        _ entries: ArraySlice<LogEntry>
    ) throws(RecordStoreError) -> [AppliedEntry] {
        try applySome(entries, capturing: false).applied
    }

    /// The same, and what it changed.
    ///
    /// - Parameter capturing: false leaves the events out: somebody may read them from disk.
    package func applySome(
        _ entries: ArraySlice<LogEntry>, capturing: Bool
    ) throws(RecordStoreError) -> (applied: [AppliedEntry], changes: ShardChanges) {
        let before = shared.withLock { shared in
            precondition(!shared.isApplying, "two calls of apply at once in group \(group)")
            shared.isApplying = true
            return shared.state
        }
        defer { shared.withLock { $0.isApplying = false } }
        let fresh = entries.drop { $0.index <= before.appliedIndex }
        guard !fresh.isEmpty else { return ([], ShardChanges(from: before)) }

        let view = try storage { () throws(StorageError) in try engine.makeReadView() }
        let writer = ShardWriter(
            layout: layout, view: view, state: before, limits: limits, capturing: capturing)
        var applied: [AppliedEntry] = []
        applied.reserveCapacity(fresh.count)
        for entry in fresh {
            precondition(
                entry.index == writer.state.appliedIndex.next,
                "entry \(entry.index) after \(writer.state.appliedIndex) in group \(group)")
            applied.append(try writer.apply(entry))
            if max(writer.pending.bytesWritten, writer.answerBytes) >= Self.batchBytesMax { break }
        }
        let batch = writer.makeBatch()
        try storage { () throws(StorageError) in try engine.commit(batch) }
        shared.withLock { $0.state = writer.state }
        let changes = writer.changes ?? ShardChanges(from: writer.state)
        return (applied, changes)
    }

    // MARK: Read

    /// A reader of the shard as it is now, which later entries do not change. Pins disk space until
    /// it is released.
    package func makeReader() throws(RecordStoreError) -> RecordReader {
        let view = try storage { () throws(StorageError) in try engine.makeReadView() }
        return try RecordReader(view: view, layout: layout)
    }
}

extension AppliedState {
    /// What the view holds for the group, or a shard to which nothing has been applied.
    static func load(
        from view: any ReadView, _ layout: KeyLayout
    ) throws(RecordStoreError) -> AppliedState {
        let raw = try storage { () throws(StorageError) in
            try view.value(for: KeyLayout.applied(layout.group))
        }
        guard let raw else { return AppliedState(keyspace: layout.keyspace) }
        let state = try AppliedState(decoding: raw, group: layout.group)
        guard state.keyspace == layout.keyspace else {
            throw .keyspaceMismatch(
                group: layout.group, stored: state.keyspace, asked: layout.keyspace)
        }
        return state
    }

    var restoreProgress: RestoreProgress {
        restore?.progress
            ?? RestoreProgress(
                phase: .none, restoreID: "", nextSequence: 0, rowCount: 0, digest: LogicalDigest())
    }
}
