import Primitives
import RocksDBShim
import StorageEngine

/// A RocksDB snapshot. Holds the engine, so that dropping the engine does not end it; closing does.
final class RocksDBReadView: ReadView {
    let engine: RocksDBEngine
    /// Safe to share: a snapshot does not change.
    nonisolated(unsafe) let handle: OpaquePointer

    init(engine: RocksDBEngine) {
        self.engine = engine
        handle = rocksdb_shim_view_new(engine.handle)
    }

    deinit { rocksdb_shim_view_free(handle) }

    func value(for key: Bytes) throws(StorageError) -> Bytes? {
        engine.requireOpen()
        return try readValue(directory: engine.directory) { sink, context in
            key.withUnsafeBytes {
                rocksdb_shim_view_get(handle, $0.baseAddress, $0.count, sink, context)
            }
        }
    }

    func makeIterator(lower: Bytes, upper: Bytes?) throws(StorageError) -> any EngineIterator {
        engine.requireOpen()
        return RocksDBIterator(view: self, lower: lower, upper: upper)
    }
}
