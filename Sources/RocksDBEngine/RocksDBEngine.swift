import Primitives
import RocksDBShim
import StorageEngine
import Synchronization

/// One RocksDB instance with one column family and no write-ahead log (DESIGN, decision 8). One
/// memtable at a time is filled, and memtables reach the disk in the order in which they were
/// filled: what is found after a crash is a prefix of the committed batches.
///
/// Calls block: a commit waits while `RocksDBSettings.memtableCount` memtables wait for the disk or
/// level 0 is too long, a flush waits for the disk. They belong on a thread that may wait.
///
/// After the first failure of a background flush or compaction every commit and flush throws that
/// failure, for a full disk `.noSpace`: RocksDB's own recovery is off. Reads go on. The owner drops
/// the engine or calls `close(flushing: false)`, cures the cause and opens it again.
///
/// An engine that is released without `close` stops as in a crash: memtables are lost.
package final class RocksDBEngine: StorageEngine {
    /// Where it lives, as it was given: for messages.
    package let directory: String

    /// Safe to share: RocksDB's database is, and the pointer never changes. Released in `deinit`,
    /// which comes after those of the views and iterators, as they hold the engine.
    nonisolated(unsafe) let handle: OpaquePointer

    private let isClosed = Atomic(false)

    /// Opens the store, or makes an empty one.
    ///
    /// - Parameter directory: the last component is created if needed, its parent is not.
    /// - Throws: `.locked` when another process or engine has it open; `.corruption` when files are
    ///   missing or do not match their checksums; `.incompatible` when it holds something else or
    ///   the settings ask for what the library was built without; `.noSpace`; `.inputOutput`.
    package static func open(
        directory: String, settings: RocksDBSettings = RocksDBSettings()
    ) throws(StorageError) -> RocksDBEngine {
        for compression in [settings.compression, settings.bottommostCompression] {
            if !rocksdb_shim_supports_compression(compression.number) {
                throw .incompatible("this RocksDB was built without \(compression)")
            }
        }
        var found = rocksdb_shim_found_nothing
        var handle: OpaquePointer?
        var shimSettings = settings.shim
        let status = rocksdb_shim_open(directory, &shimSettings, &found, &handle)
        if let failure = failure(status) { throw failure.whileOpening(directory, found) }
        guard let handle else { preconditionFailure("open succeeded without a handle") }
        return RocksDBEngine(directory: directory, handle: handle)
    }

    private init(directory: String, handle: OpaquePointer) {
        self.directory = directory
        self.handle = handle
    }

    deinit { rocksdb_shim_db_free(handle) }

    package func commit(_ batch: WriteBatch) throws(StorageError) {
        requireOpen()
        if batch.isEmpty { return }
        let shimBatch = ShimBatch(batch)
        try check(rocksdb_shim_write(handle, shimBatch.handle), directory)
    }

    package func makeReadView() throws(StorageError) -> any ReadView {
        requireOpen()
        return RocksDBReadView(engine: self)
    }

    package func flush() throws(StorageError) {
        requireOpen()
        try check(rocksdb_shim_flush(handle), directory)
    }

    package func persistedValue(for key: Bytes) throws(StorageError) -> Bytes? {
        requireOpen()
        return try readValue(directory: directory) { sink, context in
            key.withUnsafeBytes {
                rocksdb_shim_get_persisted(handle, $0.baseAddress, $0.count, sink, context)
            }
        }
    }

    package func close() throws(StorageError) { try close(flushing: true) }

    /// Releases files and threads, and the snapshots and iterators that are left. Whatever it
    /// throws, the engine is closed afterwards.
    ///
    /// - Parameter flushing: false leaves what was not flushed to the log, as a crash would.
    package func close(flushing: Bool) throws(StorageError) {
        let (first, _) = isClosed.compareExchange(
            expected: false, desired: true, ordering: .acquiringAndReleasing)
        precondition(first, "RocksDBEngine: closed twice")
        // Both outcomes are taken before either is thrown. A failed flush is the cause of what
        // follows it, so it goes first.
        let flushed = failure(flushing ? rocksdb_shim_flush(handle) : rocksdb_shim_status())
        let closed = failure(rocksdb_shim_close(handle))
        if let failure = flushed ?? closed { throw failure.inUse(directory) }
    }

    /// Reads every block of every table file and compares its checksum: as long as reading the
    /// whole store takes.
    ///
    /// - Throws: `.corruption` with the file and the offset.
    package func verifyChecksums() throws(StorageError) {
        requireOpen()
        try check(rocksdb_shim_verify_checksums(handle), directory)
    }

    /// Bytes of the table files of the current version, without files that views pin.
    package var diskBytes: UInt64 {
        requireOpen()
        return rocksdb_shim_int_property(handle, "rocksdb.live-sst-files-size")
    }

    /// Bytes of the memtables: what a crash now would leave to the log.
    package var memtableBytes: UInt64 {
        requireOpen()
        return rocksdb_shim_int_property(handle, "rocksdb.cur-size-all-mem-tables")
    }

    /// Whether tables are being merged in the background, or are about to be.
    package var isCompacting: Bool {
        requireOpen()
        return rocksdb_shim_int_property(handle, "rocksdb.compaction-pending") > 0
            || rocksdb_shim_int_property(handle, "rocksdb.num-running-compactions") > 0
    }

    func requireOpen() {
        precondition(!isClosed.load(ordering: .acquiring), "RocksDBEngine: used after close")
    }
}

/// Receives the value of a read, copied once.
///
/// - Parameter read: passes the sink and its context to a read of the shim.
func readValue(
    directory: @autoclosure () -> String,
    _ read: (rocksdb_shim_value_sink, UnsafeMutableRawPointer) -> rocksdb_shim_status
) throws(StorageError) -> Bytes? {
    var value: Bytes?
    let status = withUnsafeMutablePointer(to: &value) { target in
        read(
            { context, bytes, count in
                let found = UnsafeRawBufferPointer(start: bytes, count: count)
                context?.assumingMemoryBound(to: Bytes?.self).pointee = Bytes(found)
            }, UnsafeMutableRawPointer(target))
    }
    try check(status, directory())
    return value
}

/// A batch in RocksDB's representation. Keys and values are copied into it, once.
private struct ShimBatch: ~Copyable {
    let handle: OpaquePointer

    init(_ batch: borrowing WriteBatch) {
        // Twelve bytes of header, and per record a tag and two lengths of at most five bytes.
        var bytes = 12
        for operation in batch.operations {
            switch operation {
            case .put(let key, let value): bytes += 11 + key.count + value.count
            case .delete(let key): bytes += 6 + key.count
            case .deleteRange(let from, let to): bytes += 11 + from.count + to.count
            }
        }
        handle = rocksdb_shim_batch_new(bytes)
        for operation in batch.operations { append(operation) }
    }

    deinit { rocksdb_shim_batch_free(handle) }

    private func append(_ operation: WriteBatch.Operation) {
        switch operation {
        case .put(let key, let value):
            key.withUnsafeBytes { key in
                value.withUnsafeBytes { value in
                    rocksdb_shim_batch_put(
                        handle, key.baseAddress, key.count, value.baseAddress, value.count)
                }
            }
        case .delete(let key):
            key.withUnsafeBytes { rocksdb_shim_batch_delete(handle, $0.baseAddress, $0.count) }
        case .deleteRange(let from, let to):
            // RocksDB refuses a range whose end lies before its start, halfway through a batch.
            guard from.lexicographicallyPrecedes(to) else { return }
            from.withUnsafeBytes { from in
                to.withUnsafeBytes { to in
                    rocksdb_shim_batch_delete_range(
                        handle, from.baseAddress, from.count, to.baseAddress, to.count)
                }
            }
        }
    }
}

extension RocksDBSettings {
    fileprivate var shim: rocksdb_shim_settings {
        rocksdb_shim_settings(
            create_if_missing: createIfMissing, block_cache_bytes: blockCacheBytes,
            memtable_bytes: memtableBytes, memtable_count: Int32(memtableCount),
            compression: compression.number,
            bottommost_compression: bottommostCompression.number,
            bloom_bits_per_key: bloomBitsPerKey, block_bytes: blockBytes,
            table_format_version: tableFormatVersion,
            level0_compaction_trigger: Int32(level0CompactionTrigger),
            deletion_window: deletionWindow, deletion_trigger: deletionTrigger,
            background_jobs: Int32(backgroundJobs),
            open_files_max: openFilesMax.map(Int32.init) ?? -1)
    }
}

extension RocksDBSettings.Compression {
    fileprivate var number: Int32 {
        switch self {
        case .none: Int32(rocksdb_shim_compression_none)
        case .lz4: Int32(rocksdb_shim_compression_lz4)
        case .zstd: Int32(rocksdb_shim_compression_zstd)
        }
    }
}
