"""No acknowledgement leaves before a quorum has synced the bytes that it acknowledges.

Three nodes run under strace(1), each to a file of its own; the clock is the machine's, so the
files compare. Every put carries a marker. For each put the traces have to show, on two nodes of
three, a write of the marker to a file and after it an fdatasync or fsync of that file that
returned before the acknowledgement was handed to the client's socket. strace stamps a call before
it runs and its result after, so the comparison errs on the strict side.

Then the same again with every sync answered by the tracer and not carried out, as if sync were
switched off: the check has to find that no put was safe.

    sync_order.py --bin DIR | --etcd
"""

import argparse
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import etcd, processes  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.cluster import LocalCluster  # noqa: E402

PUTS_PER_NODE = 12
NOISE_WRITERS = 3  # on other connections, so that several puts share a sync
CALLS = ("read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,pwritev2,"
         "fsync,fdatasync,io_uring_enter")
READS = {"read", "readv", "recvfrom", "recvmsg"}
WRITES = {"write", "writev", "sendto", "sendmsg", "pwrite64", "pwritev", "pwritev2"}
SYNCS = {"fsync", "fdatasync"}
NO_SYNC = ["-e", "inject=fsync,fdatasync:retval=0"]

LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
CALL = re.compile(r"^(\w+)\((\d+)<(.*?)(?<!-)>(?=[,) ])")
RESULT = re.compile(r"\) += (-?\d+)([^<]*)(?:<([\d.]+)>)?$")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass
class Call:
    name: str
    target: str  # what the descriptor is: a path, or TCP:[local->remote]
    begun: float  # seconds since the epoch
    ended: float
    done: bool  # carried out with success: neither failed nor answered by the tracer
    data: bytes


def calls_of(trace):
    """The finished calls in a trace that name a descriptor, in order of their beginning."""
    pending, calls = {}, []
    for line in trace.read_text(encoding="latin-1").splitlines():
        match = LINE.match(line)
        if not match:
            continue
        thread, stamp, text = match[1], float(match[2]), match[3]
        if text.endswith("<unfinished ...>"):
            pending[thread] = (stamp, text.removesuffix("<unfinished ...>"))
            continue
        begun, ended = stamp, None
        if text.startswith("<... "):
            if thread not in pending:
                continue
            begun, first = pending.pop(thread)
            text, ended = first + text.split(" resumed>", 1)[1], stamp
        head, result = CALL.match(text), RESULT.search(text)
        if not head or not result:
            if text.startswith("io_uring_enter"):
                raise AssertionError("the server uses io_uring, which strace does not show")
            continue
        if ended is None:
            ended = stamp + float(result[3] or 0)
        data = b"".join(
            string.encode("latin-1").decode("unicode_escape").encode("latin-1")
            for string in STRING.findall(text)) if head[1] not in SYNCS else b""
        if head[1] in WRITES:
            data = data[:max(0, int(result[1]))]  # the rest of a short write comes again
        calls.append(Call(head[1], head[3], begun, ended,
                          int(result[1]) >= 0 and "INJECTED" not in result[2], data))
    calls.sort(key=lambda call: call.begun)
    return calls


def acknowledgements(calls, connection):
    """When each gRPC answer was handed to a connection's socket: the first byte of each DATA frame,
    or of a HEADERS frame that ends its stream (RFC 9113, section 4.1)."""
    stream, starts = b"", []
    for call in calls:
        if call.name in WRITES and call.target == connection and call.done:
            starts.append((len(stream), call.begun))
            stream += call.data
    at, found = 0, []
    while at + 9 <= len(stream):
        length, kind, flags = int.from_bytes(stream[at:at + 3]), stream[at + 3], stream[at + 4]
        if kind == 0 or (kind == 1 and flags & 1):
            found.append(max(begun for offset, begun in starts if offset <= at))
        at += 9 + length
    return found


def synced_at(calls, marker):
    """When the first sync ended that followed a write of the marker to a file; None if none did."""
    times = []
    for write in calls:
        if write.name in WRITES and write.target.startswith("/") and write.done \
                and marker in write.data:
            times += [s.ended for s in calls if s.name in SYNCS and s.target == write.target
                      and s.done and s.begun >= write.ended][:1]
    return min(times, default=None)


def violations(traces, puts):
    """What is wrong, in words, for each put (node that was asked, marker)."""
    wrong, files = [], set()
    by_node = {name: calls_of(trace) for name, trace in traces.items()}
    for name, calls in by_node.items():
        files |= {re.sub(r"\d+", "N", Path(c.target).name) for c in calls
                  if c.name in SYNCS and c.target.startswith("/")}
    print(f"        files synced: {', '.join(sorted(files))}")
    quorum = len(traces) // 2 + 1
    for asked, marker in puts:
        calls = by_node[asked]
        request = next((c for c in calls if c.name in READS and c.target.startswith("TCP")
                        and marker in c.data), None)
        if request is None:
            wrong.append(f"{marker.decode()}: its request is not in the trace of {asked}")
            continue
        left = min((t for t in acknowledgements(calls, request.target) if t > request.ended),
                   default=None)
        if left is None:
            wrong.append(f"{marker.decode()}: its answer is not in the trace of {asked}")
            continue
        times = {name: synced_at(calls, marker) for name, calls in by_node.items()}
        safe = [name for name, time in times.items() if time is not None and time <= left]
        if len(safe) < quorum:
            when = ", ".join(f"{n} {'never' if t is None else f'{(t - left) * 1e3:+.3f} ms'}"
                             for n, t in times.items())
            wrong.append(f"{marker.decode()} was acknowledged when {len(safe)} of {len(traces)} "
                         f"had synced it ({when})")
    return wrong


def noise(endpoint, stop):
    client = etcd.Client(endpoint)
    number = 0
    while not stop.is_set():
        number += 1
        try:
            client.put(b"noise-%d" % (number % 10), b"n" * 50)
        except grpc.RpcError:
            pass
    client.close()


def traced_run(folder, server, extra):
    """Runs puts against a traced cluster; returns the traces and the puts that were acknowledged."""
    def wrap(node):
        return ["strace", "-f", "--seccomp-bpf", "-ttt", "-T", "-yy", "-s", "1000000",
                "-e", f"trace={CALLS}", "-e", "signal=none", *extra,
                "-o", node.folder / "trace", "setpriv", "--pdeathsig", "KILL", "--"]

    cluster = LocalCluster(folder, server, wrap=wrap)
    cluster.start()
    cluster.wait_serving()
    stop = threading.Event()
    threads = [threading.Thread(target=noise, args=(cluster.nodes[i % 3].endpoint, stop),
                                daemon=True) for i in range(NOISE_WRITERS)]
    for thread in threads:
        thread.start()
    puts = []
    for node in cluster.nodes:
        client = etcd.Client(node.endpoint)
        for i in range(PUTS_PER_NODE):
            marker = b"marker-%s-%d-%s" % (node.name.encode(), i, secrets.token_hex(8).encode())
            client.put(b"key-%d" % i, marker, timeout=20)
            puts.append((node.name, marker))
        client.close()
    stop.set()
    for thread in threads:
        thread.join(20)
    # Killing a tracer ends its server, and the trace then ends at a call boundary.
    cluster.kill()
    return {node.name: node.folder / "trace" for node in cluster.nodes}, puts


def why_unusable():
    if not shutil.which("strace"):
        return "strace is not installed (package strace)"
    probe = subprocess.run(["strace", "-f", "--seccomp-bpf", "-e", "trace=none", "true"],
                           capture_output=True, text=True, timeout=20)
    return f"strace does not work here: {probe.stderr.strip()[:200]}" if probe.returncode else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path)
    parser.add_argument("--etcd", action="store_true", help="try the check itself on etcd")
    options = parser.parse_args()
    processes.exit_on_signals()
    checks = Checks("sync before acknowledgement")
    reason = why_unusable()
    if reason:
        checks.skip("sync before acknowledgement", reason, 2)
        checks.finish()
    server = Path("/usr/bin/etcd") if options.etcd else options.bin / "spined"
    with checks.check(f"{3 * PUTS_PER_NODE} acknowledgements each follow a quorum's sync"):
        with tempfile.TemporaryDirectory() as folder:
            wrong = violations(*traced_run(Path(folder), server, []))
        assert not wrong, f"{len(wrong)} puts:\n" + "\n".join(wrong[:10])
    with checks.check("with sync switched off the check finds every put unsafe"):
        with tempfile.TemporaryDirectory() as folder:
            traces, puts = traced_run(Path(folder), server, NO_SYNC)
            wrong = violations(traces, puts)
        print(f"        {wrong[:1]}")
        unsafe = [line for line in wrong if "acknowledged when 0 of 3 had synced it" in line]
        assert len(unsafe) == len(puts), f"{len(unsafe)} of {len(puts)}:\n" + "\n".join(wrong[:5])
    checks.finish()


if __name__ == "__main__":
    main()
