"""Builds and mounts the file system that loses power (powerloss/lossyfs.c)."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "Cluster"))
from lib import processes  # noqa: E402


class Unusable(Exception):
    """Why the file system cannot be used on this machine."""


def build():
    """Compiles lossyfs when its source is newer than the program; returns the program's path."""
    source = HERE / "powerloss" / "lossyfs.c"
    program = ROOT / ".build" / "lossyfs"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    if not shutil.which("cc") or not shutil.which("pkg-config"):
        raise Unusable("no C compiler or pkg-config (packages gcc, libc6-dev, pkg-config)")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True,
                           text=True, timeout=30)
    if flags.returncode:
        raise Unusable("libfuse3 is not installed (package libfuse3-dev)")
    program.parent.mkdir(exist_ok=True)
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-o", program, source,
                    *flags.stdout.split()], check=True, timeout=120)
    return program


class Disk:
    """A directory on which the power can fail."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.state = self.folder / "state"
        self.mount_point = self.folder / "mount"
        self.log = self.folder / "lossyfs.log"
        for path in (self.state, self.mount_point):
            path.mkdir(parents=True, exist_ok=True)
        self.process = None

    def mount(self, seed, lie_about_sync=False, sync_delay_us=0, sync_names_too=False):
        words = [build(), "--state", self.state, "--mount", self.mount_point, "--seed", seed,
                 "--sync-delay-us", sync_delay_us]
        if lie_about_sync:
            words.append("--lie-about-sync")
        if sync_names_too:
            words.append("--sync-names-too")
        self.process = processes.start_owned(words, self.log, last_signal=signal.SIGTERM)
        processes.wait_until("mount", lambda: os.path.ismount(self.mount_point)
                             or self.process.poll() is not None, 60)
        if self.process.poll() is not None:
            raise Unusable(f"lossyfs did not mount: {self.log.read_text().strip()[-300:]}")

    def cut_power(self):
        """From now on every operation fails. Kill the programs, then `unmount`."""
        self.process.send_signal(signal.SIGUSR1)

    def lie_about_sync(self):
        """From now on syncs are acknowledged and nothing becomes durable."""
        self.process.send_signal(signal.SIGUSR2)

    def unmount(self):
        """Unmounts and leaves in `state` what survived; says what that was."""
        if not processes.end(self.process, patience=60):
            raise RuntimeError("lossyfs did not end")
        self.process = None
        return self.log.read_text().splitlines()[-1]

    def detach(self):
        """Takes the mount down whatever state it is in."""
        if self.process is not None:
            processes.end(self.process)
        # A mount whose server died no longer looks like one to os.path.ismount.
        if any(line.split()[1] == str(self.mount_point) for line in open("/proc/mounts")):
            subprocess.run(["fusermount3", "-u", "-z", self.mount_point], timeout=30, check=False)


def why_unusable():
    """None when lossyfs mounts here, else the reason that it does not."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(folder)
        try:
            disk.mount(seed=0)
            disk.unmount()
        except Unusable as reason:
            return str(reason)
        finally:
            disk.detach()
    return None
