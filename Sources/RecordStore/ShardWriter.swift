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
    /// What watchers are to be told; nil when nobody watches.
    var changes: ShardChanges?
    /// What the entry in hand has done to leases so far.
    var leaseChanges: [LeaseChange] = []
    /// Changes that the operation in hand has made so far.
    private var changeCount: UInt32 = 0
    /// What its changes may still take, of `limits.changeBytesMax`.
    private var changeRoom: Int
    private var answerRoom: AnswerRoom
    /// Of the answers to all commands so far.
    private(set) var answerBytes = 0

    private let limits: CommandLimits

    init(
        layout: KeyLayout, view: any ReadView, state: AppliedState, limits: CommandLimits,
        capturing: Bool = false
    ) {
        self.layout = layout
        self.state = state
        self.limits = limits
        changeRoom = limits.changeBytesMax
        answerRoom = AnswerRoom(limits.answers)
        if capturing { changes = ShardChanges(from: state) }
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
        let eventCount = changes?.events.count ?? 0
        let result = try run(command.body, at: entry.timestamp)
        changes?.commandEnded(count: eventCount, state: state)
        let outcome = CommandOutcome(
            revision: state.revision, timestamp: entry.timestamp, result: result)
        return AppliedEntry(
            index: entry.index, proposalID: command.id, outcome: outcome,
            leaseChanges: leaseChanges)
    }

    private func run(
        _ body: Command.Body, at timestamp: HybridTimestamp
    ) throws(RecordStoreError) -> Result<CommandResult, CommandRefusal> {
        let before = state
        pending.beginCommand()
        leaseChanges = []
        do {
            return .success(try perform(body, at: timestamp))
        } catch {
            switch error {
            case .store(let failure): throw failure
            case .refused(let refusal):
                pending.rollback()
                state = before
                leaseChanges = []
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
        case .lease(let command):
            return .lease(try perform(command, at: timestamp))
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

    /// What `body` changes is one change of the shard, at one revision, whatever its size: the end of
    /// a lease must not be refused because it holds many keys.
    func changing<Result>(
        _ body: () throws(RecordReadFailure) -> Result
    ) throws(RecordReadFailure) -> Result {
        changeCount = 0
        changeRoom = .max
        let result = try body()
        if changeCount > 0 { state.revision = state.revision.next }
        changeCount = 0
        return result
    }

    private func perform(
        _ operation: Operation, at timestamp: HybridTimestamp
    ) throws(RecordReadFailure) -> OperationResult {
        changeCount = 0
        changeRoom = limits.changeBytesMax
        answerRoom = AnswerRoom(limits.answers)
        defer { answerBytes += limits.answers.bytesMax - answerRoom.left }
        let result: OperationResult
        switch operation {
        case .range(let request):
            result = .range(try shard.range(request, &answerRoom))
        case .put(let request):
            try checkLease(of: request)
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
                results.append(.range(try shard.range(request, &answerRoom)))
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
                try checkLease(of: request)
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
        try change(request.key, to: .put(record), at: timestamp, over: previous)
        moveKey(
            request.key, from: previous?.record.lease ?? 0, to: record.lease,
            names: request.lease != 0)
        guard request.wantsPrevious, let previous else { return nil }
        try answerRoom.take(previous.record)
        return previous.record
    }

    func delete(
        _ request: DeleteRangeRequest, at timestamp: HybridTimestamp
    ) throws(RecordReadFailure) -> OperationResult {
        var deleted = 0
        var previous: [Record] = []
        for key in try keys(in: request.range) {
            let found = try reading { () throws(RecordStoreError) in try shard.newest(key) }
            guard let row = found else { continue }
            try change(key, to: .deletion, at: timestamp, over: row)
            moveKey(key, from: row.record.lease, to: 0)
            deleted += 1
            if request.wantsPrevious {
                try answerRoom.take(row.record)
                previous.append(row.record)
            }
        }
        return .deleteRange(deleted: deleted, previous: previous)
    }

    /// Keys to delete, all of them before the first is: more than could be deleted within the
    /// command's limit are not gathered.
    private func keys(in range: KeyRange) throws(RecordReadFailure) -> [Bytes] {
        if range.end == .single { return [range.lower] }
        var keys: [Bytes] = []
        var room = changeRoom
        let cursor = try reading { () throws(RecordStoreError) in
            try tables.cursor(layout.current(in: range))
        }
        while let raw = cursor.key {
            let key = try reading { () throws(RecordStoreError) in
                try layout.key(ofCurrent: raw)
            }
            room -= Self.changeBytes(key, nil, nil)
            guard room >= 0 else { throw changeTooLarge }
            keys.append(key)
            try reading { () throws(RecordStoreError) in try cursor.advance() }
        }
        return keys
    }

    // MARK: Changes

    /// Memory that each change takes beside the bytes of key and records: up to four rows, in what
    /// is pending and in the engine's batch.
    private static let changeOverheadBytes = 512

    private var changeTooLarge: RecordReadFailure {
        .refused(.changeTooLarge(limit: limits.changeBytesMax))
    }

    /// What a change counts for: of what it says alone, and not of how rows are encoded, which a
    /// replica may have done with an earlier version.
    private static func changeBytes(_ key: Bytes, _ old: Record?, _ new: Record?) -> Int {
        var bytes = changeOverheadBytes + 4 * key.count
        for record in [old, new].compactMap(\.self) {
            bytes += record.answerBytes + record.terms.count * key.count
        }
        return bytes
    }

    /// The next change of the operation in hand.
    private func change(
        _ key: Bytes, to kind: RecordVersion.Kind, at timestamp: HybridTimestamp,
        over previous: StoredRow?
    ) throws(RecordReadFailure) {
        var new: Record?
        if case .put(let record) = kind { new = record }
        changeRoom -= Self.changeBytes(key, previous?.record, new)
        guard changeRoom >= 0 else { throw changeTooLarge }
        install(
            RecordVersion(
                key: key, modRevision: state.revision.next, subRevision: changeCount,
                timestamp: timestamp, kind: kind),
            over: previous)
        changeCount += 1
    }
}
