#include "diagnostics_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

DiagnosticsLog::DiagnosticsLog(const std::string &directory)
    : rocksdb::Logger(rocksdb::InfoLogLevel::INFO_LEVEL), path_(directory + "/LOG") {
    open();
}

DiagnosticsLog::~DiagnosticsLog() {
    // Tells the base class that there is nothing left for `Close` to do.
    closed_ = true;
    if (descriptor_ >= 0) ::close(descriptor_);
}

void DiagnosticsLog::Logv(const char *format, va_list arguments) {
    timeval now;
    gettimeofday(&now, nullptr);
    tm utc;
    gmtime_r(&now.tv_sec, &utc);
    char head[48];
    const size_t head_count = strftime(head, sizeof head, "%Y-%m-%dT%H:%M:%S", &utc);
    const int fraction =
        snprintf(head + head_count, sizeof head - head_count, ".%06dZ ", int(now.tv_usec));

    va_list again;
    va_copy(again, arguments);
    const int text_count = vsnprintf(nullptr, 0, format, again);
    va_end(again);
    if (text_count < 0) return;
    std::vector<char> line(head, head + head_count + fraction);
    const size_t start = line.size();
    line.resize(start + text_count + 1);
    vsnprintf(line.data() + start, text_count + 1, format, arguments);
    line.back() = '\n';
    if (text_count > 0 && line[line.size() - 2] == '\n') line.pop_back();

    std::lock_guard<std::mutex> guard(mutex_);
    if (bytes_ >= bytes_max) rotate();
    if (descriptor_ < 0) return;
    const ssize_t written = ::write(descriptor_, line.data(), line.size());
    bytes_ += std::max<ssize_t>(written, 0);
}

void DiagnosticsLog::open() {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    struct stat status;
    bytes_ = descriptor_ >= 0 && ::fstat(descriptor_, &status) == 0 ? status.st_size : 0;
}

void DiagnosticsLog::rotate() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
    // Without the rename the file would grow on: rather no lines than no limit.
    if (::rename(path_.c_str(), (path_ + ".old").c_str()) == 0) open();
}
