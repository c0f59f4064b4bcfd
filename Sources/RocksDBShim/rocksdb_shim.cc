#include "rocksdb_shim.h"

#include "diagnostics_log.h"
#include "file_checks.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

using rocksdb::PinnableSlice;
using rocksdb::Slice;
using rocksdb::Status;

static_assert(int(rocksdb_shim_corruption) == int(Status::kCorruption), "code");
static_assert(int(rocksdb_shim_not_supported) == int(Status::kNotSupported), "code");
static_assert(int(rocksdb_shim_invalid_argument) == int(Status::kInvalidArgument), "code");
static_assert(int(rocksdb_shim_io_error) == int(Status::kIOError), "code");
static_assert(int(rocksdb_shim_subcode_no_space) == int(Status::kNoSpace), "subcode");
static_assert(int(rocksdb_shim_subcode_space_limit) == int(Status::kSpaceLimit), "subcode");
static_assert(int(rocksdb_shim_subcode_path_not_found) == int(Status::kPathNotFound), "subcode");
static_assert(int(rocksdb_shim_compression_lz4) == int(rocksdb::kLZ4Compression), "compression");
static_assert(int(rocksdb_shim_compression_zstd) == int(rocksdb::kZSTD), "compression");

namespace {

/// Keeps the first background error, and forbids RocksDB to recover from it: left alone it resumes
/// some seconds after a full disk has room again, and after an error that it calls soft it never
/// stops taking writes. Here the owner reopens, which is one way out instead of three.
class BackgroundErrors final : public rocksdb::EventListener {
   public:
    void OnBackgroundError(rocksdb::BackgroundErrorReason, Status *error) override {
        std::lock_guard<std::mutex> guard(mutex_);
        if (first_.ok()) first_ = *error;
    }

    void OnErrorRecoveryBegin(
        rocksdb::BackgroundErrorReason, Status, bool *auto_recovery) override {
        *auto_recovery = false;
    }

    Status first() {
        std::lock_guard<std::mutex> guard(mutex_);
        return first_;
    }

   private:
    std::mutex mutex_;
    Status first_;
};

Slice slice(const void *bytes, size_t count) {
    return bytes ? Slice(static_cast<const char *>(bytes), count) : Slice();
}

rocksdb_shim_status make_status(const Status &status) {
    if (status.ok()) return rocksdb_shim_status{0, 0, 0, nullptr};
    return rocksdb_shim_status{
        static_cast<uint8_t>(status.code()),
        static_cast<uint8_t>(status.subcode()),
        static_cast<uint8_t>(status.severity()),
        strdup(status.ToString().c_str()),
    };
}

/// The interpretation of a read's outcome that `get` functions share.
rocksdb_shim_status deliver(
    const Status &status, const PinnableSlice &value, rocksdb_shim_value_sink sink,
    void *context) {
    if (status.IsNotFound()) return make_status(Status::OK());
    if (status.ok()) sink(context, value.data(), value.size());
    return make_status(status);
}

rocksdb::Options make_options(
    const rocksdb_shim_settings &settings, std::shared_ptr<BackgroundErrors> errors) {
    rocksdb::BlockBasedTableOptions table;
    table.format_version = settings.table_format_version;
    table.checksum = rocksdb::kXXH3;
    table.block_size = settings.block_bytes;
    table.block_cache = rocksdb::NewLRUCache(settings.block_cache_bytes);
    // Indexes and filters count against the cache, so that memory does not grow with the data.
    table.cache_index_and_filter_blocks = true;
    table.cache_index_and_filter_blocks_with_high_priority = true;
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    table.whole_key_filtering = true;
    if (settings.bloom_bits_per_key > 0) {
        table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(settings.bloom_bits_per_key));
    }

    rocksdb::Options options;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.create_if_missing = settings.create_if_missing;
    options.paranoid_checks = true;
    options.verify_sst_unique_id_in_manifest = true;
    options.listeners.push_back(errors);
    options.max_bgerror_resume_count = 0;

    options.write_buffer_size = settings.memtable_bytes;
    options.max_write_buffer_number = settings.memtable_count;
    options.level0_file_num_compaction_trigger = settings.level0_compaction_trigger;
    // Writes are slowed and stopped by a backlog of level 0 a fixed distance above the trigger.
    options.level0_slowdown_writes_trigger = settings.level0_compaction_trigger + 16;
    options.level0_stop_writes_trigger = settings.level0_compaction_trigger + 32;
    options.level_compaction_dynamic_level_bytes = true;
    options.compression = static_cast<rocksdb::CompressionType>(settings.compression);
    options.bottommost_compression =
        static_cast<rocksdb::CompressionType>(settings.bottommost_compression);
    // A table in which deletions stand close is merged downwards until they have met what they
    // delete: space comes back, and scans stop stepping over them, without a command and without
    // waiting for more writes.
    options.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(
            settings.deletion_window, settings.deletion_trigger));
    options.max_background_jobs = settings.background_jobs;
    options.max_open_files = settings.open_files_max;
    // Hands written pages to the device as a table grows: the sync at its end stays short.
    options.bytes_per_sync = 1 << 20;

    // No write-ahead log is ever written. One that is there all the same must be whole.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
    // The flush at a clean stop is explicit, because its failure must be told.
    options.avoid_flush_during_shutdown = true;
    // fdatasync: it covers the length of a file, which is all of the metadata that a read needs.
    options.use_fsync = false;

    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    return options;
}

/// What is in the directory. Data is only ever in table files. A first start that was cut short
/// leaves MANIFEST-000001 and no CURRENT; any other MANIFEST comes from a database in use.
rocksdb_shim_found look(rocksdb::Env *env, const std::string &path) {
    if (env->FileExists(path + "/CURRENT").ok()) return rocksdb_shim_found_database;
    std::vector<std::string> names;
    if (!env->GetChildren(path, &names).ok()) return rocksdb_shim_found_nothing;
    const bool remains = std::any_of(names.begin(), names.end(), [](const std::string &name) {
        return has_suffix(name, ".sst")
            || (name.rfind("MANIFEST-", 0) == 0 && name != "MANIFEST-000001");
    });
    return remains ? rocksdb_shim_found_remains : rocksdb_shim_found_nothing;
}

std::string parent(const std::string &path) {
    const size_t last = path.find_last_not_of('/');
    if (last == std::string::npos) return "/";
    const size_t slash = path.find_last_of('/', last);
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// Makes the directory if needed and its entry in the parent durable, which RocksDB leaves out.
Status make_directory(rocksdb::Env *env, const std::string &path) {
    Status status = env->CreateDirIfMissing(path);
    if (!status.ok()) return status;
    std::unique_ptr<rocksdb::Directory> directory;
    status = env->NewDirectory(parent(path), &directory);
    return status.ok() ? directory->Fsync() : status;
}

}  // namespace

struct rocksdb_shim_db {
    std::unique_ptr<rocksdb::DB> db;
    std::shared_ptr<BackgroundErrors> errors;
    /// What `close` must release, guarded by the mutex.
    std::mutex mutex;
    std::unordered_set<rocksdb_shim_view *> views;
    std::unordered_set<rocksdb_shim_iterator *> iterators;
};

struct rocksdb_shim_batch {
    rocksdb::WriteBatch batch;
};

struct rocksdb_shim_view {
    rocksdb_shim_db *owner;
    /// Null once the database is closed.
    const rocksdb::Snapshot *snapshot;
};

struct rocksdb_shim_iterator {
    rocksdb_shim_db *owner;
    /// RocksDB refers to the slices, and the slices to the strings, for as long as it iterates.
    std::string lower, upper;
    Slice lower_slice, upper_slice;
    /// Null once the database is closed.
    std::unique_ptr<rocksdb::Iterator> iterator;
};

extern "C" {

void rocksdb_shim_status_free(rocksdb_shim_status *status) {
    free(status->message);
    status->message = nullptr;
}

bool rocksdb_shim_supports_compression(int32_t compression) {
    const auto supported = rocksdb::GetSupportedCompressions();
    return std::any_of(supported.begin(), supported.end(), [&](rocksdb::CompressionType type) {
        return static_cast<int32_t>(type) == compression;
    });
}

rocksdb_shim_status rocksdb_shim_open(
    const char *path, const rocksdb_shim_settings *settings, rocksdb_shim_found *found,
    rocksdb_shim_db **db) {
    rocksdb::Env *env = rocksdb::Env::Default();
    *found = look(env, path);
    if (*found == rocksdb_shim_found_remains) {
        return make_status(Status::Corruption("CURRENT is missing beside other files"));
    }
    if (*found == rocksdb_shim_found_nothing) {
        if (!settings->create_if_missing) {
            return make_status(Status::Corruption("there is no database"));
        }
        Status made = make_directory(env, path);
        if (!made.ok()) return make_status(made);
    }
    if (*found == rocksdb_shim_found_database) {
        Status checked = check_files(env, path);
        if (!checked.ok()) return make_status(checked);
    }
    auto errors = std::make_shared<BackgroundErrors>();
    rocksdb::Options options = make_options(*settings, errors);
    options.info_log = std::make_shared<DiagnosticsLog>(path);
    rocksdb::DB *opened = nullptr;
    Status status = rocksdb::DB::Open(options, path, &opened);
    if (!status.ok()) return make_status(status);
    auto *handle = new rocksdb_shim_db;
    handle->db.reset(opened);
    handle->errors = errors;
    *db = handle;
    return make_status(status);
}

rocksdb_shim_status rocksdb_shim_close(rocksdb_shim_db *db) {
    std::lock_guard<std::mutex> guard(db->mutex);
    if (!db->db) return make_status(Status::OK());
    for (auto *iterator : db->iterators) iterator->iterator.reset();
    for (auto *view : db->views) {
        db->db->ReleaseSnapshot(view->snapshot);
        view->snapshot = nullptr;
    }
    db->iterators.clear();
    db->views.clear();
    Status status = db->db->Close();
    db->db.reset();
    return make_status(status);
}

void rocksdb_shim_db_free(rocksdb_shim_db *db) {
    rocksdb_shim_status status = rocksdb_shim_close(db);
    rocksdb_shim_status_free(&status);
    delete db;
}

rocksdb_shim_batch *rocksdb_shim_batch_new(size_t reserved_bytes) {
    return new rocksdb_shim_batch{rocksdb::WriteBatch(reserved_bytes)};
}

// A batch without a size limit, a save point or protection bytes cannot refuse these.

void rocksdb_shim_batch_put(
    rocksdb_shim_batch *batch, const void *key, size_t key_count, const void *value,
    size_t value_count) {
    (void)batch->batch.Put(slice(key, key_count), slice(value, value_count));
}

void rocksdb_shim_batch_delete(rocksdb_shim_batch *batch, const void *key, size_t key_count) {
    (void)batch->batch.Delete(slice(key, key_count));
}

void rocksdb_shim_batch_delete_range(
    rocksdb_shim_batch *batch, const void *from, size_t from_count, const void *to,
    size_t to_count) {
    (void)batch->batch.DeleteRange(slice(from, from_count), slice(to, to_count));
}

void rocksdb_shim_batch_free(rocksdb_shim_batch *batch) { delete batch; }

rocksdb_shim_status rocksdb_shim_write(rocksdb_shim_db *db, rocksdb_shim_batch *batch) {
    Status earlier = db->errors->first();
    if (!earlier.ok()) return make_status(earlier);
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    return make_status(db->db->Write(options, &batch->batch));
}

rocksdb_shim_status rocksdb_shim_flush(rocksdb_shim_db *db) {
    Status earlier = db->errors->first();
    if (!earlier.ok()) return make_status(earlier);
    rocksdb::FlushOptions options;
    options.wait = true;
    return make_status(db->db->Flush(options));
}

rocksdb_shim_status rocksdb_shim_get_persisted(
    rocksdb_shim_db *db, const void *key, size_t key_count, rocksdb_shim_value_sink sink,
    void *context) {
    rocksdb::ReadOptions options;
    options.read_tier = rocksdb::kPersistedTier;
    PinnableSlice value;
    Status status =
        db->db->Get(options, db->db->DefaultColumnFamily(), slice(key, key_count), &value);
    return deliver(status, value, sink, context);
}

rocksdb_shim_status rocksdb_shim_verify_checksums(rocksdb_shim_db *db) {
    return make_status(db->db->VerifyChecksum(rocksdb::ReadOptions()));
}

uint64_t rocksdb_shim_int_property(rocksdb_shim_db *db, const char *name) {
    uint64_t value = 0;
    return db->db->GetIntProperty(name, &value) ? value : 0;
}

rocksdb_shim_view *rocksdb_shim_view_new(rocksdb_shim_db *db) {
    std::lock_guard<std::mutex> guard(db->mutex);
    auto *view = new rocksdb_shim_view{db, db->db->GetSnapshot()};
    db->views.insert(view);
    return view;
}

void rocksdb_shim_view_free(rocksdb_shim_view *view) {
    {
        std::lock_guard<std::mutex> guard(view->owner->mutex);
        if (view->snapshot) {
            view->owner->db->ReleaseSnapshot(view->snapshot);
            view->owner->views.erase(view);
        }
    }
    delete view;
}

rocksdb_shim_status rocksdb_shim_view_get(
    rocksdb_shim_view *view, const void *key, size_t key_count, rocksdb_shim_value_sink sink,
    void *context) {
    rocksdb::ReadOptions options;
    options.snapshot = view->snapshot;
    PinnableSlice value;
    rocksdb::DB *db = view->owner->db.get();
    Status status = db->Get(options, db->DefaultColumnFamily(), slice(key, key_count), &value);
    return deliver(status, value, sink, context);
}

rocksdb_shim_iterator *rocksdb_shim_iterator_new(
    rocksdb_shim_view *view, const void *lower, size_t lower_count, bool bounded,
    const void *upper, size_t upper_count) {
    auto *handle = new rocksdb_shim_iterator;
    handle->owner = view->owner;
    handle->lower = slice(lower, lower_count).ToString();
    handle->lower_slice = Slice(handle->lower);
    rocksdb::ReadOptions options;
    options.snapshot = view->snapshot;
    options.iterate_lower_bound = &handle->lower_slice;
    if (bounded) {
        handle->upper = slice(upper, upper_count).ToString();
        handle->upper_slice = Slice(handle->upper);
        options.iterate_upper_bound = &handle->upper_slice;
    }
    std::lock_guard<std::mutex> guard(view->owner->mutex);
    handle->iterator.reset(view->owner->db->NewIterator(options));
    view->owner->iterators.insert(handle);
    return handle;
}

void rocksdb_shim_iterator_free(rocksdb_shim_iterator *handle) {
    {
        std::lock_guard<std::mutex> guard(handle->owner->mutex);
        handle->owner->iterators.erase(handle);
        handle->iterator.reset();
    }
    delete handle;
}

void rocksdb_shim_iterator_seek(
    rocksdb_shim_iterator *handle, const void *key, size_t key_count) {
    handle->iterator->Seek(slice(key, key_count));
}

void rocksdb_shim_iterator_seek_backwards(
    rocksdb_shim_iterator *handle, const void *key, size_t key_count) {
    handle->iterator->SeekForPrev(slice(key, key_count));
}

bool rocksdb_shim_iterator_is_valid(const rocksdb_shim_iterator *handle) {
    return handle->iterator->Valid();
}

void rocksdb_shim_iterator_next(rocksdb_shim_iterator *handle) { handle->iterator->Next(); }

void rocksdb_shim_iterator_previous(rocksdb_shim_iterator *handle) { handle->iterator->Prev(); }

const uint8_t *rocksdb_shim_iterator_key(const rocksdb_shim_iterator *handle, size_t *count) {
    const Slice key = handle->iterator->key();
    *count = key.size();
    return reinterpret_cast<const uint8_t *>(key.data());
}

const uint8_t *rocksdb_shim_iterator_value(const rocksdb_shim_iterator *handle, size_t *count) {
    const Slice value = handle->iterator->value();
    *count = value.size();
    return reinterpret_cast<const uint8_t *>(value.data());
}

rocksdb_shim_status rocksdb_shim_iterator_status(const rocksdb_shim_iterator *handle) {
    return make_status(handle->iterator->status());
}

}  // extern "C"
