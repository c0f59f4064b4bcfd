"""kill -9 of the leader under writes: what stood still, and that nothing acknowledged is lost."""

import json
import threading
import time

import grpc

from . import etcd, fhir
from .loading import Wrong

WRITERS = 4  # of each kind
BEFORE_SECONDS = 2
AFTER_SECONDS = 3
STANDSTILL_MAX_SECONDS = 30
CALL_SECONDS = 2


class Writer(threading.Thread):
    """Writes keys of its own, each once; after an error it goes on with the next node."""

    def __init__(self, name, nodes, stop):
        super().__init__(daemon=True)
        self.name_, self.nodes, self.stop = name, nodes, stop
        self.times, self.acknowledged, self.unknown = [], [], 0

    def run(self):
        turn, number = 0, 0
        while not self.stop.is_set():
            number += 1
            try:
                if self.write(self.nodes[turn % len(self.nodes)], number):
                    self.times.append(time.monotonic())
                    self.acknowledged.append(number)
                    continue
            except (grpc.RpcError, OSError):
                self.disconnect()
            self.unknown += 1
            turn += 1
            self.stop.wait(0.02)
        self.disconnect()


class KeyWriter(Writer):
    """Puts through etcd's API into the default keyspace."""

    client = None

    def key(self, number):
        return f"failover/{self.name_}/{number}".encode()

    def write(self, node, number):
        if self.client is None:
            self.client = etcd.Client(node.endpoint)
        self.client.put(self.key(number), self.key(number)[::-1], timeout=CALL_SECONDS)
        return True

    def disconnect(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def lost(self, node):
        client = etcd.Client(node.endpoint)
        prefix = f"failover/{self.name_}/".encode()
        found = {kv["key"]: kv["value"] for kv in client.all(prefix, etcd.prefix_end(prefix))}
        client.close()
        return [self.key(n).decode() for n in self.acknowledged
                if found.get(self.key(n)) != self.key(n)[::-1]]


class PatientWriter(Writer):
    """PUTs of new patients through FHIR."""

    server = None

    def patient(self, number):
        name = f"failover-{self.name_}-{number}"
        return {"resourceType": "Patient", "id": name, "name": [{"family": name[::-1]}]}

    def write(self, node, number):
        if self.server is None:
            self.server = fhir.Server(node.fhir, timeout=CALL_SECONDS)
        patient = self.patient(number)
        return self.server.put(f"Patient/{patient['id']}", patient).status == 201

    def disconnect(self):
        if self.server is not None:
            self.server.close()
        self.server = None

    def lost(self, node):
        server = fhir.Server(node.fhir)
        lost = []
        for number in self.acknowledged:
            patient = self.patient(number)
            answer = server.get(f"Patient/{patient['id']}")
            if answer.status != 200 \
                    or fhir.without_server_meta(fhir.parse(answer.body)) != patient:
                lost.append(f"Patient/{patient['id']}")
        server.close()
        return lost

    def expected(self):
        return {f"Patient/{self.patient(n)['id']}": json.dumps(self.patient(n)).encode()
                for n in self.acknowledged}


def standstill(writers, killed):
    """The longest time around the kill in which no write of these was acknowledged, in seconds."""
    times = sorted(t for writer in writers for t in writer.times)
    gaps = [(b - a, b) for a, b in zip(times, times[1:]) if b >= killed]
    return max(gaps)[0] if gaps else None


def kill_leader(cluster, say):
    """Kills the leader of the default keyspace while writing, restarts it and reads everything.

    Returns figures, and the resources that now have to be there.
    """
    leader = etcd.leader_of(cluster.nodes)
    if leader is None:
        raise Wrong("no node says that it leads")
    stop = threading.Event()
    keys = [KeyWriter(f"k{i}", cluster.nodes[i % 3:] + cluster.nodes[:i % 3], stop)
            for i in range(WRITERS)]
    patients = [PatientWriter(f"p{i}", cluster.nodes[i % 3:] + cluster.nodes[:i % 3], stop)
                for i in range(WRITERS)]
    for writer in keys + patients:
        writer.start()
    time.sleep(BEFORE_SECONDS)
    killed = time.monotonic()
    cluster.kill([leader])
    say(f"  {leader.name}, the leader, was killed with kill -9")
    deadline = killed + STANDSTILL_MAX_SECONDS
    resumed = None
    while resumed is None or time.monotonic() < resumed + AFTER_SECONDS:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
        if resumed is None and all(any(t > killed + 0.2 for w in kind for t in list(w.times))
                                   for kind in (keys, patients)):
            resumed = time.monotonic()
    stop.set()
    for writer in keys + patients:
        writer.join(3 * CALL_SECONDS)
    if resumed is None:
        raise Wrong(f"writes still stood {STANDSTILL_MAX_SECONDS} s after the leader was killed")
    cluster.start([leader])
    cluster.wait_serving()
    lost = []
    for turn, writer in enumerate(keys + patients):
        lost += writer.lost(cluster.nodes[turn % len(cluster.nodes)])
    # The node that was killed has caught up too.
    lost += keys[0].lost(leader)
    count = sum(len(writer.acknowledged) for writer in keys + patients)
    if lost:
        raise Wrong(f"{len(lost)} of {count} acknowledged writes are lost: {', '.join(lost[:5])}")
    figures = {
        "acknowledged": count,
        "unknown": sum(writer.unknown for writer in keys + patients),
        "keys_ms": round(standstill(keys, killed) * 1000),
        "fhir_ms": round(standstill(patients, killed) * 1000)}
    expected = {}
    for writer in patients:
        expected |= writer.expected()
    return figures, expected
