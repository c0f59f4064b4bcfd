"""python3-etcd3 (Debian), a client that many Python services use, against a node of this store.

`--etcd` runs the same steps against Debian's etcd, to try the steps themselves.
"""

import argparse
import os
import sys
import tempfile
import threading
from pathlib import Path

# Its generated messages are older than the protobuf library beside it.
os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import processes  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.cluster import HOST, LocalCluster  # noqa: E402

EVENT_SECONDS = 10


def put_and_get(client):
    assert client.put("/p/1", "eins").header.revision == 2
    answer = client.put("/p/1", "one", prev_kv=True)
    assert answer.prev_kv.value == b"eins", answer
    value, meta = client.get("/p/1")
    assert (value, meta.key, meta.version, meta.create_revision, meta.mod_revision) == (
        b"one", b"/p/1", 2, 2, 3), meta
    assert client.get("/p/absent") == (None, None)
    assert client.put_if_not_exists("/p/2", "two") and not client.put_if_not_exists("/p/2", "x")
    assert client.replace("/p/2", "two", "zwei") and not client.replace("/p/2", "two", "x")


def ranges(client):
    for i in range(10):
        client.put(f"/r/{i}", str(9 - i))
    keys = [meta.key for _, meta in client.get_prefix("/r/")]
    assert keys == [b"/r/%d" % i for i in range(10)], keys
    values = [value for value, _ in client.get_prefix("/r/", sort_order="ascend",
                                                      sort_target="value")]
    assert values == [b"%d" % i for i in range(10)], values
    found = [value for value, _ in client.get_range("/r/3", "/r/5", sort_order="descend")]
    assert found == [b"5", b"6"], found
    assert client.get_prefix_response("/r/", keys_only=True).count == 10
    assert len(list(client.get_all())) == 12
    assert client.delete("/r/0") and not client.delete("/r/0")
    assert client.delete_prefix("/r/").deleted == 9


def transactions(client):
    client.put("/t/1", "a")
    steps = client.transactions
    won, answers = client.transaction(
        compare=[steps.value("/t/1") == "a", steps.version("/t/1") > 0, steps.create("/t/2") == 0],
        success=[steps.put("/t/2", "b"), steps.get("/t/1"), steps.get("/t/2")],
        failure=[steps.delete("/t/1")])
    assert won and [kvs[0][0] for kvs in answers[1:]] == [b"a", b"b"], answers
    won, answers = client.transaction(
        compare=[steps.mod("/t/1") < 2], success=[], failure=[
            steps.txn(compare=[], success=[steps.delete("/t/1")], failure=[])])
    assert not won and client.get("/t/1") == (None, None), answers


def compaction(client):
    import etcd3
    revision = client.put("/c", "1").header.revision
    client.put("/c", "2")
    client.compact(revision + 1, physical=True)
    try:
        client.compact(revision)
        raise AssertionError("what is compacted was compacted again")
    except etcd3.exceptions.Etcd3Exception as error:
        raise AssertionError(f"an unexpected error: {error!r}") from None
    except Exception as error:  # the client passes what it does not translate
        assert "required revision has been compacted" in str(error), error
    assert client.get("/c")[0] == b"2"


def statuses(client):
    status = client.status()
    assert status.version.startswith("3.") and status.leader is not None and status.db_size > 0
    # A member that has just begun may still have to tell its name.
    processes.wait_until("the member's name", lambda: [
        member.name for member in client.members] == ["n1"], 10)


def leases(client):
    lease = client.lease(600)
    client.put("/l/1", "x", lease)
    client.put("/l/2", "y", lease)
    info = client.get_lease_info(lease.id)
    assert (info.grantedTTL, sorted(info.keys)) == (600, [b"/l/1", b"/l/2"]), info
    assert lease.granted_ttl == 600 and 590 <= lease.remaining_ttl <= 600
    assert [answer.TTL for answer in lease.refresh()] == [600]
    lease.revoke()
    assert client.get("/l/1") == (None, None) and client.get_lease_info(lease.id).TTL == -1


def locks(client):
    # A second taker would wait in the library's retries, which Debian's python3-tenacity broke.
    with client.lock("one", ttl=60) as lock:
        assert lock.is_acquired()
        assert client.get(lock.key)[1].lease_id == lock.lease.id
    assert not lock.is_acquired() and client.get(lock.key) == (None, None)


def watches(client):
    revision = client.put("/w/1", "before").header.revision
    events, cancel = client.watch_prefix("/w/", start_revision=revision, prev_kv=True)
    client.put("/w/2", "after")
    client.delete("/w/1")
    got = take(events, 3)
    cancel()
    assert [(type(event).__name__, event.key, event.value) for event in got] == [
        ("PutEvent", b"/w/1", b"before"), ("PutEvent", b"/w/2", b"after"),
        ("DeleteEvent", b"/w/1", b"")], got
    assert got[2].prev_value == b"before", got[2]
    threading.Timer(0.5, lambda: client.put("/w/once", "now")).start()
    assert client.watch_once("/w/once", timeout=EVENT_SECONDS).value == b"now"


def take(events, count):
    """The first events of an iterator, which waits for ever by itself."""
    got = []
    thread = threading.Thread(
        target=lambda: got.extend(event for event, _ in zip(events, range(count))), daemon=True)
    thread.start()
    thread.join(EVENT_SECONDS)
    assert len(got) == count, f"{len(got)} of {count} events within {EVENT_SECONDS} s: {got}"
    return got


STEPS = [
    ("put, get, put if absent, replace", put_and_get),
    ("ranges, sorted and by prefix, and deletions", ranges),
    ("transactions, nested too", transactions),
    ("compaction, and the error of a second one", compaction),
    ("status and members", statuses),
    ("leases", leases),
    ("its lock, which is a key with a lease, and a watch", locks),
    ("watches", watches),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path)
    parser.add_argument("--etcd", action="store_true", help="try the steps on Debian's etcd")
    options = parser.parse_args()
    processes.exit_on_signals()
    checks = Checks("python3-etcd3")
    try:
        import etcd3
    except ImportError:
        checks.skip("python3-etcd3", "the package is not installed", len(STEPS))
        checks.finish()
    with tempfile.TemporaryDirectory() as folder:
        cluster = LocalCluster(
            folder, "/usr/bin/etcd" if options.etcd else options.bin / "spined", nodes=1)
        cluster.start()
        cluster.wait_serving()
        client = etcd3.client(host=HOST, port=cluster.nodes[0].client_port, timeout=EVENT_SECONDS,
                              grpc_options=[("grpc.enable_http_proxy", 0)])
        for title, steps in STEPS:
            with checks.check(title):
                steps(client)
        client.close()
    checks.finish()


if __name__ == "__main__":
    main()
