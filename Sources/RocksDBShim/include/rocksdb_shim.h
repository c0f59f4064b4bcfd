// A C face for the part of RocksDB 7.8 that the store uses.
//
// The C API that RocksDB ships reports errors as text only, and lacks calls that the store needs.
// A handle of that API cannot be shared with C++ code, so this shim opens the database itself and
// is the only door: every call that can fail returns a code.
//
// Obligations of the caller, who is `RocksDBEngine`:
// - `rocksdb_shim_db` outlives its views, and a view outlives its iterators.
// - Nothing but `..._free` is called on any handle of a database once it is closed.
// - A database and a view may be used from several threads; a batch and an iterator by one.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The outcome of a call. `code` zero is success. Numbers are those of `rocksdb::Status`: they are
/// part of its ABI, and the implementation checks the ones named here at compile time.
typedef struct rocksdb_shim_status {
    uint8_t code;
    uint8_t subcode;
    uint8_t severity;
    /// Null on success, else a C string to be released with `rocksdb_shim_status_free`.
    char *message;
} rocksdb_shim_status;

enum {
    rocksdb_shim_ok = 0,
    rocksdb_shim_corruption = 2,
    rocksdb_shim_not_supported = 3,
    rocksdb_shim_invalid_argument = 4,
    rocksdb_shim_io_error = 5,
};

enum {
    rocksdb_shim_subcode_no_space = 4,
    rocksdb_shim_subcode_space_limit = 8,
    rocksdb_shim_subcode_path_not_found = 9,
};

void rocksdb_shim_status_free(rocksdb_shim_status *status);

/// Compression types, numbered as in RocksDB's files.
enum {
    rocksdb_shim_compression_none = 0,
    rocksdb_shim_compression_lz4 = 4,
    rocksdb_shim_compression_zstd = 7,
};

/// Whether the linked library can read and write the given compression.
bool rocksdb_shim_supports_compression(int32_t compression);

/// How a database is opened. Everything that is not here is fixed in the implementation.
typedef struct rocksdb_shim_settings {
    /// Make an empty database where there is none.
    bool create_if_missing;
    /// Bytes of uncompressed blocks, indexes and filters kept in memory.
    size_t block_cache_bytes;
    /// Bytes of one memtable, and how many may exist before writes wait for a flush.
    size_t memtable_bytes;
    int32_t memtable_count;
    /// Compression of all levels but the last, and of the last.
    int32_t compression;
    int32_t bottommost_compression;
    /// Bits per key of each table's Bloom filter over whole keys; zero is no filter.
    double bloom_bits_per_key;
    /// Uncompressed bytes of a block: the unit of checksums and of reads.
    size_t block_bytes;
    /// RocksDB's version of the table file format.
    uint32_t table_format_version;
    /// Files of level 0 that start a compaction.
    int32_t level0_compaction_trigger;
    /// Deletions among so many entries that follow each other, that make a table be merged.
    size_t deletion_window;
    size_t deletion_trigger;
    /// Threads for flushes and compactions together.
    int32_t background_jobs;
    /// Table files held open; -1 is all of them.
    int32_t open_files_max;
} rocksdb_shim_settings;

typedef struct rocksdb_shim_db rocksdb_shim_db;
typedef struct rocksdb_shim_batch rocksdb_shim_batch;
typedef struct rocksdb_shim_view rocksdb_shim_view;
typedef struct rocksdb_shim_iterator rocksdb_shim_iterator;

/// What `rocksdb_shim_open` found before it opened anything.
typedef enum rocksdb_shim_found {
    /// No database, and no trace of one that held data.
    rocksdb_shim_found_nothing = 0,
    /// A database: the file CURRENT is there.
    rocksdb_shim_found_database = 1,
    /// Files of a database that was in use, without CURRENT. Not opened: RocksDB would make a new
    /// database in their place and remove them.
    rocksdb_shim_found_remains = 2,
} rocksdb_shim_found;

/// Opens the database in a directory. The parent of the directory must exist; a new directory's
/// entry in it is made durable.
/// - found: always set.
/// - db: set on success only, to be released with `rocksdb_shim_db_free`.
rocksdb_shim_status rocksdb_shim_open(
    const char *path, const rocksdb_shim_settings *settings, rocksdb_shim_found *found,
    rocksdb_shim_db **db);

/// Releases every snapshot and iterator, joins the threads and releases the directory's lock. Does
/// not flush. The handles stay valid for their `..._free` calls only.
rocksdb_shim_status rocksdb_shim_close(rocksdb_shim_db *db);

/// Closes if that was not done, ignoring its outcome, and releases the handle.
void rocksdb_shim_db_free(rocksdb_shim_db *db);

/// A batch with room for the given number of bytes.
rocksdb_shim_batch *rocksdb_shim_batch_new(size_t reserved_bytes);
/// These copy what they are given.
void rocksdb_shim_batch_put(
    rocksdb_shim_batch *batch, const void *key, size_t key_count, const void *value,
    size_t value_count);
void rocksdb_shim_batch_delete(rocksdb_shim_batch *batch, const void *key, size_t key_count);
/// Half-open. `from` must be below `to`.
void rocksdb_shim_batch_delete_range(
    rocksdb_shim_batch *batch, const void *from, size_t from_count, const void *to,
    size_t to_count);
void rocksdb_shim_batch_free(rocksdb_shim_batch *batch);

/// Writes the batch to the memtable, without a write-ahead log. May wait while flushes or
/// compactions are behind. After a background error it returns that error, for good.
rocksdb_shim_status rocksdb_shim_write(rocksdb_shim_db *db, rocksdb_shim_batch *batch);

/// Writes all memtables to tables and returns when tables and MANIFEST are on stable storage.
rocksdb_shim_status rocksdb_shim_flush(rocksdb_shim_db *db);

/// Receives a value, at most once, before the call that it was passed to returns. The bytes are
/// valid only while it runs.
typedef void (*rocksdb_shim_value_sink)(void *context, const void *bytes, size_t count);

/// Reads a key from tables only, passing over memtables. Success without a call of the sink: there
/// is no such key.
rocksdb_shim_status rocksdb_shim_get_persisted(
    rocksdb_shim_db *db, const void *key, size_t key_count, rocksdb_shim_value_sink sink,
    void *context);

/// Reads every block of every table and compares its checksum.
rocksdb_shim_status rocksdb_shim_verify_checksums(rocksdb_shim_db *db);

/// A number of RocksDB's, such as `rocksdb.total-sst-files-size`; zero when it has none of that
/// name.
uint64_t rocksdb_shim_int_property(rocksdb_shim_db *db, const char *name);

/// A snapshot: what is committed now.
rocksdb_shim_view *rocksdb_shim_view_new(rocksdb_shim_db *db);
void rocksdb_shim_view_free(rocksdb_shim_view *view);

/// As `rocksdb_shim_get_persisted`, at the view's moment.
rocksdb_shim_status rocksdb_shim_view_get(
    rocksdb_shim_view *view, const void *key, size_t key_count, rocksdb_shim_value_sink sink,
    void *context);

/// An iterator over the keys from `lower` to below `upper`, which counts if `bounded`. Copies the
/// bounds. `lower` must not be above `upper`.
rocksdb_shim_iterator *rocksdb_shim_iterator_new(
    rocksdb_shim_view *view, const void *lower, size_t lower_count, bool bounded,
    const void *upper, size_t upper_count);
void rocksdb_shim_iterator_free(rocksdb_shim_iterator *iterator);

/// To the first key in bounds that is not below the given one.
void rocksdb_shim_iterator_seek(
    rocksdb_shim_iterator *iterator, const void *key, size_t key_count);
/// To the last key in bounds that is not above the given one.
void rocksdb_shim_iterator_seek_backwards(
    rocksdb_shim_iterator *iterator, const void *key, size_t key_count);
bool rocksdb_shim_iterator_is_valid(const rocksdb_shim_iterator *iterator);
/// These need a valid iterator. The bytes are valid until it moves.
void rocksdb_shim_iterator_next(rocksdb_shim_iterator *iterator);
void rocksdb_shim_iterator_previous(rocksdb_shim_iterator *iterator);
const uint8_t *rocksdb_shim_iterator_key(const rocksdb_shim_iterator *iterator, size_t *count);
const uint8_t *rocksdb_shim_iterator_value(const rocksdb_shim_iterator *iterator, size_t *count);
/// Why the iterator is not valid: success at the end of its range.
rocksdb_shim_status rocksdb_shim_iterator_status(const rocksdb_shim_iterator *iterator);

#ifdef __cplusplus
}
#endif
