"""The power-loss layer itself: keeps what was synced, and does lose what was not."""

import collections
import fcntl
import mmap
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import lossyfs  # noqa: E402
from lib import processes  # noqa: E402
from lib.checks import Checks  # noqa: E402

ROUNDS = 24
FIRST_SEED = 1000


def write(path, data, offset=0, sync=True, flags=0):
    file = os.open(path, os.O_RDWR | os.O_CREAT | flags)
    os.pwrite(file, data, offset)
    if sync:
        os.fdatasync(file)
    os.close(file)


def sync_directory(path):
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(file)
    os.close(file)


OLD, NEW = b"o" * 5000, b"n" * 5000


def prepare(root):
    """What is durable before the operations that a crash may take."""
    for name in ("renamed", "overwritten", "truncated", "removed"):
        write(root / name, OLD)
    for name in ("one", "two"):
        (root / name).mkdir()
    write(root / "one" / "moved", OLD)
    sync_directory(root / "one")
    sync_directory(root)


def exercise(root):
    # Synced, name and bytes: has to survive.
    write(root / "kept", NEW)
    write(root / "kept.dsync", NEW, sync=False, flags=os.O_DSYNC)
    write(root / "one" / "kept", NEW)
    file = os.open(root / "kept.mmap", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(file, 0, 8192)
    with mmap.mmap(file, 8192) as memory:
        memory[:5000] = NEW
        memory.flush()
    os.fsync(file)
    os.close(file)
    buffer = mmap.mmap(-1, 4096)
    buffer[:] = b"d" * 4096
    file = os.open(root / "kept.direct", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    os.pwrite(file, buffer, 0)
    os.fdatasync(file)
    os.close(file)
    write(root / "renamed.new", NEW)
    os.rename(root / "renamed.new", root / "renamed.kept")
    sync_directory(root)
    sync_directory(root / "one")
    # From here on nothing is synced, or only in part.
    write(root / "name-unsynced", NEW)
    write(root / "overwritten", NEW, sync=False)
    file = os.open(root / "truncated", os.O_RDWR)
    os.ftruncate(file, 100)
    os.close(file)
    os.unlink(root / "removed")
    os.rename(root / "one" / "moved", root / "two" / "moved")
    write(root / "replacement", NEW)
    os.rename(root / "replacement", root / "renamed")


def crash(folder, seed, lie=False):
    disk = lossyfs.Disk(folder)
    try:
        disk.mount(seed)
        prepare(disk.mount_point)
        disk.unmount()
        disk.mount(seed, lie_about_sync=lie)
        exercise(disk.mount_point)
        disk.cut_power()
        try:
            os.listdir(disk.mount_point / "two")
            raise AssertionError("an operation succeeded after the power was cut")
        except OSError:
            pass
        disk.unmount()
    finally:
        disk.detach()
    return disk.state


def contents(path):
    return path.read_bytes() if path.exists() else None


def outcomes(state):
    """What became of each thing that was left unsynced; AssertionError if what may not be."""
    seen = {}
    value = contents(state / "name-unsynced")
    assert value in (None, NEW), "the bytes of a synced file changed"
    seen["name without directory sync"] = value is not None
    value = contents(state / "overwritten")
    sectors = [value[i:i + 512] for i in range(0, 5000, 512)]
    assert len(value) == 5000 and all(len(set(s)) == 1 for s in sectors), "torn within a sector"
    seen["overwrite"] = "".join(sorted({chr(s[0]) for s in sectors}))
    value = contents(state / "truncated")
    assert value in (OLD, OLD[:100])
    seen["truncate"] = len(value)
    seen["unlink"] = not (state / "removed").exists()
    where = [d for d in ("one", "two") if (state / d / "moved").exists()]
    assert len(where) == 1, f"a rename between directories left the file in {where}"
    seen["rename between directories"] = where[0]
    value = contents(state / "renamed")
    assert value in (OLD, NEW), "a rename over a file left neither the old nor the new"
    seen["rename over"] = value[:1]
    return seen


def kept(state):
    return {
        "file": contents(state / "kept") == NEW,
        "O_DSYNC": contents(state / "kept.dsync") == NEW,
        "in a directory": contents(state / "one" / "kept") == NEW,
        "mmap": (contents(state / "kept.mmap") or b"")[:5000] == NEW,
        "O_DIRECT": contents(state / "kept.direct") == b"d" * 4096,
        "rename": contents(state / "renamed.kept") == NEW,
    }


def locks_exclude(folder):
    """Two processes cannot both hold a POSIX lock, and an unlinked open file stays readable."""
    disk = lossyfs.Disk(folder)
    try:
        disk.mount(1)
        path = disk.mount_point / "LOCK"
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child = os.fork()
        if child == 0:
            try:
                fcntl.lockf(os.open(path, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
                os._exit(1)
            except OSError:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the lock did not exclude"
        os.write(file, b"still here")
        os.unlink(path)
        assert os.pread(file, 10, 0) == b"still here"
        os.close(file)
        disk.unmount()
    finally:
        disk.detach()


def main():
    processes.exit_on_signals()
    checks = Checks("power-loss layer")
    reason = lossyfs.why_unusable()
    if reason:
        checks.skip("power-loss layer", reason, 5)
        checks.finish()
    seen = collections.defaultdict(collections.Counter)
    with checks.check(f"what was synced survives {ROUNDS} crashes (seeds from {FIRST_SEED})"):
        for seed in range(FIRST_SEED, FIRST_SEED + ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                state = crash(folder, seed)
                lost = [name for name, is_kept in kept(state).items() if not is_kept]
                assert not lost, f"seed {seed} lost {lost}"
                for name, outcome in outcomes(state).items():
                    seen[name][outcome] += 1
    for name, counts in seen.items():
        print(f"        {name}: {dict(counts)}")
    checks.expect("what was not synced ends in more than one way each",
                  seen and all(len(counts) > 1 for counts in seen.values()), dict(seen))
    checks.expect("an unsynced overwrite is torn between sectors at times",
                  seen["overwrite"]["no"], seen["overwrite"])
    with checks.check("with --lie-about-sync synced bytes are lost"):
        losses = collections.Counter()
        for seed in range(FIRST_SEED, FIRST_SEED + 8):
            with tempfile.TemporaryDirectory() as folder:
                for name, is_kept in kept(crash(folder, seed, lie=True)).items():
                    losses[name] += not is_kept
        assert len(losses) == 6 and all(losses.values()), losses
    with checks.check("locks exclude other processes; unlinked files stay open"):
        with tempfile.TemporaryDirectory() as folder:
            locks_exclude(folder)
    checks.finish()


if __name__ == "__main__":
    main()
