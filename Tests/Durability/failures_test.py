"""What members may not do after a failure: a paused leader, a member that lost its disk."""

import argparse
import os
import shutil
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
from lib.failover import KeyWriter  # noqa: E402

# Longer than any request of the leader's own clients may take (5 s and two election timeouts).
PAUSE_SECONDS = 9


def started(folder, program):
    cluster = LocalCluster(folder, program)
    cluster.start()
    cluster.wait_serving()
    return cluster


def leader(cluster, nodes):
    found = []
    processes.wait_until("a leader", lambda: found.append(etcd.leader_of(nodes)) or found[-1], 20)
    return found[-1]


def check_paused_leader(checks, folder, program):
    """SIGSTOP under load, as a machine that is suspended; then it must not answer from the past."""
    cluster = started(folder, program)
    paused = leader(cluster, cluster.nodes)
    others = [node for node in cluster.nodes if node is not paused]
    stop = threading.Event()
    # Several writers on the leader, so that requests wait in it when it is paused.
    writers = [KeyWriter(f"w{i}", [paused, *others], stop) for i in range(8)]
    for writer in writers:
        writer.start()
    time.sleep(1)
    os.kill(paused.pid, signal.SIGSTOP)
    time.sleep(PAUSE_SECONDS)
    client = etcd.Client(others[0].endpoint)
    client.put(b"paused", b"written meanwhile")
    os.kill(paused.pid, signal.SIGCONT)
    with checks.check("a leader that was paused never answers a linearizable read from the past"):
        resumed = etcd.Client(paused.endpoint)
        deadline = time.monotonic() + 3
        answers = 0
        while time.monotonic() < deadline:
            try:
                kvs = resumed.get(b"paused")["kvs"]
            except grpc.RpcError:
                continue
            answers += 1
            assert kvs and kvs[0]["value"] == b"written meanwhile", f"stale: {kvs}"
        resumed.close()
        assert answers, "it answered nothing for 3 s"
    stop.set()
    for writer in writers:
        writer.join(20)
    with checks.check("it goes on, and nothing acknowledged is lost"):
        assert paused.running(), f"it ended:\n{paused.log_tail()}"
        cluster.wait_serving()
        acknowledged = sum(len(writer.acknowledged) for writer in writers)
        lost = [key for writer in writers for key in writer.lost(paused)]
        assert acknowledged > 100, f"only {acknowledged} writes"
        assert not lost, f"{len(lost)} of {acknowledged}: {lost[:5]}"
    client.close()
    cluster.stop()


def check_lost_disk(checks, folder, program):
    """A member with an empty disk would vote for a leader that lacks what it once acknowledged."""
    cluster = started(folder, program)
    first, second, third = cluster.nodes
    client = etcd.Client(second.endpoint)
    client.put(b"before", b"1")
    cluster.kill([first])
    for number in range(50):
        client.put(f"kept/{number}".encode(), b"1")
    client.close()
    cluster.kill([second, third])
    shutil.rmtree(third.data)
    cluster.start([first, third])
    with checks.check("a member that lost its disk is stopped with one line that says why"):
        processes.wait_until("the end of the emptied member", lambda: not third.running(), 30)
        assert third.process.wait(5) == 1, third.process.returncode
        assert "had another data directory" in third.log_tail(), third.log_tail()
    with checks.check("what it acknowledged before is served by the others, and by nobody less"):
        alone = etcd.Client(first.endpoint)
        try:
            answer = alone.get(b"before", timeout=9)
            raise AssertionError(f"a linearizable read without a quorum: {answer}")
        except grpc.RpcError:
            pass
        cluster.start([second])
        processes.wait_until("a quorum", lambda: etcd.leader_of([first, second]), 30)
        kept = list(alone.all(b"kept/", b"kept0"))
        assert len(kept) == 50, f"{len(kept)} of 50"
        alone.close()
    cluster.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    options = parser.parse_args()
    processes.exit_on_signals()
    checks = Checks("failures")
    with tempfile.TemporaryDirectory() as folder:
        program = options.bin / "spined"
        check_paused_leader(checks, Path(folder) / "paused", program)
        check_lost_disk(checks, Path(folder) / "lost", program)
    checks.finish()


if __name__ == "__main__":
    main()
