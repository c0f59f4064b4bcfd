"""What watchers cost that nothing happens to: this store beside etcd, one node each.

    watch-cost.py --bin DIR [--streams N] [--watches N] [--puts N] [--ranges]

Makes --streams streams of --watches watchers each, every one on a key (or, with --ranges, a prefix)
of its own, and states the resident memory of the server before and after. Before, and again with
the watchers in place, h2load puts keys that nobody watches; the CPU is user and system time of the
server (proc(5)). At last one key that every stream watches once is put, to see that the watchers
are there: each has to be told of it.
"""

import argparse
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lib import etcd, processes  # noqa: E402
from lib.cluster import LocalCluster  # noqa: E402

STREAMS_PER_CONNECTION = 100
SHARED = b"watched-by-every-stream"
CLIENTS, VALUE_BYTES = 64, 256
SETTLE_SECONDS = 120
DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, RST_STREAM = 0, 1, 4, 6, 7, 8, 3
WINDOW = 1 << 24

etcd.MESSAGES.setdefault("WatchCreateRequest", {1: ("key", "bytes"), 2: ("range_end", "bytes")})
etcd.MESSAGES.setdefault("WatchRequest", {1: ("create_request", "WatchCreateRequest")})


def frame(kind, flags, stream, body=b""):
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def literal(name, value):
    """A header without compression (RFC 7541 section 6.2.2); both parts below 127 bytes."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


HEAD = b"".join(literal(*pair) for pair in [
    (":method", "POST"), (":scheme", "http"), (":path", "/etcdserverpb.Watch/Watch"),
    (":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers")])


class Connection:
    """HTTP/2 by hand, so that the client costs little: it writes watch requests and counts answers."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.changed = threading.Condition()
        self.window = 65535
        self.messages = 0
        self.partial = {}
        self.failed = None
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                  + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, WINDOW))
                  + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30)))
        threading.Thread(target=self.read, daemon=True).start()

    def send(self, data):
        self.socket.sendall(data)

    def stream(self, number, messages):
        """Opens stream `number` and sends gRPC messages on it."""
        self.send(frame(HEADERS, 4, number, HEAD))
        body = b"".join(b"\0" + struct.pack(">I", len(one)) + one for one in messages)
        while body:
            with self.changed:
                self.changed.wait_for(lambda: self.window > 0 or self.failed, 60)
                if self.failed or self.window <= 0:
                    sys.exit(f"the server takes no more: {self.failed or 'its window is closed'}")
                count = min(len(body), 16384, self.window)
                self.window -= count
            self.send(frame(DATA, 0, number, body[:count]))
            body = body[count:]

    def read(self):
        file = self.socket.makefile("rb", 1 << 20)
        try:
            while True:
                head = file.read(9)
                if len(head) < 9:
                    raise OSError("the server has closed the connection")
                length = int.from_bytes(head[:3], "big")
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                self.take(kind, flags, stream, file.read(length))
        except OSError as error:
            with self.changed:
                self.failed = self.failed or str(error)
                self.changed.notify_all()

    def take(self, kind, flags, stream, body):
        if kind == SETTINGS and not flags & 1:
            self.send(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            self.send(frame(PING, 1, 0, body))
        elif kind == WINDOW_UPDATE and stream == 0:
            with self.changed:
                self.window += int.from_bytes(body, "big")
                self.changed.notify_all()
        elif kind in (GOAWAY, RST_STREAM):
            raise OSError(f"the server ends it: frame {kind}, {body!r}")
        elif kind == DATA:
            data = self.partial.pop(stream, b"") + body
            at = count = 0
            while at + 5 <= len(data):
                end = at + 5 + int.from_bytes(data[at + 1:at + 5], "big")
                if end > len(data):
                    break
                at, count = end, count + 1
            if at < len(data):
                self.partial[stream] = data[at:]
            with self.changed:
                self.messages += count
                self.changed.notify_all()

    def await_messages(self, count):
        with self.changed:
            self.changed.wait_for(
                lambda: self.messages >= count or self.failed, SETTLE_SECONDS)
            if self.messages < count:
                sys.exit(f"{self.messages} of {count} answers came: {self.failed}")


def requests(stream, options):
    """What one stream asks for; one of its watchers is on the shared key."""
    yield etcd.encode("WatchRequest", {"create_request": {"key": SHARED}})
    for number in range(1, options.watches):
        key = b"watched/%04d/%04d" % (stream, number)
        fields = {"key": key, "range_end": etcd.prefix_end(key)} if options.ranges else {"key": key}
        yield etcd.encode("WatchRequest", {"create_request": fields})


def anonymous_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("no RssAnon")


def put_cost(cluster, body, puts):
    """CPU microseconds of the server per put."""
    node = cluster.nodes[0]
    used = processes.cpu_seconds(node.pid)
    result = subprocess.run(
        ["h2load", "-n", str(puts), "-c", str(CLIENTS), "-m", "1", "-d", body,
         "-H", "content-type: application/grpc", "-H", "te: trailers",
         f"{node.client}/etcdserverpb.KV/Put"], capture_output=True, text=True, timeout=600)
    if f"{puts} succeeded" not in result.stdout:
        sys.exit(f"{cluster.server.name}: {result.stdout[-600:]}")
    rate = float(re.search(r"finished in .*?, ([\d.]+) req/s", result.stdout)[1])
    return (processes.cpu_seconds(node.pid) - used) / puts * 1e6, rate


def measure(cluster, body, options):
    node = cluster.nodes[0]
    put_cost(cluster, body, options.puts // 5)  # warm
    alone = [put_cost(cluster, body, options.puts) for _ in range(options.rounds)]
    before = anonymous_bytes(node.pid)
    began, used = time.monotonic(), processes.cpu_seconds(node.pid)
    connections = []
    for first in range(0, options.streams, STREAMS_PER_CONNECTION):
        connection = Connection(node.client_port)
        connections.append(connection)
        count = min(STREAMS_PER_CONNECTION, options.streams - first)
        for place in range(count):
            connection.stream(2 * place + 1, requests(first + place, options))
        connection.await_messages(count * options.watches)
    seconds, used = time.monotonic() - began, processes.cpu_seconds(node.pid) - used
    time.sleep(5)
    total = options.streams * options.watches
    bytes_per_watch = (anonymous_bytes(node.pid) - before) / total
    watched = [put_cost(cluster, body, options.puts) for _ in range(options.rounds)]
    expected = [connection.messages for connection in connections]
    client = etcd.Client(node.endpoint)
    began, fan_out = time.monotonic(), processes.cpu_seconds(node.pid)
    client.put(SHARED, b"told")
    for connection, count in zip(connections, expected):
        streams = count // options.watches
        connection.await_messages(count + streams)
    told = time.monotonic() - began
    fan_out = processes.cpu_seconds(node.pid) - fan_out
    client.close()
    mean = lambda values: sum(values) / len(values)  # noqa: E731
    print(f"{cluster.server.name:>8}: {bytes_per_watch:6.0f} bytes a watch; made in {seconds:.1f} s "
          f"({used / total * 1e6:.1f} µs of server CPU each); a put nobody watches "
          f"{mean([c for c, _ in alone]):.0f} µs without, {mean([c for c, _ in watched]):.0f} µs with "
          f"them ({mean([r for _, r in alone]):.0f} and {mean([r for _, r in watched]):.0f} puts/s); "
          f"{options.streams} streams told of one put in {told * 1e3:.0f} ms "
          f"({fan_out * 1e3:.0f} ms CPU)", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--watches", type=int, default=1000, help="on each stream")
    parser.add_argument("--puts", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ranges", action="store_true", help="watch prefixes instead of keys")
    parser.add_argument("--only", choices=["etcd", "spined"], help="measure one of the two")
    options = parser.parse_args()
    processes.exit_on_signals()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        message = etcd.encode("PutRequest", {"key": b"unwatched", "value": b"x" * VALUE_BYTES})
        body = folder / "body"
        body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        print(f"{options.streams} streams of {options.watches} watchers on "
              f"{'prefixes' if options.ranges else 'keys'} of their own; {CLIENTS} clients put "
              f"{VALUE_BYTES} bytes, {options.puts} puts, {options.rounds} rounds")
        for server in ["/usr/bin/etcd", options.bin / "spined"]:
            if options.only and Path(server).name != options.only:
                continue
            cluster = LocalCluster(folder / Path(server).name, server, nodes=1)
            cluster.start()
            cluster.wait_serving()
            measure(cluster, body, options)
            cluster.stop()


if __name__ == "__main__":
    main()
