"""spinectl against three nodes: verbs, output, keyspaces, failover, and recovery points."""

import argparse
import base64
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import etcd, processes  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.cluster import LocalCluster, free_base_port  # noqa: E402


class Spinectl:
    def __init__(self, program, endpoints):
        self.program, self.endpoints = program, endpoints

    def __call__(self, *words, code=0, stdin="", endpoints=None, connects=True):
        where = ["--endpoints", ",".join(endpoints or self.endpoints)] if connects else []
        result = subprocess.run([self.program, *map(str, words), *where], input=stdin,
                                capture_output=True, text=True, timeout=120)
        assert result.returncode == code, f"{words}: {result}"
        return result.stdout if code == 0 else result.stderr + result.stdout

    def json(self, *words, **options):
        return json.loads(self(*words, "-o", "json", **options))


def text(kv):
    return tuple(base64.b64decode(kv[field]).decode() for field in ("key", "value"))


def check_verbs(checks, spinectl, cluster):
    with checks.check("put and get, as table and JSON"):
        spinectl("put", "greeting", "hello world")
        assert "hello world" in spinectl("get", "greeting")
        spinectl("put", "greeting", "hello again")
        kvs = spinectl.json("get", "greeting")["kvs"]
        assert [text(kv) for kv in kvs] == [("greeting", "hello again")], kvs
        assert kvs[0]["version"] == 2 and kvs[0]["mod_revision"] == 3, kvs
        assert kvs[0]["create_revision"] == 2, kvs
    with checks.check("ranges: prefix, limit, order, revision, count"):
        for i in range(5):
            spinectl("put", f"many/{i}", f"value {i}")
        answer = spinectl.json("get", "many/", "--prefix", "--limit", 2, "--sort-by", "value",
                               "--order", "descend")
        assert [text(kv)[0] for kv in answer["kvs"]] == ["many/4", "many/3"], answer
        assert answer["count"] == 5, answer
        old = spinectl.json("get", "greeting", "--rev", 2)["kvs"]
        assert text(old[0])[1] == "hello world", old
    with checks.check("txn takes the branch that its conditions choose"):
        script = 'version("greeting") = "2"\n\nput greeting "by txn"\nget greeting\n\nget greeting\n'
        first, second = (spinectl.json("txn", stdin=script) for _ in range(2))
        assert first["succeeded"] and not second["succeeded"], (first, second)
        assert text(first["results"][1]["kvs"][0])[1] == "by txn", first
    with checks.check("del says how many"):
        assert spinectl.json("del", "many/", "--prefix")["deleted"] == 5
        assert spinectl.json("del", "many/", "--prefix")["deleted"] == 0
    with checks.check("status and members name all three"):
        rows = spinectl.json("status")
        assert sorted(row["endpoint"] for row in rows) == sorted(cluster.endpoints), rows
        assert [row["leader"] for row in rows].count(True) == 1, rows
        members = json.dumps(spinectl.json("members"))
        assert all(n.name in members and n.client in members for n in cluster.nodes), members
    with checks.check("keyspaces are apart"):
        spinectl("put", "only-here", "1", "--keyspace", "fhir")
        assert spinectl.json("get", "only-here")["count"] == 0
        assert spinectl.json("get", "only-here", "--keyspace", "fhir")["count"] == 1
        spinectl("del", "only-here", "--keyspace", "fhir")
        assert "nowhere" in spinectl("get", "x", "--keyspace", "nowhere", code=1)


def check_failures(checks, spinectl, cluster):
    dead = f"127.0.0.1:{free_base_port(1)}"
    with checks.check("endpoints fail over"):
        spinectl("put", "failover", "1", endpoints=[dead, *cluster.endpoints])
        assert spinectl.json("get", "failover", endpoints=[dead, *cluster.endpoints])["count"] == 1
    with checks.check("nobody there: one line and 1"):
        said = spinectl("get", "x", "--timeout", 2, code=1, endpoints=[dead])
        assert len(said.strip().splitlines()) == 1 and dead in said, said
    with checks.check("shared options may stand before the verb"):
        said = subprocess.run(
            [spinectl.program, "--endpoints", ",".join(cluster.endpoints), "-o", "json", "get",
             "nothing-here"], capture_output=True, text=True, timeout=60)
        assert said.returncode == 0 and json.loads(said.stdout)["count"] == 0, said
    with checks.check("a wrong command line: 64"):
        spinectl("get", "x", "--no-such-flag", code=64)
        spinectl("fly", code=64, connects=False)
        spinectl("get", "", code=64)
    with checks.check("status says which node is down, with 1"):
        cluster.kill([cluster.nodes[1]])
        said = subprocess.run([spinectl.program, "status", "--endpoints",
                               ",".join(cluster.endpoints)], capture_output=True, text=True,
                              timeout=60)
        assert said.returncode == 1 and "unreachable" in said.stdout, said
        spinectl("put", "two-of-three", "1")
        cluster.start()
        cluster.wait_serving()


def writing(endpoint, stop):
    """Adds 1 to two keys in each transaction, so that they are equal at every revision."""
    client = etcd.Client(endpoint)
    number = 0
    while not stop.is_set():
        number += 1
        value = b"%d" % number
        try:
            client.txn(success=[{"request_put": {"key": key, "value": value}}
                                for key in (b"cut/a", b"cut/b")])
        except grpc.RpcError:
            pass
    client.close()


def check_recovery(checks, spinectl, cluster, binaries, folder):
    point = folder / "point"
    second = LocalCluster(folder / "second", binaries / "spined")
    client = etcd.Client(cluster.endpoints[0])
    for i in range(300):
        client.put(b"bulk/%d" % (i % 200), b"x" * (i * 7))
    client.delete(b"bulk/1")
    with checks.check("a recovery point taken under writes is a cut, and verifies"):
        stop = threading.Event()
        writer = threading.Thread(target=writing, args=(cluster.endpoints[1], stop), daemon=True)
        writer.start()
        spinectl("snapshot", "create", point)
        stop.set()
        writer.join(20)
        spinectl("snapshot", "verify", point, connects=False)
    with checks.check("create refuses a directory that holds something"):
        spinectl("snapshot", "create", point, code=1)
    with checks.check("verify names a changed, a missing and an added file"):
        files = sorted(path for path in point.rglob("*") if path.is_file())
        for i, harm in enumerate((flip, cut, Path.unlink, add)):
            for file in files:
                copy = folder / f"harmed-{i}-{file.name}"
                shutil.copytree(point, copy)
                harmed = harm(copy / file.relative_to(point)) or copy / file.relative_to(point)
                said = spinectl("snapshot", "verify", copy, code=1, connects=False)
                assert harmed.name in said, f"{harm.__name__} {harmed.name}: {said}"
                shutil.rmtree(copy)
    with checks.check("restore into the cluster that holds data is refused"):
        spinectl("snapshot", "restore", point, code=1)
    second.start()
    second.wait_serving()
    with checks.check("restore of a harmed point is refused, and the cluster stays empty"):
        copy = folder / "harmed"
        shutil.copytree(point, copy)
        flip(max(copy.rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0))
        spinectl("snapshot", "restore", copy, code=1, endpoints=second.endpoints)
        assert spinectl.json("get", "", "--prefix", endpoints=second.endpoints)["count"] == 0
    with checks.check("restore into an empty cluster keeps the cut and every older revision"):
        spinectl("snapshot", "restore", point, endpoints=second.endpoints)
        second.wait_serving()
        restored = etcd.Client(second.endpoints[2])
        pair = restored.get(b"cut/", range_end=b"cut0")
        assert pair["count"] == 2 and pair["kvs"][0]["value"] == pair["kvs"][1]["value"], pair
        revision = pair["header"]["revision"]
        for at in (revision, revision - 1, 300, 100, 3):
            sides = [c.get(b"\0", range_end=b"\0", revision=at)["kvs"]
                     for c in (client, restored)]
            assert sides[0] and sides[0] == sides[1], f"revision {at} differs"
        restored.put(b"after", b"1")
        assert restored.get(b"after")["kvs"][0]["mod_revision"] == revision + 1
        restored.close()
    with checks.check("a second restore is refused; the cluster has an identity of its own"):
        spinectl("snapshot", "restore", point, code=1, endpoints=second.endpoints)
        ids = {etcd.Client(c.endpoints[0]).status()["header"]["cluster_id"]
               for c in (cluster, second)}
        assert len(ids) == 2, ids
    with checks.check("what was restored survives kill -9 of all nodes"):
        second.kill()
        second.start()
        second.wait_serving()
        assert spinectl.json("get", "bulk/", "--prefix", endpoints=second.endpoints)["count"] == 199
        second.stop()
    client.close()


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)


def cut(file):
    data = file.read_bytes()
    file.write_bytes(data[:len(data) - 1])


def add(file):
    added = file.with_name("added.bin")
    added.write_bytes(b"not of this point")
    return added


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    options = parser.parse_args()
    processes.exit_on_signals()
    checks = Checks("spinectl")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        cluster = LocalCluster(folder / "first", options.bin / "spined")
        cluster.start()
        cluster.wait_serving()
        spinectl = Spinectl(options.bin / "spinectl", cluster.endpoints)
        check_verbs(checks, spinectl, cluster)
        check_failures(checks, spinectl, cluster)
        check_recovery(checks, spinectl, cluster, options.bin, folder)
        cluster.stop()
    checks.finish()


if __name__ == "__main__":
    main()
