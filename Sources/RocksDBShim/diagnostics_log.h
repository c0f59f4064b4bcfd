#pragma once

#include <rocksdb/env.h>

#include <cstdarg>
#include <cstdint>
#include <mutex>
#include <string>

/// RocksDB's own account of what it does, in the file LOG of the database's directory.
///
/// It stands in for RocksDB's logger because that one stops the process: after a failed write its
/// next line runs into an assertion, and Debian builds RocksDB 7.8 with assertions on. A full disk
/// would end the node. Here a line that cannot be written is lost.
///
/// At `bytes_max` the file is renamed to LOG.old, which replaces the one before: the two hold at
/// most twice as much.
class DiagnosticsLog final : public rocksdb::Logger {
   public:
    explicit DiagnosticsLog(const std::string &directory);
    ~DiagnosticsLog() override;

    using rocksdb::Logger::Logv;
    void Logv(const char *format, va_list arguments) override;

   private:
    static constexpr int64_t bytes_max = 8 << 20;

    /// Opens the file at its end, if it can be opened.
    void open();
    void rotate();

    const std::string path_;
    std::mutex mutex_;
    /// Below zero while there is no file.
    int descriptor_ = -1;
    int64_t bytes_ = 0;
};
