// File system calls that can be made to fail in this process: they stand before those of the C
// library, also for calls that shared libraries make.
#pragma once

enum failing_call {
    failing_call_none = 0,
    /// pread and fread_unlocked.
    failing_call_read = 1,
    /// fdatasync and fsync.
    failing_call_sync = 2,
};

/// From now on one kind of call fails with EIO, on files of some name.
/// - name: the part of the path that the file must hold; not longer than 200 bytes.
/// - from, to: for reads by `pread`, the offsets that cannot be read; half-open.
void failing_files_set(enum failing_call call, const char *name, long from, long to);

/// No call fails.
void failing_files_clear(void);

/// Syncs return without doing anything: for directories that nobody needs after a loss of power.
void failing_files_skip_syncs(void);
