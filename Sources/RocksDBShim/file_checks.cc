#include "file_checks.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

using rocksdb::Status;

namespace {

/// CRC-32C, bit by bit: it is asked for one torn record at a start.
uint32_t crc32c(uint32_t crc, unsigned char byte) {
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
    return crc;
}

/// Whether the checksum in a record's header is that of some of the bytes behind it: then all of
/// the record is there, and its length is damaged. `header` has at least seven bytes.
bool is_whole_record(const unsigned char *header, size_t bytes) {
    uint32_t stored = 0;
    for (int i = 3; i >= 0; i--) stored = stored << 8 | header[i];
    // RocksDB masks the checksums in its logs: rotated, plus a constant.
    stored -= 0xA282EAD8u;
    stored = stored >> 17 | stored << 15;
    uint32_t crc = crc32c(0xFFFFFFFFu, header[6]);
    for (size_t i = 7; i < bytes; i++) {
        crc = crc32c(crc, header[i]);
        if (~crc == stored) return true;
    }
    return false;
}

/// Damage to a MANIFEST that RocksDB passes over without a word, after which it removes the tables
/// that it no longer finds named (docs/formats/storage-damage.md):
/// - Zeros in the middle. It takes a header of zeros for the padding of a block, and goes on with
///   the next 32 KiB. Zeros up to the end are what a loss of power may leave of a write that was
///   never synced.
/// - A length that has become longer than the file, in the last block. It takes the record for one
///   that was cut short.
bool has_hidden_damage(const std::string &manifest) {
    constexpr size_t block_bytes = 32768, header_bytes = 7;
    size_t at = 0;
    while (at + header_bytes <= manifest.size()) {
        const size_t left = block_bytes - at % block_bytes;
        if (left < header_bytes) {
            at += left;
            continue;
        }
        const auto *header = reinterpret_cast<const unsigned char *>(manifest.data()) + at;
        const size_t count = header[4] | header[5] << 8;
        if (count == 0 && header[6] == 0) {
            return manifest.find_first_not_of('\0', at) != std::string::npos;
        }
        const size_t rest = std::min(left, manifest.size() - at);
        if (header_bytes + count > rest) return is_whole_record(header, rest);
        at += header_bytes + count;
    }
    return false;
}

}  // namespace

bool has_suffix(const std::string &name, const char *suffix) {
    const size_t count = strlen(suffix);
    return name.size() >= count && name.compare(name.size() - count, count, suffix) == 0;
}

Status check_files(rocksdb::Env *env, const std::string &path) {
    std::vector<rocksdb::Env::FileAttributes> files;
    Status status = env->GetChildrenFileAttributes(path, &files);
    if (!status.ok()) return status;
    for (const auto &file : files) {
        // It would be replayed over the state: none is ever written here.
        if (has_suffix(file.name, ".log") && file.size_bytes > 0) {
            return Status::Corruption(file.name + " is a write-ahead log, and is not empty");
        }
    }
    std::string current, manifest;
    if (!rocksdb::ReadFileToString(env, path + "/CURRENT", &current).ok()) return Status::OK();
    current.erase(std::min(current.find('\n'), current.size()));
    if (!rocksdb::ReadFileToString(env, path + "/" + current, &manifest).ok()) return Status::OK();
    return has_hidden_damage(manifest) ? Status::Corruption(current + " is damaged")
                                       : Status::OK();
}
