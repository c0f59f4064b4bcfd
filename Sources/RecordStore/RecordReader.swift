import Primitives
import RecordModel
import StorageEngine

/// Reads one shard as it was when the reader was made. Safe to use from several threads at once;
/// work is done on the caller's thread. While a restore has begun and not been activated, every
/// read is refused.
package struct RecordReader: Sendable {
    let view: any ReadView
    let layout: KeyLayout
    private let state: AppliedState

    init(view: any ReadView, layout: KeyLayout) throws(RecordStoreError) {
        self.view = view
        self.layout = layout
        state = try AppliedState.load(from: view, layout)
    }

    package var group: GroupID { layout.group }
    package var keyspace: KeyspaceID { layout.keyspace }
    package var revision: Revision { state.revision }
    package var appliedIndex: LogIndex { state.appliedIndex }
    package var appliedTerm: Term { state.appliedTerm }
    package var compactRevision: Revision { state.compactRevision }
    package var newestTimestamp: HybridTimestamp { state.newestTimestamp }
    package var effectDigest: EffectDigest { state.digest }
    package var restoreProgress: RestoreProgress { state.restoreProgress }

    /// What is superseded at or below it is out of sight, whether removed yet or not.
    var hidingFloor: Revision { keyspace.retainsAllVersions ? .none : compactRevision }

    var tables: TableView { TableView(view: view, pending: nil) }

    /// What every read starts with.
    func shard() throws(RecordReadFailure) -> ShardView {
        if let refusal = state.refusal { throw .refused(refusal) }
        return ShardView(
            layout: layout, tables: tables, revision: state.revision,
            compactRevision: state.compactRevision)
    }

    /// etcd's Range. `count` makes it walk over all keys of the range, whatever the limit.
    package func range(
        _ request: RangeRequest, _ limits: AnswerLimits = .read
    ) throws(RecordReadFailure) -> RangeResult {
        let shard = try shard()
        if let refusal = Operation.range(request).validate() { throw .refused(refusal) }
        var room = AnswerRoom(limits)
        return try shard.range(request, &room)
    }

    /// A transaction that changes nothing, answered without a log entry. One that may change
    /// something (`Operation.changesState`) is a bug of the caller.
    package func compare(
        _ txn: TxnRequest, _ limits: AnswerLimits = .read
    ) throws(RecordReadFailure) -> TxnResult {
        let operation = Operation.txn(txn)
        precondition(!operation.changesState, "a reader was given a transaction that writes")
        let shard = try shard()
        if let refusal = operation.validate() { throw .refused(refusal) }
        let path = try reading { () throws(RecordStoreError) in try shard.path(of: txn) }
        var walk = path
        try shard.checkRanges(txn, &walk)
        walk = path
        var room = AnswerRoom(limits)
        return try shard.readOnly(txn, &walk, &room)
    }

    /// A record, now or as it was. Revisions below the floor are refused only where the keyspace's
    /// retention is etcd's.
    package func record(
        _ key: Bytes, at past: Revision? = nil
    ) throws(RecordReadFailure) -> Record? {
        let shard = try shard()
        guard let past else {
            return try reading { () throws(RecordStoreError) in try shard.newest(key)?.record }
        }
        try check(past)
        return try reading { () throws(RecordStoreError) in try shard.record(key, at: past) }
    }

    /// Where a read of the past may look.
    func check(_ past: Revision) throws(RecordReadFailure) {
        if past > revision { throw .refused(.futureRevision(current: revision)) }
        if past < compactRevision, !keyspace.retainsAllVersions {
            throw .refused(.compacted(floor: compactRevision))
        }
    }
}

extension KeyspaceID {
    /// Retention *all* (DESIGN, decision 2): compaction moves the floor of etcd's reads, and hides
    /// nothing from `history` and `version`.
    package var retainsAllVersions: Bool { self == .fhir || self == .system }
}
