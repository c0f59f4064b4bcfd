#define _GNU_SOURCE
#include "failing_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Set while no other thread makes calls.
static enum failing_call failing;
static char failing_name[201];
static long failing_from, failing_to;
static int syncs_are_skipped;

void failing_files_set(enum failing_call call, const char *name, long from, long to) {
    strncpy(failing_name, name, sizeof failing_name - 1);
    failing_from = from;
    failing_to = to;
    failing = call;
}

void failing_files_clear(void) { failing = failing_call_none; }

void failing_files_skip_syncs(void) { syncs_are_skipped = 1; }

static int fails(enum failing_call call, int descriptor) {
    if (failing != call) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t count = readlink(link, path, sizeof path - 1);
    if (count < 0) return 0;
    path[count] = 0;
    return strstr(path, failing_name) != NULL;
}

ssize_t pread(int descriptor, void *buffer, size_t count, off_t offset) {
    if (offset < failing_to && offset + (long)count > failing_from
        && fails(failing_call_read, descriptor)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, descriptor, buffer, count, offset);
}

// The C library's header makes it a macro when optimising.
#undef fread_unlocked

size_t fread_unlocked(void *buffer, size_t size, size_t count, FILE *file) {
    if (fails(failing_call_read, fileno_unlocked(file))) {
        errno = EIO;
        return 0;
    }
    // What the C library's does, without its lock: one caller at a time has the stream.
    size_t read = 0;
    char *bytes = buffer;
    while (read < size * count) {
        const int next = getc_unlocked(file);
        if (next == EOF) break;
        bytes[read++] = (char)next;
    }
    return size == 0 ? 0 : read / size;
}

static int sync_with(long number, int descriptor) {
    if (fails(failing_call_sync, descriptor)) {
        errno = EIO;
        return -1;
    }
    return syncs_are_skipped ? 0 : (int)syscall(number, descriptor);
}

int fdatasync(int descriptor) { return sync_with(SYS_fdatasync, descriptor); }

int fsync(int descriptor) { return sync_with(SYS_fsync, descriptor); }
