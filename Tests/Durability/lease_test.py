"""Leases on real processes, while leaders are killed and stand still (docs/leases.md): none expires
before its time after its last acknowledged keep-alive, and each expires within the stated time."""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import etcd, processes  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.cluster import LocalCluster  # noqa: E402

# Of the default settings: another leader is there within two of them (docs/leases.md).
ELECTION_SECONDS = 1.0
# How late a lease may be while nothing is wrong, on a machine that does other things as well.
LATE_SECONDS = 1.5
MANY = 2000


def keep_alive(client, lease, timeout=2):
    """Seconds that one keep-alive brought; 0 when the lease is gone, None when nobody answered."""
    call = client.stream("LeaseKeepAlive", iter([{"ID": lease}]))
    timer = threading.Timer(timeout, call.cancel)
    timer.start()
    try:
        return next(call)["TTL"]
    except (grpc.RpcError, StopIteration):
        return None
    finally:
        timer.cancel()


class Holder(threading.Thread):
    """Keeps a lease alive through one node after another, and notes when it sent what was
    acknowledged."""

    def __init__(self, cluster, lease, seconds):
        super().__init__(daemon=True)
        self.lease, self.seconds = lease, seconds
        self.clients = [etcd.Client(endpoint) for endpoint in cluster.endpoints]
        self.promised_until = 0
        self.acknowledged = 0
        self.lost_at = None
        self.stop = threading.Event()

    def run(self):
        turn = self.lease
        while not self.stop.wait(self.seconds / 6):
            turn += 1
            sent = time.monotonic()
            brought = keep_alive(self.clients[turn % len(self.clients)], self.lease)
            if brought == 0:
                self.lost_at = time.monotonic()
                return
            if brought:
                assert brought == self.seconds, (brought, self.seconds)
                self.acknowledged += 1
                self.promised_until = max(self.promised_until, sent + brought)


class Watcher(threading.Thread):
    """Lists the leases again and again, and notes when each was first missing."""

    def __init__(self, cluster, leases):
        super().__init__(daemon=True)
        self.clients = [etcd.Client(endpoint) for endpoint in cluster.endpoints]
        self.leases = set(leases)
        self.gone_at = {}
        self.lists = 0
        self.stop = threading.Event()

    def run(self):
        turn = 0
        while not self.stop.wait(0.02):
            turn += 1
            try:
                answer = self.clients[turn % len(self.clients)].call("LeaseLeases", {}, timeout=1)
            except grpc.RpcError:
                continue
            now = time.monotonic()
            self.lists += 1
            there = {lease["ID"] for lease in answer["leases"]}
            for lease in self.leases - there:
                self.gone_at.setdefault(lease, now)


def leader(cluster):
    found = []
    processes.wait_until(
        "a leader", lambda: found.append(etcd.leader_of(cluster.nodes, 1)) or found[-1], 30)
    return found[-1]


def grant(cluster, lease, seconds):
    """When the grant was sent."""
    client = etcd.Client(cluster.endpoints[lease % len(cluster.endpoints)])
    sent = time.monotonic()
    assert client.call("LeaseGrant", {"ID": lease, "TTL": seconds})["TTL"] == seconds
    client.put(f"held/{lease}".encode(), b"1", lease=lease)
    client.close()
    return sent


def check_faults(checks, cluster):
    """Leases are kept alive while the leader is killed, stands still, and comes back."""
    terms = {lease: (4, 6, 10)[lease % 3] for lease in range(1, 10)}
    for lease, seconds in terms.items():
        grant(cluster, lease, seconds)
    holders = [Holder(cluster, lease, seconds) for lease, seconds in terms.items()]
    watcher = Watcher(cluster, terms)
    for thread in [*holders, watcher]:
        thread.start()
    time.sleep(2)
    killed = leader(cluster)
    cluster.kill([killed])
    time.sleep(4)
    cluster.start([killed])
    cluster.wait_serving([killed])
    paused = leader(cluster)
    os.kill(paused.pid, signal.SIGSTOP)
    time.sleep(7)  # longer than the shortest leases
    os.kill(paused.pid, signal.SIGCONT)
    time.sleep(4)
    for holder in holders:
        holder.stop.set()
    for holder in holders:
        holder.join(10)
    with checks.check("leases outlive a killed leader and one that stands still"):
        lost = [holder.lease for holder in holders if holder.lost_at and holder.seconds == 10]
        assert not lost, f"{lost} of 10 s, kept alive every 1.7 s"
        assert all(holder.acknowledged for holder in holders)
    last = max(holder.promised_until for holder in holders)
    processes.wait_until("the end of all leases", lambda: len(watcher.gone_at) == len(terms),
                         max(0, last - time.monotonic()) + 20)
    watcher.stop.set()
    with checks.check("none expired before its time after its last acknowledged keep-alive"):
        early = {holder.lease: watcher.gone_at[holder.lease] - holder.promised_until
                 for holder in holders
                 if watcher.gone_at[holder.lease] < holder.promised_until}
        assert not early, f"seconds: {early}"
        assert watcher.lists > 100, watcher.lists
    late = [watcher.gone_at[holder.lease] - holder.promised_until for holder in holders
            if not holder.lost_at]
    checks.expect(f"each expired within {LATE_SECONDS} s of its time (the last by "
                  f"{max(late):.2f} s)", max(late) <= LATE_SECONDS, late)
    with checks.check("their keys went with them"):
        client = etcd.Client(leader(cluster).endpoint)
        assert not client.get(b"held/", range_end=b"held0")["kvs"]
        client.close()


def check_unkept(checks, cluster):
    """The leader is killed half way: the next one gives the lease its whole time again."""
    seconds = 4
    sent = grant(cluster, 21, seconds)
    watcher = Watcher(cluster, [21])
    watcher.start()
    time.sleep(seconds / 2)
    killed = leader(cluster)
    cluster.kill([killed])
    processes.wait_until("the end of the lease", lambda: watcher.gone_at, 30)
    watcher.stop.set()
    took = watcher.gone_at[21] - sent
    most = seconds / 2 + 3 * ELECTION_SECONDS + seconds + LATE_SECONDS
    checks.expect(f"a lease of {seconds} s whose leader dies half way ends within {most} s "
                  f"({took:.1f} s)", seconds <= took <= most, took)
    cluster.start([killed])
    cluster.wait_serving([killed])


def check_restart(checks, cluster):
    """All nodes at once: the leases are there again, with all their time."""
    grant(cluster, 31, 5)
    cluster.kill()
    began = time.monotonic()
    cluster.start()
    cluster.wait_serving()
    client = etcd.Client(cluster.endpoints[0])
    with checks.check("a lease outlives a crash of all nodes, and then ends"):
        answer = client.call("LeaseTimeToLive", {"ID": 31, "keys": 1})
        assert answer["grantedTTL"] == 5 and answer["keys"] == [b"held/31"], answer
        processes.wait_until(
            "its end", lambda: not client.call("LeaseLeases", {})["leases"], 30)
        assert time.monotonic() - began >= 5, time.monotonic() - began
        assert not client.get(b"held/31")["kvs"]
    client.close()


def check_stream(checks, cluster):
    """More keep-alives at once than a stream may have under way, of leases that are there or not."""
    grant(cluster, 41, 60)
    for node in cluster.nodes:
        client = etcd.Client(node.endpoint)
        asked = [(41, 60) if i % 3 else (42, 0) for i in range(700)]
        with checks.check(f"{node.name} answers 700 keep-alives of one stream in their order"):
            call = client.stream("LeaseKeepAlive", iter([{"ID": lease} for lease, _ in asked]))
            answers = [(answer["ID"], answer["TTL"]) for answer in call]
            assert answers == asked, answers[:10]
        client.close()
    client = etcd.Client(cluster.endpoints[0])
    client.call("LeaseRevoke", {"ID": 41})
    client.close()


def check_many(checks, cluster):
    """A new leader's clock begins for all leases at once, so they end at once: as late as the log is
    slow, and no request waits for all of them."""
    client = etcd.Client(leader(cluster).endpoint)
    seconds = 15
    pending = [client.begin("LeaseGrant", {"ID": 1000 + i, "TTL": seconds}, timeout=30)
               for i in range(MANY)]
    for call in pending:
        call.result()
    client.close()
    killed = leader(cluster)
    cluster.kill([killed])
    client = etcd.Client(leader(cluster).endpoint)
    began = time.monotonic()
    slowest, first_gone = 0, None
    while True:
        count = len(client.call("LeaseLeases", {}, timeout=10)["leases"])
        now = time.monotonic()
        if first_gone is None and count < MANY:
            first_gone = now
        if not count:
            break
        client.put(b"beside", b"1")
        slowest = max(slowest, time.monotonic() - now)
        assert now - began < 90, "they do not end"
    took = time.monotonic() - first_gone
    checks.expect(f"{MANY} leases that end at once are gone within {took:.1f} s; the slowest put "
                  f"beside took {slowest:.2f} s", took < 10 and slowest < 5)
    client.close()
    cluster.start([killed])
    cluster.wait_serving([killed])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    options = parser.parse_args()
    processes.exit_on_signals()
    checks = Checks("leases")
    with tempfile.TemporaryDirectory() as folder:
        cluster = LocalCluster(Path(folder) / "leases", options.bin / "spined")
        cluster.start()
        cluster.wait_serving()
        check_faults(checks, cluster)
        check_unkept(checks, cluster)
        check_restart(checks, cluster)
        check_stream(checks, cluster)
        check_many(checks, cluster)
        cluster.stop()
    checks.finish()


if __name__ == "__main__":
    main()
