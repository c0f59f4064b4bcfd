import Primitives
import RocksDBShim
import StorageEngine

/// A RocksDB iterator. Holds the view, and with it the engine.
final class RocksDBIterator: EngineIterator {
    private let view: RocksDBReadView
    private let handle: OpaquePointer

    init(view: RocksDBReadView, lower: Bytes, upper: Bytes?) {
        self.view = view
        var upper = upper
        if let end = upper, end.lexicographicallyPrecedes(lower) { upper = lower }
        let bounded = upper != nil
        handle = lower.withUnsafeBytes { lower in
            (upper ?? []).withUnsafeBytes { upper in
                rocksdb_shim_iterator_new(
                    view.handle, lower.baseAddress, lower.count, bounded, upper.baseAddress,
                    upper.count)
            }
        }
    }

    deinit { rocksdb_shim_iterator_free(handle) }

    func seek(to key: Bytes) {
        view.engine.requireOpen()
        key.withUnsafeBytes { rocksdb_shim_iterator_seek(handle, $0.baseAddress, $0.count) }
    }

    func seekBackwards(to key: Bytes) {
        view.engine.requireOpen()
        key.withUnsafeBytes {
            rocksdb_shim_iterator_seek_backwards(handle, $0.baseAddress, $0.count)
        }
    }

    func next() {
        requireValid()
        rocksdb_shim_iterator_next(handle)
    }

    func previous() {
        requireValid()
        rocksdb_shim_iterator_previous(handle)
    }

    var isValid: Bool {
        view.engine.requireOpen()
        return rocksdb_shim_iterator_is_valid(handle)
    }

    var key: Bytes { Bytes(keyBytes) }

    var value: Bytes { Bytes(valueBytes) }

    func withKey<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(keyBytes.span)
    }

    func withValue<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(valueBytes.span)
    }

    func checkStatus() throws(StorageError) {
        view.engine.requireOpen()
        try check(rocksdb_shim_iterator_status(handle), view.engine.directory)
    }

    /// Valid until the iterator moves, as is `valueBytes`.
    private var keyBytes: UnsafeBufferPointer<UInt8> {
        requireValid()
        var count = 0
        let bytes = rocksdb_shim_iterator_key(handle, &count)
        return UnsafeBufferPointer(start: bytes, count: count)
    }

    private var valueBytes: UnsafeBufferPointer<UInt8> {
        requireValid()
        var count = 0
        let bytes = rocksdb_shim_iterator_value(handle, &count)
        return UnsafeBufferPointer(start: bytes, count: count)
    }

    private func requireValid() {
        precondition(isValid, "RocksDBIterator: used without a position")
    }
}
