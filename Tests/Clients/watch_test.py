"""Watches of clients that are not ours against three nodes: grpcio, python3-etcd3, and etcdctl beside
Debian's etcd."""

import argparse
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import etcd, processes  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.cluster import LocalCluster, http_get  # noqa: E402

for message, fields in {
    "Event": {1: ("type", "int"), 2: ("kv", "KeyValue"), 3: ("prev_kv", "KeyValue")},
    "WatchCreateRequest": {
        1: ("key", "bytes"), 2: ("range_end", "bytes"), 3: ("start_revision", "int"),
        4: ("progress_notify", "int"), 5: ("filters", "*int"), 6: ("prev_kv", "int"),
        7: ("watch_id", "int"), 8: ("fragment", "int")},
    "WatchCancelRequest": {1: ("watch_id", "int")},
    "WatchProgressRequest": {},
    "WatchRequest": {1: ("create_request", "WatchCreateRequest"),
                     2: ("cancel_request", "WatchCancelRequest"),
                     3: ("progress_request", "WatchProgressRequest")},
    "WatchResponse": {
        1: ("header", "ResponseHeader"), 2: ("watch_id", "int"), 3: ("created", "int"),
        4: ("canceled", "int"), 5: ("compact_revision", "int"), 6: ("cancel_reason", "bytes"),
        7: ("fragment", "int"), 11: ("events", "*Event")},
    "CompactionRequest": {1: ("revision", "int"), 2: ("physical", "int")},
    "CompactionResponse": {1: ("header", "ResponseHeader")},
}.items():
    etcd.MESSAGES.setdefault(message, fields)

SECONDS = 30  # how long anything may take before it counts as lost
SLOW_BYTES_MAX = 64 << 20  # what a watcher that is not read may cost the server, caches included
PROGRESS_INTERVAL = 1.0


class Watch:
    """A watch stream whose answers are read on a thread, or not while `pause` is set."""

    def __init__(self, node, metadata=()):
        self.client = etcd.Client(node.endpoint)
        self.requests = queue.SimpleQueue()
        self.changed = threading.Condition()
        self.responses = []
        self.ended = None
        self.reading = threading.Event()
        self.reading.set()
        call = self.client.channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=lambda fields: etcd.encode("WatchRequest", fields),
            response_deserializer=lambda data: etcd.decode("WatchResponse", data))
        self.answers = call(iter(self.requests.get, None), metadata=list(metadata))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            for answer in self.answers:
                with self.changed:
                    self.responses.append(answer)
                    self.changed.notify_all()
                self.reading.wait()
            ended = (None, "")
        except grpc.RpcError as error:
            ended = (error.code(), error.details())
        with self.changed:
            self.ended = ended
            self.changed.notify_all()

    def create(self, key, **fields):
        """Asks for a watcher; its created response."""
        before = self.count("created")
        self.requests.put({"create_request": {"key": key, **fields}})
        self.wait(lambda: self.count("created") > before, "a created response")
        return [one for one in self.responses if one["created"]][before]

    def cancel(self, watch_id):
        self.requests.put({"cancel_request": {"watch_id": watch_id}})

    def progress(self):
        self.requests.put({"progress_request": {}})

    def count(self, field):
        return sum(1 for one in self.responses if one[field])

    def of(self, watch_id):
        return [one for one in self.responses if one["watch_id"] == watch_id]

    def events(self, watch_id=None):
        return [event for one in self.responses for event in one["events"]
                if watch_id is None or one["watch_id"] == watch_id]

    def wait(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(lambda: condition() or self.ended, SECONDS):
                raise AssertionError(f"{what} did not come; got {self.responses[-3:]}")
            if not condition():
                raise AssertionError(f"{what} did not come; the stream ended: {self.ended}")

    def await_events(self, count, watch_id=None):
        self.wait(lambda: len(self.events(watch_id)) >= count, f"event {count}")
        return self.events(watch_id)

    def await_end(self):
        with self.changed:
            if not self.changed.wait_for(lambda: self.ended, SECONDS):
                raise AssertionError("the stream did not end")
        return self.ended

    def close(self):
        self.reading.set()
        self.requests.put(None)
        self.answers.cancel()
        self.client.close()


def told(events):
    return [(one["type"], one["kv"]["key"], one["kv"]["value"], one["kv"]["mod_revision"])
            for one in events]


def every_node_tells_its_watchers(cluster):
    """Followers serve watches from what they have applied; all tell the same, in order."""
    watches = [Watch(node) for node in cluster.nodes]
    for watch in watches:
        watch.create(b"each/", range_end=b"each0")
    client = etcd.Client(cluster.nodes[0].endpoint)
    wanted = []
    for number in range(50):
        key = b"each/%d" % (number % 7)
        revision = client.put(key, b"%d" % number)["header"]["revision"]
        wanted.append((0, key, b"%d" % number, revision))
    revision = client.delete(b"each/", range_end=b"each0")["header"]["revision"]
    wanted += [(1, b"each/%d" % number, b"", revision) for number in range(7)]
    for node, watch in zip(cluster.nodes, watches):
        assert told(watch.await_events(57)) == wanted, f"{node.name}: {told(watch.events())}"
        watch.close()


def a_write_before_the_watch_is_no_news(cluster):
    """A watch that begins now begins behind every write that was acknowledged on the node before."""
    client = etcd.Client(cluster.nodes[1].endpoint)
    watch = Watch(cluster.nodes[1])
    for number in range(100):
        revision = client.put(b"before", b"%d" % number)["header"]["revision"]
        created = watch.create(b"before")
        assert created["header"]["revision"] >= revision, f"{created} after {revision}"
    last = client.put(b"before", b"last")["header"]["revision"]
    watch.wait(lambda: all(watch.events(one) for one in range(100)), "an event for each")
    watch.progress()
    watch.wait(lambda: watch.of(-1), "progress")
    for one in range(100):
        first = watch.events(one)[0]["kv"]["mod_revision"]
        created = [r for r in watch.of(one) if r["created"]][0]["header"]["revision"]
        assert first > created, f"watch {one} was created at {created} and told of {first}"
        assert watch.events(one)[-1]["kv"]["mod_revision"] == last
    watch.close()


def progress_is_told(cluster):
    client = etcd.Client(cluster.nodes[2].endpoint)
    watch = Watch(cluster.nodes[2])
    quiet = watch.create(b"quiet", progress_notify=1)["watch_id"]
    watch.create(b"other")
    watch.wait(lambda: len(watch.of(quiet)) >= 3, "progress by interval")
    assert all(not one["events"] and not one["canceled"] for one in watch.of(quiet))
    revision = client.put(b"elsewhere", b"x")["header"]["revision"]
    watch.wait(lambda: watch.of(quiet)[-1]["header"]["revision"] >= revision, "newer progress")
    watch.progress()
    watch.wait(lambda: watch.of(-1), "progress on request")
    assert watch.of(-1)[0]["header"]["revision"] >= revision
    watch.close()


def a_slow_reader_is_bounded_and_loses_nothing(cluster):
    """150 MB of events for a client that does not read: the server holds a fraction of it, and the
    client gets all of it once it reads. Another watcher notices nothing."""
    node = cluster.nodes[0]
    client = etcd.Client(node.endpoint)
    slow, quick = Watch(node), Watch(node)
    slow.create(b"slow")
    quick.create(b"slow")
    slow.reading.clear()
    value = random.Random(7).randbytes(100_000)
    for _ in range(200):  # caches and the log's buffers are grown before the measurement
        client.put(b"warm", value)
    before = resident_bytes(node.pid)
    count, most = 1500, 0
    for number in range(count):
        client.put(b"slow", b"%d " % number + value)
        if number % 50 == 0:
            most = max(most, resident_bytes(node.pid))
    quick.await_events(count)
    text = http_get(f"{node.client}/metrics", 5).decode()
    behind = float(re.search(r"^etcd_debugging_mvcc_slow_watcher_total (\S+)", text, re.M)[1])
    assert behind == 1, f"{behind} watchers are behind"
    grown = most - before
    print(f"        {count * len(value) >> 20} MiB of events not read: the server grew by "
          f"{grown / (1 << 20):.0f} MiB", flush=True)
    assert grown < SLOW_BYTES_MAX + etcd_memtables(), f"the server grew by {grown >> 20} MiB"
    slow.reading.set()
    events = slow.await_events(count)
    assert [int(e["kv"]["value"].split(b" ", 1)[0]) for e in events] == list(range(count))
    slow.close()
    quick.close()


def etcd_memtables():
    """What the store's own write buffers may grow by meanwhile."""
    return 128 << 20


def resident_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("no RssAnon")


def one_revision_is_one_response(cluster):
    """Without `fragment` a transaction is never split, however large; with it, it may be."""
    client = etcd.Client(cluster.nodes[0].endpoint)
    watch = Watch(cluster.nodes[0])
    whole = watch.create(b"big/", range_end=b"big0", prev_kv=1)["watch_id"]
    parts = watch.create(b"big/", range_end=b"big0", prev_kv=1, fragment=1)["watch_id"]
    for letter in (b"x", b"y"):
        client.txn(success=[
            {"request_put": {"key": b"big/%02d" % number, "value": letter * 28_000}}
            for number in range(50)], timeout=20)
    watch.await_events(100, whole)
    watch.await_events(100, parts)
    sizes = [len(one["events"]) for one in watch.of(whole) if one["events"]]
    assert sizes in ([50, 50], [100]), sizes
    pieces = [one for one in watch.of(parts) if one["events"]]
    assert any(one["fragment"] for one in pieces), "nothing was split"
    assert not pieces[-1]["fragment"]
    assert told(watch.events(whole)) == told(watch.events(parts))
    assert watch.events(parts)[99]["prev_kv"]["value"] == b"x" * 28_000
    watch.close()


def compaction_ends_what_it_must(cluster):
    client = etcd.Client(cluster.nodes[0].endpoint)
    etcd.METHODS.setdefault("Compact", "KV")
    revisions = [client.put(b"c", b"%d" % number)["header"]["revision"] for number in range(6)]
    compact = client.channel.unary_unary(
        "/etcdserverpb.KV/Compact",
        request_serializer=lambda fields: etcd.encode("CompactionRequest", fields),
        response_deserializer=lambda data: etcd.decode("CompactionResponse", data))
    compact({"revision": revisions[3]}, timeout=5)
    for node in cluster.nodes:
        client = etcd.Client(node.endpoint)
        client.get(b"c")  # linearizable: this node has applied the compaction
        watch = Watch(node)
        lost = watch.create(b"c", start_revision=revisions[2])
        assert lost["watch_id"] == 0 and not lost["canceled"], lost
        watch.wait(lambda: watch.count("canceled"), "the end of the watch")
        end = [one for one in watch.responses if one["canceled"]][0]
        assert end["compact_revision"] == revisions[3] and end["watch_id"] == 0, end
        kept = watch.create(b"c", start_revision=revisions[3], prev_kv=1)["watch_id"]
        events = watch.await_events(3, kept)
        assert [one["kv"]["mod_revision"] for one in events] == revisions[3:], told(events)
        # What came before the floor is gone, what came at it is not.
        assert events[0]["prev_kv"] is None, events[0]
        assert events[1]["prev_kv"]["value"] == b"3", events[1]
        watch.close()


def what_cannot_be_watched_is_refused(cluster):
    watch = Watch(cluster.nodes[0])
    for fields, reason in [
        ({"key": b"b", "range_end": b"a"}, b"mvcc: watcher range is empty"),
        ({"key": b"a", "watch_id": 7}, b""),
        ({"key": b"a", "watch_id": 7}, b"mvcc: duplicate watch ID provided on the WatchStream"),
        ({"key": b"a", "start_revision": -1},
         b"etcdserver: mvcc: required revision has been compacted"),
    ]:
        created = watch.create(fields.pop("key"), **fields)
        assert created["cancel_reason"] == reason, created
        assert created["canceled"] == bool(reason), created
        assert created["watch_id"] == (-1 if reason else 7), created
    watch.close()


def the_death_of_the_leader_ends_no_watch(cluster):
    """Only a client that asked for it (`hasleader`) is told that there is no leader."""
    leader = etcd.leader_of(cluster.nodes)
    node = next(one for one in cluster.nodes if one is not leader)
    others = [one for one in cluster.nodes if one is not node]
    watch, anxious = Watch(node), Watch(node, [("hasleader", "true")])
    watch.create(b"alive")
    anxious.create(b"alive")
    cluster.kill([leader])
    client = etcd.Client(node.endpoint)
    revisions = []

    def put():
        try:
            revisions.append(client.put(b"alive", b"1", timeout=2)["header"]["revision"])
        except grpc.RpcError:
            return False
        return True

    processes.wait_until("a new leader", put, SECONDS)
    watch.wait(lambda: any(one["kv"]["mod_revision"] == revisions[0] for one in watch.events()),
               "the event after the leader's death")
    assert anxious.ended is None, f"a short election ended the stream: {anxious.ended}"
    cluster.kill([one for one in others if one is not leader])
    code, details = anxious.await_end()
    assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader"), details
    refused = Watch(node, [("hasleader", "true")])
    assert refused.await_end() == (grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader")
    assert watch.ended is None, watch.ended
    cluster.start(others)
    cluster.wait_serving(others)
    seen = len(watch.events())
    processes.wait_until("a leader again", put, SECONDS)
    watch.await_events(seen + 1)
    for one in (watch, anxious, refused):
        one.close()


def a_stop_ends_every_watch(cluster):
    node = cluster.nodes[0]
    watch = Watch(node)
    watch.create(b"stop")
    began = time.monotonic()
    stubborn = cluster.stop([node])
    took = time.monotonic() - began
    code, details = watch.await_end()
    watch.close()
    cluster.start([node])
    cluster.wait_serving([node])
    assert not stubborn and took < 10, f"the node took {took:.1f} s to stop"
    assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "etcdserver: server stopped"), details


def python_etcd3_watches(cluster):
    import etcd3

    node = cluster.nodes[1]
    client = etcd3.client(host="127.0.0.1", port=node.client_port)
    iterator, cancel = client.watch_prefix("p3/")
    threading.Timer(SECONDS, cancel).start()
    client.put("p3/a", "1")
    client.put("elsewhere", "2")
    client.delete("p3/a")
    first, second = next(iterator), next(iterator)
    assert (first.key, first.value) == (b"p3/a", b"1")
    assert isinstance(second, etcd3.events.DeleteEvent) and second.key == b"p3/a"
    cancel()
    client.close()


# (title, what etcdctl watches, what is done meanwhile)
ETCDCTL = [
    ("a key", ["watch", "a"], [["put", "a", "1"], ["put", "b", "2"], ["del", "a"]]),
    ("a prefix with what was before", ["watch", "a", "--prefix", "--prev-kv"],
     [["put", "a", "1"], ["put", "ab", "1"], ["put", "a", "2"], ["del", "a", "--prefix"]]),
    ("everything from a revision", ["watch", "", "--prefix", "--rev", "2", "-w", "json"],
     [["put", "z", "1"]]),
    ("a range", ["watch", "a", "c"], [["put", "a", "1"], ["put", "c", "1"], ["put", "b", "1"]]),
    ("from a key on", ["watch", "y", "--from-key"], [["put", "x", "1"], ["put", "z", "1"]]),
    ("a compacted revision", ["watch", "a", "--rev", "1"], []),
]


def etcdctl_prints_the_same(ours, theirs, etcdctl, what, doing):
    """The same watch and the same commands on both clusters, one after another."""
    printed = []
    for cluster in (theirs, ours):
        command = [etcdctl, "--endpoints", cluster.nodes[0].endpoint]
        watch = subprocess.Popen(
            [*command, *what], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1)
        for one in doing:
            subprocess.run([*command, *one], check=True, capture_output=True, timeout=20)
        time.sleep(1)
        ended = watch.poll()
        watch.kill()
        out, error = watch.communicate()
        printed.append((ended, masked(out.decode()), error.decode().strip().splitlines()[-1:]))
    assert printed[0] == printed[1], f"etcd: {printed[0]}\nours: {printed[1]}"
    assert printed[0][1] or printed[0][0], "nothing was printed"


def masked(text):
    """Without identities and terms."""
    return re.sub(r'"(cluster_id|member_id|raft_term)":\d+', r'"\1":0', text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    options = parser.parse_args()
    processes.exit_on_signals()
    checks = Checks("watches")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        cluster = LocalCluster(
            folder / "spine", options.bin / "spined",
            flags=["--watch-progress-notify-interval", f"{PROGRESS_INTERVAL}s"])
        cluster.start()
        cluster.wait_serving()
        etcdctl, server = shutil.which("etcdctl"), shutil.which("etcd")
        if etcdctl and server:
            theirs = LocalCluster(folder / "etcd", server, nodes=1)
            theirs.start()
            theirs.wait_serving()
            for one in (cluster, theirs):
                for words in (["put", "a", "0"], ["put", "a", "0"], ["compact", "3"]):
                    subprocess.run([etcdctl, "--endpoints", one.nodes[0].endpoint, *words],
                                   check=True, capture_output=True, timeout=20)
            for title, what, doing in ETCDCTL:
                with checks.check(f"etcdctl watches {title}, as beside etcd"):
                    etcdctl_prints_the_same(cluster, theirs, etcdctl, what, doing)
            theirs.stop()
        else:
            checks.skip("etcdctl watch beside etcd", "etcd-client or etcd-server is not installed",
                        len(ETCDCTL))
        try:
            import etcd3  # noqa: F401
        except ImportError as error:
            checks.skip("python3-etcd3 watches", error)
        else:
            with checks.check("python3-etcd3 watches"):
                python_etcd3_watches(cluster)
        for check in (
            every_node_tells_its_watchers, a_write_before_the_watch_is_no_news, progress_is_told,
            one_revision_is_one_response, what_cannot_be_watched_is_refused,
            compaction_ends_what_it_must,
            the_death_of_the_leader_ends_no_watch, a_stop_ends_every_watch,
        ):
            with checks.check(check.__name__.replace("_", " ")):
                check(cluster)
        cluster.stop()
        # One node: what its own memory holds is what is asked.
        alone = LocalCluster(folder / "alone", options.bin / "spined", nodes=1)
        alone.start()
        alone.wait_serving()
        with checks.check("a slow reader is bounded and loses nothing"):
            a_slow_reader_is_bounded_and_loses_nothing(alone)
        alone.stop()
    checks.finish()


if __name__ == "__main__":
    main()
