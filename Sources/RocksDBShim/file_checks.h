#pragma once

#include <rocksdb/env.h>
#include <rocksdb/status.h>

#include <string>

bool has_suffix(const std::string &name, const char *suffix);

/// Looks for what RocksDB takes for sound, and is not, in the directory of a database that is to be
/// opened. Everything else is left to RocksDB to find.
rocksdb::Status check_files(rocksdb::Env *env, const std::string &path);
