import Primitives
import RecordModel
import StorageEngine

/// Applies entries to one shard: reads the engine's view with what is pending over it, and writes
/// only to what is pending. Lives for one `apply` call, on the apply thread.
///
/// Invariants, after each entry:
/// 1. `state.appliedIndex` is the entry's index.
/// 2. The revision has risen by one if anything changed through an operation, else not at all.
/// 3. A refused command has left nothing pending, and nothing in the state but index, term, stamp
///    and digest of the entry.
final class ShardWriter {
    let layout: KeyLayout
    let tables: TableView
    let pending: PendingWrites
    var state: AppliedState
    /// Changes that the operation in hand has made so far.
    private var changeCount: UInt32 = 0

    init(layout: KeyLayout, view: any ReadView, state: AppliedState) {
        self.layout = layout
        self.state = state
        pending = PendingWrites()
        tables = TableView(view: view, pending: pending)
    }

    /// Everything that the entries changed, the `applied` row included.
    func makeBatch() -> WriteBatch {
        var batch = WriteBatch()
        pending.write(into: &batch)
        #if PlantedBugs
            if PlantedBug.active == .appliedRowWrittenSeldom, state.appliedIndex.rawValue % 8 != 0 {
                return batch
            }
        #endif
        batch.put(KeyLayout.applied(layout.group), state.encode(group: layout.group))
        return batch
    }

    // MARK: Entries

    func apply(_ entry: LogEntry) throws(RecordStoreError) -> AppliedEntry {
        guard entry.semantics <= .first else {
            throw .unsupportedSemantics(entry.semantics, entry.index)
        }
        state.appliedIndex = entry.index
        state.appliedTerm = entry.term
        state.newestTimestamp = max(state.newestTimestamp, entry.timestamp)
        state.digest.add(entry.index.rawValue)
        if case .configuration(let bytes) = entry.payload {
            (state.configurationIndex, state.configuration) = (entry.index, bytes)
        }
        guard case .command(let bytes) = entry.payload else {
            return AppliedEntry(index: entry.index, proposalID: nil, outcome: nil)
        }
        let command: Command
        do {
            command = try Command(decoding: bytes)
        } catch {
            let outcome = CommandOutcome(
                revision: state.revision, timestamp: entry.timestamp,
                result: .failure(.malformed("\(error)")))
            return AppliedEntry(index: entry.index, proposalID: nil, outcome: outcome)
        }
        let result = try run(command.body, at: entry.timestamp)
        let outcome = CommandOutcome(
            revision: state.revision, timestamp: entry.timestamp, result: result)
        return AppliedEntry(index: entry.index, proposalID: command.id, outcome: outcome)
    }

    private func run(
        _ body: Command.Body, at timestamp: HybridTimestamp
    ) throws(RecordStoreError) -> Result<CommandResult, CommandRefusal> {
        let before = state
        pending.beginCommand()
        do {
            return .success(try perform(body, at: timestamp))
        } catch {
            switch error {
            case .store(let failure): throw failure
            case .refused(let refusal):
                pending.rollback()
                state = before
                return .failure(refusal)
            }
        }
    }

    private func perform(
        _ body: Command.Body, at timestamp: HybridTimestamp
    ) throws(RecordReadFailure) -> CommandResult {
        switch body {
        case .operation(let operation):
            if let refusal = state.refusal { throw .refused(refusal) }
            if let refusal = operation.validate() { throw .refused(refusal) }
            return .operation(try perform(operation, at: timestamp))
        case .compact(let revision):
            try compact(through: revision)
            return .compacted
        case .restoreBegin(let restoreID, let revision, let compactRevision):
            return .restore(try restoreBegin(restoreID, revision, compactRevision))
        case .restoreRows(let restoreID, let sequence, let rows):
            return .restore(try restoreRows(restoreID, sequence, rows))
        case .restoreFinish(let restoreID, let rowCount, let digest):
            return .restore(try restoreFinish(restoreID, rowCount, digest))
        case .restoreActivate(let restoreID):
            return .restore(try restoreActivate(restoreID, at: timestamp))
        }
    }

    /// Raises the floor that reads of past revisions are held against. Removes nothing.
    private func compact(through revision: Revision) throws(RecordReadFailure) {
        if let refusal = state.refusal { throw .refused(refusal) }
        if revision <= state.compactRevision {
            throw .refused(.compacted(floor: state.compactRevision))
        }
        if revision > state.revision {
            throw .refused(.futureRevision(current: state.revision))
        }
        state.compactRevision = revision
        state.digest.add(Effect.compact)
        state.digest.add(UInt64(bitPattern: revision.rawValue))
    }

    // MARK: Operations

    /// The shard as the operation in hand sees it now.
    var shard: ShardView {
        ShardView(
            layout: layout, tables: tables,
            revision: changeCount == 0 ? state.revision : state.revision.next,
            compactRevision: state.compactRevision)
    }

    private func perform(
        _ operation: Operation, at timestamp: HybridTimestamp
    ) throws(RecordReadFailure) -> OperationResult {
        changeCount = 0
        let result: OperationResult
        switch operation {
        case .range(let request):
            result = .range(try shard.range(request))
        case .put(let request):
            if request.lease != 0 { throw .refused(.leaseNotFound(request.lease)) }
            result = .put(previous: try put(request, at: timestamp))
        case .deleteRange(let request):
            result = try delete(request, at: timestamp)
        case .txn(let txn):
            let before = shard
            let path = try reading { () throws(RecordStoreError) in try before.path(of: txn) }
            var walk = path
            try checkPuts(txn, before, &walk)
            walk = path
            try before.checkRanges(txn, &walk)
            walk = path
            result = .txn(try perform(txn, &walk, at: timestamp))
        }
        if changeCount > 0 { state.revision = state.revision.next }
        changeCount = 0
        return result
    }

    private func perform(
        _ txn: TxnRequest, _ path: inout TxnPath, at timestamp: HybridTimestamp
    ) throws(RecordReadFailure) -> TxnResult {
        let succeeded = path.next()
        var results: [OperationResult] = []
        for operation in txn.operations(succeeded) {
            switch operation {
            case .range(let request):
                results.append(.range(try shard.range(request)))
            case .put(let request):
                results.append(.put(previous: try put(request, at: timestamp)))
            case .deleteRange(let request):
                results.append(try delete(request, at: timestamp))
            case .txn(let nested):
                results.append(.txn(try perform(nested, &path, at: timestamp)))
            }
        }
        return TxnResult(succeeded: succeeded, results: results)
    }

    /// What would stop a put, checked for all before the first is made (etcd `checkRequestPut`).
    private func checkPuts(
        _ txn: TxnRequest, _ before: ShardView, _ path: inout TxnPath
    ) throws(RecordReadFailure) {
        for operation in txn.operations(path.next()) {
            switch operation {
            case .put(let request):
                if request.ignoresValue || request.ignoresLease {
                    let row = try reading { () throws(RecordStoreError) in
                        try before.newest(request.key)
                    }
                    if row == nil { throw .refused(.keyNotFound) }
                }
                if request.lease != 0 { throw .refused(.leaseNotFound(request.lease)) }
            case .txn(let nested): try checkPuts(nested, before, &path)
            case .range, .deleteRange: continue
            }
        }
    }

    private func put(
        _ request: PutRequest, at timestamp: HybridTimestamp
    ) throws(RecordReadFailure) -> Record? {
        let previous = try reading { () throws(RecordStoreError) in
            try shard.newest(request.key)
        }
        if previous == nil, request.ignoresValue || request.ignoresLease {
            throw .refused(.keyNotFound)
        }
        let revision = state.revision.next
        let record = Record(
            key: request.key,
            value: request.ignoresValue ? previous?.record.value ?? [] : request.value,
            createRevision: previous?.record.createRevision ?? revision, modRevision: revision,
            version: (previous?.record.version ?? 0) + 1,
            lease: request.ignoresLease ? previous?.record.lease ?? 0 : request.lease,
            timestamp: timestamp, terms: request.terms.sortedWithoutDuplicates())
        install(
            RecordVersion(
                key: request.key, modRevision: revision, subRevision: changeCount,
                timestamp: timestamp, kind: .put(record)),
            over: previous)
        changeCount += 1
        return request.wantsPrevious ? previous?.record : nil
    }

    private func delete(
        _ request: DeleteRangeRequest, at timestamp: HybridTimestamp
    ) throws(RecordReadFailure) -> OperationResult {
        do {
            return try deleting(request, at: timestamp)
        } catch {
            throw .store(error)
        }
    }

    private func deleting(
        _ request: DeleteRangeRequest, at timestamp: HybridTimestamp
    ) throws(RecordStoreError) -> OperationResult {
        var keys: [Bytes] = []
        if request.range.end == .single {
            keys = [request.range.lower]
        } else {
            let cursor = try tables.cursor(layout.current(in: request.range))
            while let raw = cursor.key {
                keys.append(try layout.key(ofCurrent: raw))
                try cursor.advance()
            }
        }
        var deleted = 0
        var previous: [Record] = []
        for key in keys {
            guard let row = try shard.newest(key) else { continue }
            install(
                RecordVersion(
                    key: key, modRevision: state.revision.next, subRevision: changeCount,
                    timestamp: timestamp, kind: .deletion),
                over: row)
            changeCount += 1
            deleted += 1
            if request.wantsPrevious { previous.append(row.record) }
        }
        return .deleteRange(deleted: deleted, previous: previous)
    }
}
