import Primitives
import Synchronization

/// An engine whose disk is memory, for tests and simulation. Everything it does is decided by its
/// caller: nothing happens by time or chance. Shared between threads, under one lock. Costs are
/// those of `SortedBytesMap`, fit for some 100,000 keys: a view costs nothing, the first commit
/// after it some 20 µs.
///
/// Fault model. It keeps what RocksDB without a write-ahead log keeps, and fails as it fails. Each
/// outcome that a corpus of damaged RocksDB directories shows (docs/formats/storage-damage.md) can
/// be brought about:
/// - A crash keeps a prefix of the committed batches that holds at least what the last `flush` and
///   `writeBack` covered. A batch is never torn, and the prefix has no holes.
/// - Bytes reach the disk without a flush too: `writeBack` is a memtable written in the background.
///   It happens by itself when `unflushedBatchesMax` batches wait.
/// - An injected error fails one call. A failed commit changes nothing. After a failed commit,
///   flush, write-back or compaction every later commit and flush fails in the same way until the
///   engine is opened again, as after RocksDB's background errors; reads go on, and nothing more
///   reaches the disk.
/// - On a full disk (`fillDisk`) flushes, write-backs and opening fail; commits go to memory until
///   the first of these has failed. Room alone (`freeSpace`) mends nothing: it must be opened again.
/// - The disk can be damaged while the engine runs or is stopped (`MemoryEngine+Damage.swift`): one
///   value, a block of adjacent keys, all of it; keys lost and values stale in silence, a flush lost
///   in silence, with older values and deleted keys back; the whole disk as it was some flushes ago; a store that
///   refuses to open. `MemoryDamage` names them, for injection by chance.
/// - What is damaged is found by whoever reads it: an error from `value(for:)`, and from an iterator
///   that would step on it. Views made before the damage read on, as from a block cache. What was
///   committed since is read; an iterator still fails at a damaged block, whatever was written over
///   it, because it must read the block to pass it.
/// - `compact` reads all, as a compaction in the background may at any time: it finds every damage.
/// - With `verifiesChecksums` off, damaged values are returned as they are, with flipped bits: what
///   a store above must then find by itself.
///
/// Not modelled: time (a slow disk is the caller's delay around a call, a stall its waiting), keys
/// that become other keys, damage that mends itself or spreads by a compaction. Of a key that is not
/// there RocksDB may need a damaged block to say so, and fail: here it always says so.
package final class MemoryEngine: StorageEngine {
    /// Calls that can be made to fail.
    package enum FaultPoint: Hashable, Sendable {
        case commit
        case flush
        /// `value(for:)`, `persistedValue(for:)`, and each positioning of an iterator.
        case read
        /// Each positioning of an iterator.
        case iterate
    }

    struct State {
        /// What is committed: what is on the disk, and `unflushed` over it.
        var current = SortedBytesMap()
        var disk = MemoryDisk()
        var unflushed: [WriteBatch] = []
        var injections: [Injection] = []
        /// Set by the first failed write.
        var failure: StorageError?
        /// By `close` or a loss of power.
        var isStopped = false
    }

    struct Injection {
        var point: FaultPoint
        var error: StorageError
        var callsBefore: Int
    }

    let state: Mutex<State>
    let verifiesChecksums: Bool
    let unflushedBatchesMax: Int

    /// - Parameter unflushedBatchesMax: at this many batches that a crash could lose, all are
    ///   written back.
    package init(verifiesChecksums: Bool = true, unflushedBatchesMax: Int = 10_000) {
        precondition(unflushedBatchesMax > 0, "unflushedBatchesMax is \(unflushedBatchesMax)")
        self.verifiesChecksums = verifiesChecksums
        self.unflushedBatchesMax = unflushedBatchesMax
        state = Mutex(State())
    }

    /// The successor of an engine that was stopped, over what is left.
    init(of disk: MemoryDisk, like other: MemoryEngine) {
        verifiesChecksums = other.verifiesChecksums
        unflushedBatchesMax = other.unflushedBatchesMax
        state = Mutex(State(current: disk.image.entries, disk: disk))
    }

    package func commit(_ batch: WriteBatch) throws(StorageError) {
        try withState { state throws(StorageError) in
            if batch.isEmpty { return }
            try state.write(.commit)
            state.current.apply(batch)
            state.unflushed.append(batch)
            // What fails in the background is told to the next call.
            if state.unflushed.count >= unflushedBatchesMax {
                state.writeBack(state.unflushed.count)
            }
        }
    }

    package func makeReadView() throws(StorageError) -> any ReadView {
        try withState { state throws(StorageError) in
            MemoryReadView(
                engine: self, entries: state.current, blocks: state.disk.image.blocks)
        }
    }

    package func flush() throws(StorageError) {
        try withState { state throws(StorageError) in try state.flush() }
    }

    package func persistedValue(for key: Bytes) throws(StorageError) -> Bytes? {
        try withState { state throws(StorageError) in
            try state.read(.read)
            return try checkedValue(of: state.disk.image.entries.entry(for: key))
        }
    }

    package func close() throws(StorageError) {
        try withState { state throws(StorageError) in
            state.isStopped = true
            try state.flush()
        }
    }

    /// The oldest unflushed batches reach the disk, as when a memtable is full.
    package func writeBack(batches: Int) {
        state.withLock { state in
            precondition(
                (0...state.unflushed.count).contains(batches),
                "writeBack of \(batches) of \(state.unflushed.count) batches")
            state.writeBack(batches)
        }
    }

    /// How many batches a crash could lose.
    package var unflushedBatches: Int { state.withLock { $0.unflushed.count } }

    /// What commits and flushes throw from now on, if one has failed.
    package var writeFailure: StorageError? { state.withLock { $0.failure } }

    /// Makes one call fail.
    /// - Parameter callsBefore: how many calls of this kind succeed first.
    package func inject(_ error: StorageError, at point: FaultPoint, after callsBefore: Int = 0) {
        state.withLock {
            $0.injections.append(
                Injection(point: point, error: error, callsBefore: callsBefore))
        }
    }

    // Shared with its views and iterators.

    /// Throws the error injected for a read, if it is due.
    func read(_ point: FaultPoint) throws(StorageError) {
        try withState { state throws(StorageError) in try state.read(point) }
    }

    func checkedValue(of entry: SortedBytesMap.Entry?) throws(StorageError) -> Bytes? {
        guard let entry else { return nil }
        if verifiesChecksums, let damage = entry.damage { throw damage }
        return entry.value
    }

    private func withState<Result: Sendable>(
        _ body: (inout State) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        let result = state.withLock { state -> Swift.Result<Result, StorageError> in
            precondition(!state.isStopped, "MemoryEngine: used after close or crash")
            do throws(StorageError) {
                return .success(try body(&state))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

extension MemoryEngine.State {
    /// To be called before a commit or a flush changes anything.
    mutating func write(_ point: MemoryEngine.FaultPoint) throws(StorageError) {
        if let failure { throw failure }
        failure = due([point])
        if let failure { throw failure }
    }

    mutating func flush() throws(StorageError) {
        try write(.flush)
        writeBack(unflushed.count)
        if let failure { throw failure }
    }

    mutating func read(_ point: MemoryEngine.FaultPoint) throws(StorageError) {
        if let error = due(point == .read ? [.read] : [.read, point]) { throw error }
    }

    /// The injected error that fails this call, which counts as one of each point.
    private mutating func due(_ points: [MemoryEngine.FaultPoint]) -> StorageError? {
        for i in injections.indices where points.contains(injections[i].point) {
            if injections[i].callsBefore == 0 { return injections.remove(at: i).error }
            injections[i].callsBefore -= 1
        }
        return nil
    }

    /// The oldest batches reach the disk, or the engine has failed.
    mutating func writeBack(_ batches: Int) {
        if failure != nil { return }
        if disk.isFull {
            failure = MemoryDisk.noSpace
            return
        }
        disk.persist(
            unflushed.prefix(batches), result: batches == unflushed.count ? current : nil)
        unflushed.removeFirst(batches)
    }

    /// After the disk has changed beneath the batches that it does not hold.
    mutating func rebuildCurrent() {
        current = disk.image.entries
        for batch in unflushed { current.apply(batch) }
    }
}
