import RocksDBShim
import StorageEngine

/// Throws what the status of a call on an open store means, unless it is success.
func check(
    _ status: rocksdb_shim_status, _ directory: @autoclosure () -> String
) throws(StorageError) {
    if let failure = failure(status) { throw failure.inUse(directory()) }
}

/// Releases the status.
/// - Returns: nil is success.
func failure(_ status: rocksdb_shim_status) -> RocksDBFailure? {
    guard status.code != UInt8(rocksdb_shim_ok) else { return nil }
    var status = status
    defer { rocksdb_shim_status_free(&status) }
    return RocksDBFailure(
        code: Int(status.code), subcode: Int(status.subcode),
        message: status.message.map { String(cString: $0) } ?? "code \(status.code)")
}

/// A status of RocksDB's that is not success. The one place where its codes get their meaning.
struct RocksDBFailure {
    var code: Int
    var subcode: Int
    var message: String

    func inUse(_ directory: String) -> StorageError {
        switch code {
        case rocksdb_shim_corruption:
            .corruption(
                "\(directory) cannot be trusted: keep this node stopped and the other members running (\(message))"
            )
        case rocksdb_shim_io_error where isNoSpace:
            .noSpace("no space for \(directory): make room and start again (\(message))")
        default:
            .inputOutput("\(directory): \(message)")
        }
    }

    func whileOpening(_ directory: String, _ found: rocksdb_shim_found) -> StorageError {
        switch code {
        case rocksdb_shim_corruption where found == rocksdb_shim_found_nothing:
            .corruption("\(directory) holds no store, and there should be one: restore the files")
        case rocksdb_shim_io_error where isLock:
            .locked("\(directory) is open in another process: stop it first (\(message))")
        case rocksdb_shim_io_error
        where subcode == rocksdb_shim_subcode_path_not_found
            && found == rocksdb_shim_found_database:
            .corruption(
                "files of \(directory) are missing: keep this node stopped and the other members running (\(message))"
            )
        case rocksdb_shim_invalid_argument, rocksdb_shim_not_supported:
            .incompatible("\(directory) is not a store that this program reads (\(message))")
        default:
            inUse(directory)
        }
    }

    private var isNoSpace: Bool {
        subcode == rocksdb_shim_subcode_no_space || subcode == rocksdb_shim_subcode_space_limit
    }

    /// RocksDB has no code for a lock that is held. The second is its message when the holder is
    /// this process; the tests hold both.
    private var isLock: Bool {
        message.contains("While lock file") || message.contains("lock hold by current process")
    }
}
