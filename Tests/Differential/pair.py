"""Two servers that run the same program, step by step, and the first step at which they differ."""

import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import etcd, processes  # noqa: E402
from lib.cluster import LocalCluster  # noqa: E402

import divergences  # noqa: E402
from comparison import canonical, difference  # noqa: E402
from session import Session  # noqa: E402

CONNECT_SECONDS = 60  # the longest that it takes on a machine that does much else
CRASH_SECONDS = 2  # how long a process that crashes may take to be gone

# What every program ends with: all that is there now, and was.
LAST = [("Range", {"key": b"\0", "range_end": b"\0"}),
        ("Range", {"key": b"\0", "range_end": b"\0", "revision": ("now", -1)}),
        ("Range", {"key": b"\0", "range_end": b"\0", "revision": ("floor", 0)}),
        ("Range", {"key": b"\0", "range_end": b"\0", "revision": ("now", -30)})]


def named(client):
    """Whether the server answers; a member that has just begun may still have to tell its name."""
    try:
        return all(member["name"] for member in client.members())
    except etcd.grpc.RpcError:
        return False


@dataclass
class Difference:
    at: int  # index of the operation in the program
    operation: tuple
    what: str
    expected: object
    found: object

    def sign(self):
        """What tells one difference from another."""
        return (self.operation[0], re.sub(r"\[\d+\]", "[]", self.what.split(":")[0]),
                *(str(side.get("text", ""))[:40] if isinstance(side, dict) else ""
                  for side in (self.expected, self.found)))

    def __str__(self):
        return (f"operation {self.at}: {self.operation[0]} {self.operation[1]!r:.600}\n"
                f"  differs at {self.what} (etcd / ours)\n"
                f"  etcd: {self.expected!r:.1500}\n  ours: {self.found!r:.1500}")


class Pair:
    """A server to compare with and one to try, one node each, in `folder`.

    plant: changes observations of the second one, to try this test itself.
    """

    def __init__(self, folder, expected, found, version, kinds, plant=None):
        self.folder = Path(folder)
        self.servers = (expected, found)
        self.version = version
        self.kinds = {name: kind for kind in kinds for name in kind.runs}
        self.closers = [kind for kind in kinds if hasattr(kind, "close")]
        self.collects = ("WatchCollect", {"stream": 0}) if "WatchCollect" in self.kinds else None
        self.plant = plant
        self.clusters = self.sessions = ()

    def start(self):
        """New, empty servers."""
        self.stop()
        self.clusters = [
            LocalCluster(tempfile.mkdtemp(dir=self.folder), server, nodes=1)
            for server in self.servers]
        for cluster in self.clusters:
            cluster.start()
        for cluster in self.clusters:
            cluster.wait_serving()
        self.connect(1)

    def connect(self, revision):
        """New sessions, whose connections stand: no operation is to meet one that is being made."""
        self.sessions = [Session(cluster.nodes[0], revision) for cluster in self.clusters]
        for session in self.sessions:
            processes.wait_until("a member's name", lambda: named(session.client), CONNECT_SECONDS)

    def stop(self):
        for session in self.sessions:
            session.close()
        for cluster in self.clusters:
            cluster.kill()
            cluster.delete()
        self.sessions = self.clusters = ()

    def reset(self):
        """Both empty, at one revision, everything before it compacted."""
        for kind in self.closers:
            for session in self.sessions:
                kind.close(session)
        revisions = []
        for session in self.sessions:
            session.client.delete(b"\0", range_end=b"\0", timeout=30)
            revisions.append(session.client.get(b"\0")["header"]["revision"])
        top = max(revisions) + 1
        for place, session in enumerate(self.sessions):
            for _ in range(revisions[place], top):
                session.client.put(b"\0", b"")
            session.client.delete(b"\0")
            session.client.call("Compact", {"revision": top + 1})
            session.close()
        self.connect(top + 1)

    def begin(self):
        """Reset, or started anew when that fails."""
        try:
            if self.sessions and all(c.nodes[0].running() for c in self.clusters):
                return self.reset()
        except etcd.grpc.RpcError:
            pass
        self.start()

    def run(self, program):
        """The first undocumented difference, or None."""
        last = [self.collects] if self.collects else []
        for at, (name, fields) in enumerate([*program, *last, *LAST]):
            resolved = self.sessions[0].resolve(fields)
            pending = [self.kinds[name].begin(session, name, fields) for session in self.sessions]
            expected, found = (one.result() for one in pending)
            if self.plant:
                found = self.plant(name, found)
            expected, found = (
                {"crashed": "the server"} if self.crashed(place, observation) else observation
                for place, observation in enumerate((expected, found)))
            expected, found = (
                self.comparable(observation, session)
                for observation, session in zip((expected, found), self.sessions))
            what = difference(expected, found)
            if what is None:
                if "crashed" in expected:  # etcd beside itself
                    self.begin()
                continue
            known = divergences.find(self.version, name, resolved, expected, found)
            if known is None:
                if "crashed" in found:
                    what += f"; our server ended:\n{self.clusters[1].nodes[0].log_tail(20)}"
                return Difference(at, (name, fields), what, expected, found)
            if known.ends_at(name):
                self.begin()
        return None

    def crashed(self, place, observation):
        """Whether the server's process ended; a connection that broke tells of it a little before
        it has."""
        node = self.clusters[place].nodes[0]
        if observation.get("code") == "UNAVAILABLE":
            deadline = time.monotonic() + CRASH_SECONDS
            while node.running() and time.monotonic() < deadline:
                time.sleep(0.02)
        return not node.running()

    def comparable(self, value, session):
        """An observation with its messages in canonical form, however deep they are in it."""
        if isinstance(value, dict):
            if "message" in value and "answer" in value:
                return {**{name: self.comparable(item, session) for name, item in value.items()
                           if name not in ("message", "answer")},
                        "answer": canonical(
                            value["answer"], value["message"], etcd.MESSAGES, session.chosen)}
            return {name: self.comparable(item, session) for name, item in value.items()}
        if isinstance(value, list):
            return [self.comparable(item, session) for item in value]
        return value
