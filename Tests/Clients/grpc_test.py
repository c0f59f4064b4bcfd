"""Clients that are not ours against three nodes: grpcio, h2load, and raw bytes.

Ranges and transactions are drawn from a printed seed and compared with a model of etcd's rules.
"""

import argparse
import json
import random
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import etcd, processes  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.cluster import LocalCluster  # noqa: E402

SORT_FIELDS = {0: "key", 1: "version", 2: "create_revision", 3: "mod_revision", 4: "value"}
RANGES, TXNS = 400, 150


class Model:
    """What a keyspace holds, by etcd's rules, for one writer."""

    def __init__(self, revision):
        self.revision = revision
        self.now = {}
        self.past = {revision: {}}

    def commit(self, changes):
        """changes: [(key, value or None to delete)]; one revision for all that changed something."""
        changed = False
        state = dict(self.now)
        for key, value in changes:
            if value is None:
                changed |= state.pop(key, None) is not None
                continue
            changed = True
            old = state.get(key)
            state[key] = {
                "key": key, "value": value, "lease": 0, "mod_revision": self.revision + 1,
                "create_revision": old["create_revision"] if old else self.revision + 1,
                "version": old["version"] + 1 if old else 1}
        if changed:
            self.revision += 1
            self.now = state
            self.past[self.revision] = state

    def range(self, request):
        """kvs, more and count for a RangeRequest."""
        state = self.past[request.get("revision") or self.revision]
        chosen = [kv for key, kv in sorted(state.items())
                  if within(key, request["key"], request.get("range_end", b""))]
        count = len(chosen)
        for field in ("mod_revision", "create_revision"):
            low, high = request.get(f"min_{field}", 0), request.get(f"max_{field}", 0)
            chosen = [kv for kv in chosen
                      if kv[field] >= low and (not high or kv[field] <= high)]
        order, target = request.get("sort_order", 0), SORT_FIELDS[request.get("sort_target", 0)]
        limit = request.get("limit", 0)
        if limit and not order and not any(r.startswith(("min_", "max_")) for r in request):
            # etcd takes the first keys and one more before it sorts, when no order is asked for.
            chosen = chosen[:limit + 1]
        if order or target != "key":
            chosen.sort(key=lambda kv: kv[target], reverse=order == 2)
        more = bool(limit) and len(chosen) > limit
        if limit:
            chosen = chosen[:limit]
        if request.get("keys_only"):
            chosen = [{**kv, "value": b""} for kv in chosen]
        if request.get("count_only"):
            chosen, more = [], False
        return chosen, more, count


def within(key, start, end):
    if not end:
        return key == start
    return key >= start and (end == b"\0" or key < end)


def keys_for(chance):
    start = chance.choice([b"k", b"k1", b"k2", b"m", b"\0", b"k3"])
    end = chance.choice([b"", b"\0", etcd.prefix_end(start), b"k3", b"z"])
    return {"key": start, "range_end": end}


def random_range(chance, model):
    request = keys_for(chance)
    if chance.random() < 0.3:
        request["limit"] = chance.randrange(1, 12)
    if chance.random() < 0.6:
        request |= {"sort_order": chance.randrange(3), "sort_target": chance.randrange(5)}
    if chance.random() < 0.3:
        request["revision"] = chance.choice(list(model.past))
    if chance.random() < 0.2:
        request[chance.choice(["keys_only", "count_only", "serializable"])] = 1
    for field in ("mod_revision", "create_revision"):
        if chance.random() < 0.15:
            bound = chance.choice(["min", "max"])
            request[f"{bound}_{field}"] = chance.randrange(1, model.revision + 2)
    return request


def check_range(client, model, request):
    answer = client.get(**request)
    kvs, more, count = model.range(request)
    if request.get("sort_order", 0) or request.get("sort_target", 0):
        # Equal sort values come in any order, and a limit may cut among them: compare what is
        # determined, which is the sequence of sort values.
        target = SORT_FIELDS[request.get("sort_target", 0)]
        got, expected = ([kv[target] for kv in list_] for list_ in (answer["kvs"], kvs))
        assert target == "value" and request.get("keys_only") or got == expected, (
            request, got, expected)
        everything = {json.dumps(kv, default=repr, sort_keys=True) for kv in model.range(
            {**request, "limit": 0})[0]}
        assert all(json.dumps(kv, default=repr, sort_keys=True) in everything
                   for kv in answer["kvs"]), (request, answer)
    else:
        assert answer["kvs"] == kvs, (request, answer["kvs"], kvs)
    assert (bool(answer["more"]), answer["count"], len(answer["kvs"])) == (more, count, len(kvs)), (
        request, answer, more, count)
    assert answer["header"]["revision"] == model.revision, (answer["header"], model.revision)


def random_compare(chance, model):
    target = chance.choice([etcd.VERSION, etcd.CREATE, etcd.MOD, etcd.VALUE])
    compare = {"result": chance.randrange(4), "target": target, "key": b"k%d" % chance.randrange(30)}
    if chance.random() < 0.2:
        compare |= {"key": b"k1", "range_end": b"k2"}
    if target == etcd.VALUE:
        compare["value"] = b"v%d" % chance.randrange(10)
    else:
        name = {0: "version", 1: "create_revision", 2: "mod_revision"}[target]
        compare[name] = chance.randrange(0, 4 if target == etcd.VERSION else model.revision + 1)
    return compare


def holds(compare, model):
    names = {0: "version", 1: "create_revision", 2: "mod_revision", 3: "value"}
    name = names[compare["target"]]
    chosen = [kv for key, kv in model.now.items()
              if within(key, compare["key"], compare.get("range_end", b""))]
    if not chosen:
        if compare["target"] == etcd.VALUE:
            return False  # an absent key has no value to compare
        chosen = [{name: 0}]
    wanted = compare[name]
    return all({0: kv[name] == wanted, 1: kv[name] > wanted, 2: kv[name] < wanted,
                3: kv[name] != wanted}[compare["result"]] for kv in chosen)


def check_model(cluster, seed):
    """Puts, deletes, transactions and ranges through all nodes in turn, against the model."""
    chance = random.Random(seed)
    clients = [etcd.Client(node.endpoint) for node in cluster.nodes]
    model = Model(clients[0].get(b"x")["header"]["revision"])
    for step in range(120):
        key = b"%s%d" % (chance.choice([b"k", b"k", b"m"]), chance.randrange(30))
        client = clients[step % len(clients)]
        if chance.random() < 0.2:
            before = len(model.now)
            keys = keys_for(chance) if chance.random() < 0.1 else {"key": key}
            answer = client.call("DeleteRange", {**keys, "prev_kv": 1})
            gone = [kv for k, kv in sorted(model.now.items())
                    if within(k, keys["key"], keys.get("range_end", b""))]
            model.commit([(kv["key"], None) for kv in gone])
            assert answer["deleted"] == before - len(model.now) and answer["prev_kvs"] == gone
        else:
            value = b"v%d" % chance.randrange(10)
            old = model.now.get(key)
            answer = client.put(key, value, prev_kv=1)
            model.commit([(key, value)])
            assert answer["prev_kv"] == old, (answer, old)
        assert answer["header"]["revision"] == model.revision
    for step in range(RANGES):
        check_range(clients[step % len(clients)], model, random_range(chance, model))
    for step in range(TXNS):
        client = clients[step % len(clients)]
        compares = [random_compare(chance, model) for _ in range(chance.randrange(4))]
        key, other = b"k%d" % chance.randrange(30), b"m%d" % chance.randrange(30)
        success = all(holds(compare, model) for compare in compares)
        answer = client.txn(
            compares,
            success=[{"request_put": {"key": key, "value": b"won"}},
                     {"request_range": {"key": key}},
                     {"request_delete_range": {"key": other}}],
            failure=[{"request_txn": {"success": [
                {"request_put": {"key": other, "value": b"lost"}}]}}])
        assert bool(answer["succeeded"]) == success, (compares, answer)
        if success:
            deleted = other in model.now
            assert answer["responses"][0]["response_put"]["header"]["revision"] == (
                answer["header"]["revision"]), answer
            model.commit([(key, b"won"), (other, None)])
            assert answer["responses"][1]["response_range"]["kvs"] == [model.now[key]], answer
            assert answer["responses"][2]["response_delete_range"]["deleted"] == deleted
        else:
            model.commit([(other, b"lost")])
            assert answer["responses"][0]["response_txn"]["succeeded"]
        assert answer["header"]["revision"] == model.revision
        check_range(clients[(step + 1) % len(clients)], model, {"key": b"\0", "range_end": b"\0"})
    for client in clients:
        client.close()


def check_inner_headers(client):
    """Inside a transaction an answer holds the revision that was reached by then."""
    client.put(b"inner", b"1")
    answer = client.txn(success=[
        {"request_range": {"key": b"inner"}}, {"request_delete_range": {"key": b"inner-absent"}},
        {"request_txn": {"success": [{"request_range": {"key": b"inner"}},
                                     {"request_put": {"key": b"inner", "value": b"2"}}]}},
        {"request_range": {"key": b"inner"}}])
    own = answer["header"]["revision"]
    first, second, nested, last = answer["responses"]
    got = [first["response_range"], second["response_delete_range"], nested["response_txn"],
           *(inner[kind] for inner, kind in zip(nested["response_txn"]["responses"],
                                                ("response_range", "response_put"))),
           last["response_range"]]
    got = [response["header"] for response in got]
    assert [header["revision"] for header in got] == [own - 1, own - 1, 0, own - 1, own, own], got
    assert not any(header["cluster_id"] or header["raft_term"] for header in got), got
    answer = client.txn(success=[{"request_range": {"key": b"inner"}}])
    assert answer["responses"][0]["response_range"]["header"]["revision"] == own, answer


def refused(code, text, call):
    """The call has to fail with a status code and a text."""
    try:
        answer = call()
    except grpc.RpcError as error:
        assert error.code() == code and text in error.details(), (
            f"{error.code()}: {error.details()!r} instead of {code}: {text!r}")
        return
    raise AssertionError(f"not refused: {answer!r:.200}")


def raw_call(cluster, path, body, node=0):
    with grpc.insecure_channel(cluster.endpoints[node], options=[
            ("grpc.enable_http_proxy", 0), ("grpc.max_send_message_length", 64 << 20)]) as channel:
        return channel.unary_unary(path)(body, timeout=10)


def serves(cluster):
    """Every node still answers, on a connection of its own."""
    for node in cluster.nodes:
        client = etcd.Client(node.endpoint)
        client.put(b"alive", b"1")
        assert client.get(b"alive")["count"] == 1
        client.close()


def check_refusals(checks, cluster):
    client = etcd.Client(cluster.endpoints[0])
    code = grpc.StatusCode
    with checks.check("an empty key is refused"):
        refused(code.INVALID_ARGUMENT, "etcdserver: key is not provided",
                lambda: client.put(b"", b"x"))
        refused(code.INVALID_ARGUMENT, "etcdserver: key is not provided", lambda: client.get(b""))
        refused(code.INVALID_ARGUMENT, "etcdserver: key is not provided",
                lambda: client.delete(b""))
    with checks.check("a revision of the future is refused"):
        refused(code.OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision",
                lambda: client.get(b"a", revision=1 << 40))
    with checks.check("a key put twice in a transaction is refused"):
        refused(code.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request",
                lambda: client.txn(success=[{"request_put": {"key": b"d", "value": b"1"}}] * 2))
    with checks.check("more than 128 operations in a transaction are refused"):
        refused(code.INVALID_ARGUMENT, "etcdserver: too many operations in txn request",
                lambda: client.txn(success=[
                    {"request_put": {"key": b"%d" % i, "value": b""}} for i in range(129)]))
    with checks.check("an unknown lease is refused"):
        refused(code.NOT_FOUND, "etcdserver: requested lease not found",
                lambda: client.put(b"a", b"1", lease=77))
    with checks.check("a request above 1.5 MiB is refused"):
        refused(code.INVALID_ARGUMENT, "etcdserver: request is too large",
                lambda: client.put(b"large", b"x" * (1600 << 10)))
    with checks.check("a message above the transport's limit is refused"):
        refused(code.RESOURCE_EXHAUSTED, "",
                lambda: raw_call(cluster, "/etcdserverpb.KV/Put",
                                 etcd.encode("PutRequest", {"key": b"l", "value": b"x" * (40 << 20)})))
    with checks.check("an unknown method and an unknown service are unimplemented"):
        refused(code.UNIMPLEMENTED, "", lambda: raw_call(cluster, "/etcdserverpb.KV/Fly", b""))
        refused(code.UNIMPLEMENTED, "", lambda: raw_call(cluster, "/no.such.Service/Get", b""))
    with checks.check("a body that is not a message is refused"):
        for body in (b"\xff\xff\xff", b"\x0a\x7f", b"\x08" + b"\xff" * 11):
            try:
                raw_call(cluster, "/etcdserverpb.KV/Range", body)
                raise AssertionError(f"{body!r} was accepted")
            except grpc.RpcError as error:
                assert error.code() in (code.INTERNAL, code.INVALID_ARGUMENT), error
    client.close()


def check_transport(checks, cluster):
    with checks.check("2,000 calls at once on one connection"):
        client = etcd.Client(cluster.endpoints[1])
        client.get(b"x")
        put = client.channel.unary_unary("/etcdserverpb.KV/Put")
        futures = [put.future(etcd.encode("PutRequest", {"key": b"many", "value": b"%d" % i}),
                              timeout=60) for i in range(2000)]
        for future in futures:
            future.result()
        assert client.get(b"many")["kvs"][0]["version"] == 2000
        client.close()
    with checks.check("cancelled calls and deadlines leave the connection in order"):
        client = etcd.Client(cluster.endpoints[2])
        client.get(b"x")
        put = client.channel.unary_unary("/etcdserverpb.KV/Put")
        for i in range(300):
            put.future(etcd.encode("PutRequest", {"key": b"cancelled", "value": b"x"}),
                       timeout=10).cancel()
        body = etcd.encode("PutRequest", {"key": b"late", "value": b"x"})
        try:
            put(body, timeout=0.00001)
            raise AssertionError("a call ended within 10 µs")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
        assert client.get(b"absent")["count"] == 0
        client.close()
    with checks.check("bytes that are neither HTTP/1.1 nor HTTP/2 end only their connection"):
        for data in (b"\0" * 100, secrets.token_bytes(4000), b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n",
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200,
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                     + b"\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff"):
            for node in cluster.nodes:
                with socket.create_connection(("127.0.0.1", node.client_port), 5) as connection:
                    connection.sendall(data)
        serves(cluster)
    with checks.check("health by grpc.health.v1"):
        assert raw_call(cluster, "/grpc.health.v1.Health/Check", b"") == b"\x08\x01"
    with checks.check("/health, /version and /metrics by HTTP/1.1 on the client port"):
        for node in cluster.nodes:
            assert json.loads(http(f"{node.client}/health")) == {"health": "true"}
            version = json.loads(http(f"{node.client}/version"))
            assert version["etcdserver"].startswith("3.6.") and version["etcdcluster"], version
            metrics = http(f"{node.client}/metrics").decode()
            assert re.search(
                r'^etcd_server_has_leader\{keyspace="default"\} 1$', metrics, re.M), metrics[:500]
            assert re.search(r"^# TYPE \w+ (counter|gauge|histogram)$", metrics, re.M)
    with checks.check("an unknown path by HTTP/1.1 is 404"):
        try:
            http(f"{cluster.nodes[0].client}/nothing/here")
            raise AssertionError("found")
        except urllib.error.HTTPError as error:
            assert error.code == 404, error


def check_retention(checks, cluster):
    """What etcd's API can do against clinical history: hide it from its own reads."""
    with checks.check("FHIR history survives compact --physical and del '' --from-key"):
        place = None
        for family in ("Nightingale", "Seacole"):
            body = {"resourceType": "Patient", "name": [{"family": family}]}
            method = "POST"
            if place:
                body["id"], method = place.rsplit("/", 1)[1], "PUT"
            request = urllib.request.Request(
                place or f"{cluster.nodes[0].fhir}/Patient", json.dumps(body).encode(),
                {"Content-Type": "application/fhir+json"}, method=method)
            with urllib.request.urlopen(request, timeout=10) as response:
                place = f"{cluster.nodes[0].fhir}/Patient/{json.load(response)['id']}"
        client = etcd.Client(cluster.endpoints[1], keyspace="fhir")
        revision = client.delete(b"\0", range_end=b"\0")["header"]["revision"]
        assert client.get(b"\0", range_end=b"\0")["count"] == 0
        call = client.channel.unary_unary("/etcdserverpb.KV/Compact")
        # CompactionRequest: revision = 1, physical = 2.
        assert revision < 128, revision
        call(bytes([8, revision, 16, 1]), timeout=10, metadata=client.metadata)
        refused(grpc.StatusCode.OUT_OF_RANGE, "required revision has been compacted",
                lambda: client.get(b"\0", range_end=b"\0", revision=revision - 1))
        client.close()
        for node in cluster.nodes:
            history = json.loads(http(f"{place}/_history".replace(
                cluster.nodes[0].fhir, node.fhir)))
            entries = [(e["request"]["method"], e.get("resource", {}).get("name"))
                       for e in history["entry"]]
            assert entries == [("DELETE", None), ("PUT", [{"family": "Seacole"}]),
                               ("PUT", [{"family": "Nightingale"}])], entries


def http(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as response:
        return response.read()


def check_h2load(checks, cluster, folder):
    name = "h2load: 2,000 puts on 8 connections, 16 at once on each"
    if not shutil.which("h2load"):
        checks.skip(name, "h2load is not installed (package nghttp2-client)")
        return
    with checks.check(name):
        body = etcd.encode("PutRequest", {"key": b"h2load", "value": b"x" * 256})
        file = folder / "put"
        file.write_bytes(b"\0" + len(body).to_bytes(4, "big") + body)
        result = subprocess.run(
            ["h2load", "-n", "2000", "-c", "8", "-m", "16", "-d", file,
             "-H", "content-type: application/grpc", "-H", "te: trailers",
             f"{cluster.nodes[0].client}/etcdserverpb.KV/Put"],
            capture_output=True, text=True, timeout=120)
        assert "2000 succeeded, 0 failed, 0 errored" in result.stdout, result.stdout[-800:]
        assert "status codes: 2000 2xx" in result.stdout, result.stdout[-800:]
        # h2load does not show trailers: that each call ended with grpc-status 0 shows in the key.
        client = etcd.Client(cluster.endpoints[1])
        assert client.get(b"h2load")["kvs"][0]["version"] == 2000
        client.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path)
    parser.add_argument("--etcd", action="store_true", help="try the model on Debian's etcd")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    options = parser.parse_args()
    processes.exit_on_signals()
    checks = Checks("gRPC clients")
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        cluster = LocalCluster(
            folder, "/usr/bin/etcd" if options.etcd else options.bin / "spined")
        cluster.start()
        cluster.wait_serving()
        with checks.check("puts, deletes, ranges and transactions as in the model"):
            check_model(cluster, options.seed)
        with checks.check("answers inside a transaction hold the revision reached by then"):
            client = etcd.Client(cluster.endpoints[0])
            check_inner_headers(client)
            client.close()
        check_refusals(checks, cluster)
        if not options.etcd:
            check_retention(checks, cluster)
        check_transport(checks, cluster)
        check_h2load(checks, cluster, folder)
        with checks.check("every node still serves, and none was restarted"):
            serves(cluster)
            assert all(node.running() for node in cluster.nodes)
        with checks.check("members by the client's API"):
            client = etcd.Client(cluster.endpoints[0])
            members = client.members()
            assert {m["name"].decode() for m in members} == {"n1", "n2", "n3"}, members
            assert len({m["ID"] for m in members}) == 3 and all(m["ID"] for m in members)
            assert {m["clientURLs"][0].decode() for m in members} == {
                n.client for n in cluster.nodes}, members
            client.close()
        with checks.check("SIGTERM ends each node cleanly, and what was written is there again"):
            assert cluster.stop() == []
            cluster.start()
            cluster.wait_serving()
            client = etcd.Client(cluster.endpoints[2])
            assert client.get(b"many")["kvs"][0]["version"] == 2000
            client.close()
        if checks.failed:
            for node in cluster.nodes:
                print(f"log of {node.name} ends:\n{node.log_tail(8)}")
    checks.finish()


if __name__ == "__main__":
    main()
