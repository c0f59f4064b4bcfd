// A FUSE file system that loses power.
//
// Programs see every write at once, as through a page cache. Only what was synced reaches the
// state directory when the power fails: file bytes by fsync or fdatasync of the file, names
// (create, rename, unlink, mkdir, rmdir, link) by fsync of the directory. Of the rest a crash
// keeps what a disk might have kept, drawn from --seed:
//
//   names   of each directory, a prefix of its unsynced operations, as a journal keeps them; a
//           rename between two directories happens in both or in neither
//   bytes   of each file, independently: nothing, everything, everything up to a torn write, or
//           any subset of 512-byte sectors; the size may grow without the bytes (zeroes)
//
// An fsync of a file does not make its name durable (fsync(2), Notes). --sync-names-too is for
// programs that lean on journalling file systems, where any sync commits all names before it.
//
//   lossyfs --state DIR --mount DIR --seed N [--lie-about-sync] [--sync-names-too]
//           [--sync-delay-us N]
//
// SIGUSR1 cuts the power: from then on every operation fails with EIO. SIGTERM unmounts and leaves
// in DIR what survived; without SIGUSR1 before it that is everything. With --lie-about-sync, or from
// SIGUSR2 on, every sync is acknowledged and makes nothing durable. One thread serves all
// operations, so a sync is atomic, and --sync-delay-us makes each take as long as a disk's.
//
// Not there: symbolic links, extended attributes, syncfs(2) (the kernel does not pass it on).

#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { SECTOR = 512 };

static volatile sig_atomic_t power_lost, lie_about_sync;
static bool sync_names_too;
static useconds_t sync_delay_us;
static char state_dir[PATH_MAX], work_dir[PATH_MAX];
static unsigned long kept_writes, lost_writes, torn_writes, kept_names, lost_names;

static void fatal(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "lossyfs: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, " (%s)\n", strerror(errno));
    exit(1);
}

static void *grown(void *array, size_t count, size_t size) {
    if (count & (count - 1)) return array;  // room is doubled at each power of two
    array = realloc(array, (count ? 2 * count : 1) * size);
    if (!array) fatal("out of memory");
    return array;
}

// ---------------------------------------------------------------------------- chance (splitmix64)

static uint64_t random_state;

static uint64_t draw(void) {
    uint64_t z = (random_state += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t bound) { return draw() % bound; }

// ------------------------------------------------------------------------------------------ nodes

struct change {  // not yet durable, in the order it was made
    enum { WRITE, RESIZE, ZERO } kind;
    off_t offset;  // for RESIZE the new size
    size_t length;
    char *bytes;
};

struct entry {
    char *name;
    struct node *node;
};

struct names {
    struct entry *list;
    size_t count;
};

struct node {
    uint64_t ino;
    struct stat attributes;  // nlink counts live names; size and blocks are those of `live`
    uint64_t lookups;        // references that the kernel holds
    struct node *parent;     // of a directory
    int live, stable;        // of a file: what programs see, and what a crash cannot take
    struct change *changes;
    size_t change_count;
    struct names live_names, stable_names;  // of a directory
    size_t stable_links, journal_links;     // durable names; undecided operations on this node
    bool stopped;                           // of a directory, while a crash is worked out
    size_t crash_budget;
};

static struct node **nodes;  // by inode number; 0 is unused, 1 the root
static size_t node_count;

static struct node *node_of(fuse_ino_t ino) { return nodes[ino]; }

static void stable_path(const struct node *node, char path[PATH_MAX]) {
    if (snprintf(path, PATH_MAX, "%s/%lu", work_dir, (unsigned long)node->ino) >= PATH_MAX)
        fatal("path too long");
}

static struct node *new_node(mode_t mode, uid_t uid, gid_t gid) {
    struct node *node = calloc(1, sizeof *node);
    if (!node) fatal("out of memory");
    nodes = grown(nodes, node_count, sizeof *nodes);
    node->ino = node_count;
    nodes[node_count++] = node;
    node->attributes.st_ino = node->ino;
    node->attributes.st_mode = mode;
    node->attributes.st_uid = uid;
    node->attributes.st_gid = gid;
    clock_gettime(CLOCK_REALTIME, &node->attributes.st_mtim);
    node->attributes.st_atim = node->attributes.st_ctim = node->attributes.st_mtim;
    node->live = node->stable = -1;
    if (S_ISREG(mode)) {
        char path[PATH_MAX];
        stable_path(node, path);
        node->live = open(work_dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        node->stable = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (node->live < 0 || node->stable < 0) fatal("cannot create %s", path);
    }
    return node;
}

static void forget_changes(struct node *node) {
    for (size_t i = 0; i < node->change_count; i++) free(node->changes[i].bytes);
    free(node->changes);
    node->changes = NULL;
    node->change_count = 0;
}

// Frees the files of a node that neither a program nor a crash can reach any more.
static void release_if_unreachable(struct node *node) {
    if (node->live < 0 || node->attributes.st_nlink || node->lookups || node->stable_links ||
        node->journal_links)
        return;
    char path[PATH_MAX];
    stable_path(node, path);
    forget_changes(node);
    close(node->live);
    close(node->stable);
    unlink(path);
    node->live = node->stable = -1;
}

static struct node *find(const struct names *names, const char *name) {
    for (size_t i = 0; i < names->count; i++)
        if (!strcmp(names->list[i].name, name)) return names->list[i].node;
    return NULL;
}

static void erase(struct names *names, const char *name) {
    for (size_t i = 0; i < names->count; i++)
        if (!strcmp(names->list[i].name, name)) {
            free(names->list[i].name);
            names->list[i] = names->list[--names->count];
            // `grown` reallocates at powers of two, so a shrunken list never outgrows its room.
            return;
        }
}

static void set(struct names *names, const char *name, struct node *node) {
    erase(names, name);
    names->list = grown(names->list, names->count, sizeof *names->list);
    names->list[names->count++] = (struct entry){strdup(name), node};
}

// ------------------------------------------------------------------- the journal of unsynced names

struct operation {  // removes `from` when set, then sets `to` when set
    struct node *from_dir, *to_dir;
    char *from, *to;
    struct node *node;
    bool durable;
};

static struct operation *journal;
static size_t journal_count;

static void make_durable(struct operation *operation) {
    struct node *gone = NULL;
    if (operation->from) erase(&operation->from_dir->stable_names, operation->from);
    if (operation->to) {
        gone = find(&operation->to_dir->stable_names, operation->to);
        set(&operation->to_dir->stable_names, operation->to, operation->node);
    }
    if (operation->from) operation->node->stable_links--;
    if (operation->to) operation->node->stable_links++;
    if (gone) {
        gone->stable_links--;
        release_if_unreachable(gone);
    }
    operation->node->journal_links--;
    release_if_unreachable(operation->node);
    free(operation->from);
    free(operation->to);
}

static void record(struct node *from_dir, const char *from, struct node *to_dir, const char *to,
                   struct node *node) {
    journal = grown(journal, journal_count, sizeof *journal);
    journal[journal_count++] = (struct operation){
        from_dir, to_dir, from ? strdup(from) : NULL, to ? strdup(to) : NULL, node, false};
    node->journal_links++;
}

static bool touches(const struct operation *operation, bool (*in)(const struct node *)) {
    return (operation->from_dir && in(operation->from_dir)) ||
           (operation->to_dir && in(operation->to_dir));
}

static bool is_stopped(const struct node *node) { return node->stopped; }

static void stop_both(const struct operation *operation) {
    if (operation->from_dir) operation->from_dir->stopped = true;
    if (operation->to_dir) operation->to_dir->stopped = true;
}

// Makes the operations on a directory durable, with those that came before them in a directory
// that a rename ties to it. `stopped` marks the directories reached, going back in time.
static void sync_directory(struct node *directory) {
    for (size_t i = 0; i < node_count; i++)
        if (nodes[i]) nodes[i]->stopped = false;
    directory->stopped = true;
    for (size_t i = journal_count; i-- > 0;)
        if (touches(&journal[i], is_stopped)) {
            journal[i].durable = true;
            stop_both(&journal[i]);
        }
    size_t kept = 0;
    for (size_t i = 0; i < journal_count; i++)
        if (journal[i].durable)
            make_durable(&journal[i]);
        else
            journal[kept++] = journal[i];
    journal_count = kept;
}

static void sync_all_names(void) {
    for (size_t i = 0; i < journal_count; i++) make_durable(&journal[i]);
    journal_count = 0;
}

// ------------------------------------------------------------------------------- unsynced contents

static void write_fully(int file, const char *bytes, size_t length, off_t offset) {
    while (length) {
        ssize_t written = pwrite(file, bytes, length, offset);
        if (written <= 0) fatal("cannot write");
        bytes += written;
        length -= written;
        offset += written;
    }
}

static void zero(int file, off_t offset, size_t length) {
    static const char zeroes[65536];
    struct stat status;
    if (fstat(file, &status)) fatal("fstat");
    off_t end = offset + (off_t)length < status.st_size ? offset + (off_t)length : status.st_size;
    for (; offset < end; offset += sizeof zeroes) {
        size_t rest = end - offset;
        write_fully(file, zeroes, rest < sizeof zeroes ? rest : sizeof zeroes, offset);
    }
}

static void apply(int file, const struct change *change) {
    switch (change->kind) {
    case WRITE: write_fully(file, change->bytes, change->length, change->offset); break;
    case RESIZE:
        if (ftruncate(file, change->offset)) fatal("ftruncate");
        break;
    case ZERO: zero(file, change->offset, change->length); break;
    }
}

static void changed(struct node *node, struct change change) {
    apply(node->live, &change);
    node->changes = grown(node->changes, node->change_count, sizeof *node->changes);
    node->changes[node->change_count++] = change;
    clock_gettime(CLOCK_REALTIME, &node->attributes.st_mtim);
    node->attributes.st_ctim = node->attributes.st_mtim;
}

static void resize(struct node *node, off_t size) {
    changed(node, (struct change){.kind = RESIZE, .offset = size});
}

static void sync_contents(struct node *node) {
    for (size_t i = 0; i < node->change_count; i++) apply(node->stable, &node->changes[i]);
    forget_changes(node);
}

// ------------------------------------------------------------------------------------- the crash

// Keeps each sector of a write with a chance of `numerator` in 8.
static void apply_torn(struct node *node, const struct change *change, uint64_t numerator) {
    off_t end = change->offset + (off_t)change->length;
    size_t kept = 0, all = 0;
    for (off_t at = change->offset; at < end;) {
        off_t next = (at / SECTOR + 1) * SECTOR;
        if (next > end) next = end;
        all++;
        if (below(8) < numerator) {
            kept++;
            write_fully(node->stable, change->bytes + (at - change->offset), next - at, at);
        }
        at = next;
    }
    if (kept == all) kept_writes++;
    else if (kept) torn_writes++;
    else lost_writes++;
}

static void crash_contents(struct node *node) {
    struct stat live, stable;
    size_t count = node->change_count;
    uint64_t scenario = below(5), chance = 1 + below(7);
    size_t cut = count ? below(count + 1) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct change *change = &node->changes[i];
        bool whole = scenario == 1 || (scenario == 2 && i < cut);
        bool torn = scenario >= 3 || (scenario == 2 && i == cut);
        if (torn && change->kind == WRITE) {
            apply_torn(node, change, chance);
        } else if (whole || (torn && below(2))) {
            apply(node->stable, change);
            kept_writes++;
        } else {
            lost_writes++;
        }
    }
    if (fstat(node->live, &live) || fstat(node->stable, &stable)) fatal("fstat");
    if (live.st_size > stable.st_size && !below(4) && ftruncate(node->stable, live.st_size))
        fatal("ftruncate");
    forget_changes(node);
}

static void crash_names(void) {
    for (size_t i = 0; i < node_count; i++)
        if (nodes[i]) {
            nodes[i]->stopped = false;
            nodes[i]->crash_budget = 0;
        }
    for (size_t i = 0; i < journal_count; i++) {
        if (journal[i].from_dir) journal[i].from_dir->crash_budget++;
        if (journal[i].to_dir && journal[i].to_dir != journal[i].from_dir)
            journal[i].to_dir->crash_budget++;
    }
    for (size_t i = 0; i < node_count; i++)
        if (nodes[i] && nodes[i]->crash_budget) {
            uint64_t scenario = below(4);
            if (scenario == 0) nodes[i]->crash_budget = 0;
            else if (scenario > 1) nodes[i]->crash_budget = below(nodes[i]->crash_budget + 1);
        }
    for (size_t i = 0; i < journal_count; i++) {
        struct operation *operation = &journal[i];
        struct node *ends[2] = {operation->from_dir, operation->to_dir};
        if (ends[0] == ends[1]) ends[1] = NULL;
        for (int k = 0; k < 2; k++)
            if (ends[k] && !ends[k]->crash_budget) ends[k]->stopped = true;
        if (touches(operation, is_stopped)) {
            stop_both(operation);
            lost_names++;
            continue;
        }
        for (int k = 0; k < 2; k++)
            if (ends[k]) ends[k]->crash_budget--;
        make_durable(operation);
        kept_names++;
    }
    journal_count = 0;
}

static void write_out(struct node *directory, const char *path) {
    if (mkdir(path, directory->attributes.st_mode & 07777) && errno != EEXIST) fatal("mkdir %s", path);
    for (size_t i = 0; i < directory->stable_names.count; i++) {
        struct entry *entry = &directory->stable_names.list[i];
        char to[PATH_MAX], from[PATH_MAX];
        if (snprintf(to, sizeof to, "%s/%s", path, entry->name) >= (int)sizeof to)
            fatal("path too long");
        if (S_ISDIR(entry->node->attributes.st_mode)) {
            write_out(entry->node, to);
            continue;
        }
        stable_path(entry->node, from);
        if (link(from, to) || chmod(to, entry->node->attributes.st_mode & 07777))
            fatal("link %s", to);
    }
}

static void remove_tree(const char *path) {
    DIR *directory = opendir(path);
    if (!directory) return;
    for (struct dirent *item; (item = readdir(directory));) {
        char inner[PATH_MAX];
        if (!strcmp(item->d_name, ".") || !strcmp(item->d_name, "..")) continue;
        if (snprintf(inner, sizeof inner, "%s/%s", path, item->d_name) >= (int)sizeof inner)
            fatal("path too long");
        if (item->d_type == DT_DIR) remove_tree(inner);
        else unlink(inner);
    }
    closedir(directory);
    rmdir(path);
}

static void leave_state(void) {
    if (power_lost) {
        for (size_t i = 1; i < node_count; i++)
            if (nodes[i]->live >= 0 && nodes[i]->change_count) crash_contents(nodes[i]);
        crash_names();
    } else {
        for (size_t i = 1; i < node_count; i++)
            if (nodes[i]->live >= 0) sync_contents(nodes[i]);
        sync_all_names();
    }
    write_out(node_of(FUSE_ROOT_ID), state_dir);
    remove_tree(work_dir);
    fprintf(stderr,
            "lossyfs: %s; unsynced writes: %lu kept, %lu torn, %lu lost; "
            "unsynced names: %lu kept, %lu lost\n",
            power_lost ? "power lost" : "clean end", kept_writes, torn_writes, lost_writes,
            kept_names, lost_names);
}

// ------------------------------------------------------------------------------ loading the state

static void copy_contents(int from, int to) {
    static char buffer[1 << 20];
    struct stat status;
    if (fstat(from, &status) || ftruncate(to, status.st_size)) fatal("copy");
    for (off_t at = 0; (at = lseek(from, at, SEEK_DATA)) >= 0;) {
        off_t end = lseek(from, at, SEEK_HOLE);
        while (at < end) {
            size_t want = end - at < (off_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
            ssize_t got = pread(from, buffer, want, at);
            if (got <= 0) fatal("copy");
            write_fully(to, buffer, got, at);
            at += got;
        }
    }
}

// Moves what lies in `path` under `directory`, as durable and visible from the start.
static void load(struct node *directory, const char *path) {
    DIR *listing = opendir(path);
    if (!listing) fatal("cannot open %s", path);
    for (struct dirent *item; (item = readdir(listing));) {
        char inner[PATH_MAX], stable[PATH_MAX];
        struct stat status;
        if (!strcmp(item->d_name, ".") || !strcmp(item->d_name, "..")) continue;
        if (snprintf(inner, sizeof inner, "%s/%s", path, item->d_name) >= (int)sizeof inner)
            fatal("path too long");
        if (lstat(inner, &status)) fatal("stat %s", inner);
        struct node *node = new_node(status.st_mode, status.st_uid, status.st_gid);
        node->attributes.st_nlink = S_ISDIR(status.st_mode) ? 2 : 1;
        node->stable_links = 1;
        set(&directory->live_names, item->d_name, node);
        set(&directory->stable_names, item->d_name, node);
        if (S_ISDIR(status.st_mode)) {
            node->parent = directory;
            load(node, inner);
            rmdir(inner);
            continue;
        }
        if (!S_ISREG(status.st_mode)) fatal("%s is neither file nor directory", inner);
        stable_path(node, stable);
        close(node->stable);
        if (chmod(inner, 0600) || rename(inner, stable)) fatal("rename %s", inner);
        node->stable = open(stable, O_RDWR | O_CLOEXEC);
        if (node->stable < 0) fatal("open %s", stable);
        copy_contents(node->stable, node->live);
    }
    closedir(listing);
}

// ---------------------------------------------------------------------------- FUSE: names

#define WITHOUT_POWER_FAIL(req)       \
    if (power_lost) {                 \
        fuse_reply_err((req), EIO);   \
        return;                       \
    }

static struct stat attributes(struct node *node) {
    struct stat result = node->attributes, file;
    if (node->live >= 0) {
        if (fstat(node->live, &file)) fatal("fstat");
        result.st_size = file.st_size;
        result.st_blocks = file.st_blocks;
    }
    result.st_blksize = 4096;
    return result;
}

static struct fuse_entry_param entry_for(struct node *node) {
    node->lookups++;
    return (struct fuse_entry_param){
        .ino = node->ino, .attr = attributes(node), .attr_timeout = 3600, .entry_timeout = 3600};
}

static void reply_entry(fuse_req_t req, struct node *node) {
    struct fuse_entry_param entry = entry_for(node);
    fuse_reply_entry(req, &entry);
}

static void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
    WITHOUT_POWER_FAIL(req)
    struct node *node = find(&node_of(parent)->live_names, name);
    if (node) reply_entry(req, node);
    else fuse_reply_err(req, ENOENT);
}

static void forget_one(fuse_ino_t ino, uint64_t count) {
    struct node *node = node_of(ino);
    node->lookups -= count < node->lookups ? count : node->lookups;
    release_if_unreachable(node);
}

static void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count) {
    forget_one(ino, count);
    fuse_reply_none(req);
}

static void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *list) {
    for (size_t i = 0; i < count; i++) forget_one(list[i].ino, list[i].nlookup);
    fuse_reply_none(req);
}

static struct node *add(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode) {
    struct node *directory = node_of(parent);
    const struct fuse_ctx *context = fuse_req_ctx(req);
    struct node *node = new_node(mode, context->uid, context->gid);
    node->attributes.st_nlink = S_ISDIR(mode) ? 2 : 1;
    if (S_ISDIR(mode)) node->parent = directory;
    set(&directory->live_names, name, node);
    record(NULL, NULL, directory, name, node);
    return node;
}

static void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev) {
    (void)dev;
    WITHOUT_POWER_FAIL(req)
    if (!S_ISREG(mode)) fuse_reply_err(req, EPERM);
    else if (find(&node_of(parent)->live_names, name)) fuse_reply_err(req, EEXIST);
    else reply_entry(req, add(req, parent, name, mode));
}

static void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode) {
    WITHOUT_POWER_FAIL(req)
    if (find(&node_of(parent)->live_names, name)) fuse_reply_err(req, EEXIST);
    else reply_entry(req, add(req, parent, name, mode | S_IFDIR));
}

static void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *info) {
    WITHOUT_POWER_FAIL(req)
    if (find(&node_of(parent)->live_names, name)) {
        fuse_reply_err(req, EEXIST);
        return;
    }
    struct fuse_entry_param entry = entry_for(add(req, parent, name, mode | S_IFREG));
    fuse_reply_create(req, &entry, info);
}

static void drop_name(struct node *directory, const char *name, struct node *node) {
    erase(&directory->live_names, name);
    if (S_ISDIR(node->attributes.st_mode)) node->attributes.st_nlink = 0;
    else node->attributes.st_nlink--;
}

static void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name) {
    WITHOUT_POWER_FAIL(req)
    struct node *directory = node_of(parent), *node = find(&directory->live_names, name);
    int error = !node ? ENOENT : S_ISDIR(node->attributes.st_mode) ? EISDIR : 0;
    if (!error) {
        record(directory, name, NULL, NULL, node);
        drop_name(directory, name, node);
    }
    fuse_reply_err(req, error);
}

static void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name) {
    WITHOUT_POWER_FAIL(req)
    struct node *directory = node_of(parent), *node = find(&directory->live_names, name);
    int error = !node                                  ? ENOENT
                : !S_ISDIR(node->attributes.st_mode)   ? ENOTDIR
                : node->live_names.count               ? ENOTEMPTY
                                                       : 0;
    if (!error) {
        record(directory, name, NULL, NULL, node);
        drop_name(directory, name, node);
    }
    fuse_reply_err(req, error);
}

static void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                      const char *new_name, unsigned flags) {
    WITHOUT_POWER_FAIL(req)
    struct node *from = node_of(parent), *to = node_of(new_parent);
    struct node *node = find(&from->live_names, name), *old = find(&to->live_names, new_name);
    int error = 0;
    if (!node) error = ENOENT;
    else if (flags & ~(unsigned)RENAME_NOREPLACE) error = EINVAL;
    else if (old && flags) error = EEXIST;
    else if (old && S_ISDIR(old->attributes.st_mode) && old->live_names.count) error = ENOTEMPTY;
    if (!error && old != node) {
        record(from, name, to, new_name, node);
        if (old) drop_name(to, new_name, old);
        erase(&from->live_names, name);
        set(&to->live_names, new_name, node);
        if (S_ISDIR(node->attributes.st_mode)) node->parent = to;
    }
    fuse_reply_err(req, error);
}

static void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name) {
    WITHOUT_POWER_FAIL(req)
    struct node *directory = node_of(parent), *node = node_of(ino);
    if (find(&directory->live_names, name)) {
        fuse_reply_err(req, EEXIST);
        return;
    }
    node->attributes.st_nlink++;
    set(&directory->live_names, name, node);
    record(NULL, NULL, directory, name, node);
    reply_entry(req, node);
}

// What opendir saw, so that a listing under change neither skips nor repeats a name.
struct listing {
    struct entry *list;
    size_t count;
};

static void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info) {
    WITHOUT_POWER_FAIL(req)
    struct node *node = node_of(ino);
    struct listing *listing = calloc(1, sizeof *listing);
    listing->count = node->live_names.count + 2;
    listing->list = calloc(listing->count, sizeof *listing->list);
    listing->list[0] = (struct entry){strdup("."), node};
    listing->list[1] = (struct entry){strdup(".."), node->parent ? node->parent : node};
    for (size_t i = 2; i < listing->count; i++) {
        struct entry *entry = &node->live_names.list[i - 2];
        listing->list[i] = (struct entry){strdup(entry->name), entry->node};
    }
    info->fh = (uintptr_t)listing;
    fuse_reply_open(req, info);
}

static void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *info) {
    (void)ino;
    WITHOUT_POWER_FAIL(req)
    struct listing *listing = (struct listing *)(uintptr_t)info->fh;
    char *buffer = malloc(size);
    size_t used = 0;
    for (size_t i = offset; i < listing->count; i++) {
        struct entry *entry = &listing->list[i];
        struct stat brief = {.st_ino = entry->node->ino, .st_mode = entry->node->attributes.st_mode};
        size_t need =
            fuse_add_direntry(req, buffer + used, size - used, entry->name, &brief, i + 1);
        if (need > size - used) break;
        used += need;
    }
    fuse_reply_buf(req, buffer, used);
    free(buffer);
}

static void fs_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info) {
    (void)ino;
    struct listing *listing = (struct listing *)(uintptr_t)info->fh;
    for (size_t i = 0; i < listing->count; i++) free(listing->list[i].name);
    free(listing->list);
    free(listing);
    fuse_reply_err(req, 0);
}

// ---------------------------------------------------------------------------- FUSE: contents

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info) {
    (void)info;
    WITHOUT_POWER_FAIL(req)
    struct stat result = attributes(node_of(ino));
    fuse_reply_attr(req, &result, 3600);
}

static void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int mask,
                       struct fuse_file_info *info) {
    (void)info;
    WITHOUT_POWER_FAIL(req)
    struct node *node = node_of(ino);
    struct stat *own = &node->attributes;
    if (mask & FUSE_SET_ATTR_SIZE) resize(node, wanted->st_size);
    if (mask & FUSE_SET_ATTR_MODE)
        own->st_mode = (own->st_mode & S_IFMT) | (wanted->st_mode & 07777);
    if (mask & FUSE_SET_ATTR_UID) own->st_uid = wanted->st_uid;
    if (mask & FUSE_SET_ATTR_GID) own->st_gid = wanted->st_gid;
    if (mask & FUSE_SET_ATTR_ATIME) own->st_atim = wanted->st_atim;
    if (mask & FUSE_SET_ATTR_MTIME) own->st_mtim = wanted->st_mtim;
    if (mask & FUSE_SET_ATTR_ATIME_NOW) clock_gettime(CLOCK_REALTIME, &own->st_atim);
    if (mask & FUSE_SET_ATTR_MTIME_NOW) clock_gettime(CLOCK_REALTIME, &own->st_mtim);
    struct stat result = attributes(node);
    fuse_reply_attr(req, &result, 3600);
}

static void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info) {
    WITHOUT_POWER_FAIL(req)
    if (info->flags & O_TRUNC) resize(node_of(ino), 0);
    info->keep_cache = !(info->flags & O_TRUNC);
    fuse_reply_open(req, info);
}

static void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *info) {
    (void)info;
    WITHOUT_POWER_FAIL(req)
    char *buffer = malloc(size);
    ssize_t got = pread(node_of(ino)->live, buffer, size, offset);
    if (got < 0) fuse_reply_err(req, errno);
    else fuse_reply_buf(req, buffer, got);
    free(buffer);
}

static void sync_file(struct node *node) {
    if (sync_delay_us) usleep(sync_delay_us);
    if (lie_about_sync) return;
    sync_contents(node);
    if (sync_names_too) sync_all_names();
}

static void fs_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
                     struct fuse_file_info *info) {
    WITHOUT_POWER_FAIL(req)
    struct node *node = node_of(ino);
    char *copy = malloc(size);
    if (!copy) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    memcpy(copy, bytes, size);
    changed(node, (struct change){WRITE, offset, size, copy});
    if (info->flags & (O_DSYNC | O_SYNC)) sync_file(node);
    fuse_reply_write(req, size);
}

static void fs_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                         struct fuse_file_info *info) {
    (void)info;
    WITHOUT_POWER_FAIL(req)
    struct node *node = node_of(ino);
    off_t size = attributes(node).st_size;
    int clears = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
        fuse_reply_err(req, EOPNOTSUPP);
        return;
    }
    if (clears) changed(node, (struct change){ZERO, offset, length, NULL});
    if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + length > size) resize(node, offset + length);
    fuse_reply_err(req, 0);
}

static void fs_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info) {
    (void)ino, (void)info;
    fuse_reply_err(req, power_lost ? EIO : 0);  // close(2) makes nothing durable
}

static void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info) {
    (void)datasync, (void)info;  // the size is durable either way
    WITHOUT_POWER_FAIL(req)
    sync_file(node_of(ino));
    fuse_reply_err(req, 0);
}

static void fs_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info) {
    (void)datasync, (void)info;
    WITHOUT_POWER_FAIL(req)
    if (sync_delay_us) usleep(sync_delay_us);
    if (!lie_about_sync) sync_directory(node_of(ino));
    fuse_reply_err(req, 0);
}

static void fs_statfs(fuse_req_t req, fuse_ino_t ino) {
    (void)ino;
    struct statvfs status;
    if (statvfs(work_dir, &status)) fuse_reply_err(req, errno);
    else fuse_reply_statfs(req, &status);
}

static const struct fuse_lowlevel_ops operations = {
    .lookup = fs_lookup,
    .forget = fs_forget,
    .forget_multi = fs_forget_multi,
    .getattr = fs_getattr,
    .setattr = fs_setattr,
    .mknod = fs_mknod,
    .mkdir = fs_mkdir,
    .create = fs_create,
    .unlink = fs_unlink,
    .rmdir = fs_rmdir,
    .rename = fs_rename,
    .link = fs_link,
    .open = fs_open,
    .read = fs_read,
    .write = fs_write,
    .flush = fs_flush,
    .fsync = fs_fsync,
    .opendir = fs_opendir,
    .readdir = fs_readdir,
    .releasedir = fs_releasedir,
    .fsyncdir = fs_fsyncdir,
    .fallocate = fs_fallocate,
    .statfs = fs_statfs,
};

// -------------------------------------------------------------------------------------- the shell

static void on_signal(int number) {
    if (number == SIGUSR1) power_lost = 1;
    else lie_about_sync = 1;
}

int main(int argc, char **argv) {
    const char *mount_dir = NULL;
    state_dir[0] = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--lie-about-sync")) {
            lie_about_sync = true;
            continue;
        }
        if (!strcmp(argv[i], "--sync-names-too")) {
            sync_names_too = true;
            continue;
        }
        if (!strcmp(argv[i], "--state")) snprintf(state_dir, sizeof state_dir, "%s", value);
        else if (!strcmp(argv[i], "--mount")) mount_dir = value;
        else if (!strcmp(argv[i], "--seed")) random_state = strtoull(value, NULL, 10);
        else if (!strcmp(argv[i], "--sync-delay-us")) sync_delay_us = atoi(value);
        else {
            fprintf(stderr, "lossyfs: unknown option %s\n", argv[i]);
            return 2;
        }
        i++;
    }
    if (!state_dir[0] || !mount_dir) {
        fprintf(stderr, "usage: lossyfs --state DIR --mount DIR --seed N [--lie-about-sync] "
                        "[--sync-names-too] [--sync-delay-us N]\n");
        return 2;
    }
    struct rlimit files = {65536, 65536};
    if (setrlimit(RLIMIT_NOFILE, &files)) {
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (snprintf(work_dir, sizeof work_dir, "%s.work", state_dir) >= (int)sizeof work_dir)
        fatal("path too long");
    if (mkdir(work_dir, 0700)) fatal("mkdir %s", work_dir);
    nodes = grown(nodes, 0, sizeof *nodes);
    nodes[node_count++] = NULL;
    struct node *root = new_node(S_IFDIR | 0755, getuid(), getgid());
    root->attributes.st_nlink = 2;
    load(root, state_dir);

    char *words[] = {argv[0], "-ofsname=lossyfs"};
    struct fuse_args args = FUSE_ARGS_INIT(2, words);
    struct fuse_session *session =
        fuse_session_new(&args, &operations, sizeof operations, NULL);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    if (!session || fuse_set_signal_handlers(session) || fuse_session_mount(session, mount_dir)) {
        leave_state();  // what was loaded goes back
        return 3;
    }
    fuse_session_loop(session);
    fuse_session_unmount(session);
    leave_state();
    fuse_session_destroy(session);
    return 0;
}
