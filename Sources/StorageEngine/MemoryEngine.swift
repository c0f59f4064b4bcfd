import Primitives
import Synchronization

/// An engine whose disk is memory, for tests and simulation. Everything it does is decided by its
/// caller: nothing happens by time or chance. Shared between threads, under one lock. Costs are
/// those of `SortedBytesMap`, fit for some 100,000 keys: a view costs nothing, the first commit
/// after it some 20 µs.
///
/// Fault model. It keeps what RocksDB without a write-ahead log keeps, and fails as it fails:
/// - A crash keeps a prefix of the committed batches that holds at least what the last `flush` and
///   `writeBack` covered. A batch is never torn, and the prefix has no holes.
/// - Bytes reach the disk without a flush too: `writeBack` is a memtable written in the background.
///   It happens by itself when `unflushedBatchesMax` batches wait.
/// - An injected error fails one call. A failed commit changes nothing. After a failed commit or
///   flush every later one fails in the same way until `restart` or `crash`, as after RocksDB's
///   background errors; reads go on.
/// - A damaged value is found by whoever reads it: `.corruption`, from an iterator that stands on
///   it too. Views made before the damage still read the value, as from a block cache. A put or a
///   delete of the key ends the damage.
/// - With `verifiesChecksums` off, damaged values are returned as they are: what a store above must
///   then find by itself.
/// Not modelled: damage to keys, to whole blocks or to files, a slow disk, lost flushes.
package final class MemoryEngine: StorageEngine {
    /// Calls that can be made to fail.
    package enum FaultPoint: Hashable, Sendable {
        case commit
        case flush
        /// `value(for:)`, `persistedValue(for:)`, and each positioning of an iterator.
        case read
    }

    fileprivate struct State {
        /// What is committed.
        var current = SortedBytesMap()
        /// What is on stable storage: `current` without `unflushed`.
        var persisted = SortedBytesMap()
        var unflushed: [WriteBatch] = []
        var injections: [Injection] = []
        /// Set by the first failed commit or flush.
        var failure: StorageError?
        var isClosed = false
    }

    fileprivate struct Injection {
        var point: FaultPoint
        var error: StorageError
        var callsBefore: Int
    }

    private let state: Mutex<State>
    private let verifiesChecksums: Bool
    private let unflushedBatchesMax: Int

    /// - Parameter unflushedBatchesMax: at this many batches that a crash could lose, all are
    ///   written back.
    package init(verifiesChecksums: Bool = true, unflushedBatchesMax: Int = 10_000) {
        precondition(unflushedBatchesMax > 0, "unflushedBatchesMax is \(unflushedBatchesMax)")
        self.verifiesChecksums = verifiesChecksums
        self.unflushedBatchesMax = unflushedBatchesMax
        state = Mutex(State())
    }

    /// The successor of an engine that was closed or crashed, over what is left.
    private init(of disk: SortedBytesMap, like other: MemoryEngine) {
        verifiesChecksums = other.verifiesChecksums
        unflushedBatchesMax = other.unflushedBatchesMax
        state = Mutex(State(current: disk, persisted: disk))
    }

    package func commit(_ batch: WriteBatch) throws(StorageError) {
        try withState { state throws(StorageError) in
            if batch.isEmpty { return }
            try state.write(.commit)
            state.current.apply(batch)
            state.unflushed.append(batch)
            if state.unflushed.count >= unflushedBatchesMax { state.persistAll() }
        }
    }

    package func makeReadView() throws(StorageError) -> any ReadView {
        try withState { state throws(StorageError) in
            MemoryReadView(engine: self, entries: state.current)
        }
    }

    package func flush() throws(StorageError) {
        try withState { state throws(StorageError) in
            try state.write(.flush)
            state.persistAll()
        }
    }

    package func persistedValue(for key: Bytes) throws(StorageError) -> Bytes? {
        try withState { state throws(StorageError) in
            try state.read()
            return try checkedValue(of: state.persisted.entry(for: key))
        }
    }

    package func close() throws(StorageError) {
        try withState { state throws(StorageError) in
            state.isClosed = true
            try state.write(.flush)
            state.persistAll()
        }
    }

    /// Opens again what `close` left. The engine must be closed.
    package func restart() -> MemoryEngine {
        state.withLock { state in
            precondition(state.isClosed, "MemoryEngine: restart of an engine that is open")
            return MemoryEngine(of: state.persisted, like: self)
        }
    }

    /// Stops the engine as a loss of power would, and opens what is left of it.
    ///
    /// - Parameter seed: decides how many of the unflushed batches reached the disk.
    package func crash(seed: UInt64) -> MemoryEngine {
        var generator = SeededGenerator(seed: seed)
        return state.withLock { state in
            precondition(!state.isClosed, "MemoryEngine: crash of an engine that is closed")
            state.isClosed = true
            state.persist(Int.random(in: 0...state.unflushed.count, using: &generator))
            return MemoryEngine(of: state.persisted, like: self)
        }
    }

    /// The oldest unflushed batches reach the disk, as when a memtable is full.
    package func writeBack(batches: Int) {
        state.withLock { state in
            precondition(
                (0...state.unflushed.count).contains(batches),
                "writeBack of \(batches) of \(state.unflushed.count) batches")
            state.persist(batches)
        }
    }

    /// How many batches a crash could lose.
    package var unflushedBatches: Int { state.withLock { $0.unflushed.count } }

    /// Makes one call fail.
    /// - Parameter callsBefore: how many calls of this kind succeed first.
    package func inject(_ error: StorageError, at point: FaultPoint, after callsBefore: Int = 0) {
        state.withLock {
            $0.injections.append(
                Injection(point: point, error: error, callsBefore: callsBefore))
        }
    }

    /// Flips one bit of a value that is on stable storage.
    ///
    /// - Parameter bit: taken modulo the bits of the value. An empty value is damaged all the same.
    /// - Returns: false when no such value is there, or a newer one is in memory.
    package func damageValue(for key: Bytes, bit: Int = 0) -> Bool {
        state.withLock { state in
            guard var entry = state.persisted.entry(for: key),
                state.current.entry(for: key)?.value == entry.value
            else { return false }
            if !entry.value.isEmpty {
                let bit = bit % (entry.value.count * 8)
                entry.value[bit / 8] ^= 1 << (bit % 8)
            }
            entry.isDamaged = true
            state.persisted.put(entry)
            state.current.put(entry)
            return true
        }
    }

    // Shared with its views and iterators.

    /// Throws the error injected for a read, if it is due.
    func read() throws(StorageError) {
        try withState { state throws(StorageError) in try state.read() }
    }

    func checkedValue(of entry: SortedBytesMap.Entry?) throws(StorageError) -> Bytes? {
        guard let entry else { return nil }
        if entry.isDamaged && verifiesChecksums {
            throw .corruption("the value of key \(entry.key) does not match its checksum")
        }
        return entry.value
    }

    private func withState<Result: Sendable>(
        _ body: (inout State) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        let result = state.withLock { state -> Swift.Result<Result, StorageError> in
            precondition(!state.isClosed, "MemoryEngine: used after close or crash")
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
    fileprivate mutating func write(_ point: MemoryEngine.FaultPoint) throws(StorageError) {
        if let failure { throw failure }
        failure = due(point)
        if let failure { throw failure }
    }

    fileprivate mutating func read() throws(StorageError) {
        if let error = due(.read) { throw error }
    }

    /// The injected error that fails this call.
    private mutating func due(_ point: MemoryEngine.FaultPoint) -> StorageError? {
        for i in injections.indices where injections[i].point == point {
            if injections[i].callsBefore == 0 { return injections.remove(at: i).error }
            injections[i].callsBefore -= 1
        }
        return nil
    }

    fileprivate mutating func persist(_ batches: Int) {
        for batch in unflushed.prefix(batches) { persisted.apply(batch) }
        unflushed.removeFirst(batches)
    }

    fileprivate mutating func persistAll() {
        persisted = current
        unflushed.removeAll()
    }
}
