"""Server CPU per put at 64 clients: this store beside etcd, three nodes each, in one run.

    cpu-per-put.py --bin DIR [--puts N] [--rounds N]

h2load drives 64 connections to the leader, one request at a time on each, with a 256-byte value.
It sends one fixed body, so every put goes to one key: both servers get the same. The CPU is user
and system time of the three server processes together (proc(5)). Both clusters run throughout; the
rounds alternate, so that neither has the quieter machine.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lib import etcd, processes  # noqa: E402
from lib.cluster import LocalCluster  # noqa: E402

CLIENTS = 64
VALUE_BYTES = 256


def round_of_puts(cluster, body, puts):
    """CPU microseconds per put of the three servers, and puts per second."""
    leader = etcd.leader_of(cluster.nodes)
    client = etcd.Client(leader.endpoint)
    before = client.get(b"cpu")["kvs"]
    used = sum(processes.cpu_seconds(node.pid) for node in cluster.nodes)
    result = subprocess.run(
        ["h2load", "-n", str(puts), "-c", str(CLIENTS), "-m", "1", "-d", body,
         "-H", "content-type: application/grpc", "-H", "te: trailers",
         f"{leader.client}/etcdserverpb.KV/Put"], capture_output=True, text=True, timeout=600)
    used = sum(processes.cpu_seconds(node.pid) for node in cluster.nodes) - used
    written = client.get(b"cpu")["kvs"][0]["version"] - (before[0]["version"] if before else 0)
    client.close()
    if written != puts:
        sys.exit(f"{cluster.server.name}: {written} of {puts} puts were carried out\n"
                 f"{result.stdout[-600:]}")
    rate = float(re.search(r"finished in .*?, ([\d.]+) req/s", result.stdout)[1])
    latency = re.search(r"time for request: +\S+ +(\S+) +(\S+)", result.stdout)
    return used / puts * 1e6, rate, latency[2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--puts", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    processes.exit_on_signals()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        message = etcd.encode("PutRequest", {"key": b"cpu", "value": b"x" * VALUE_BYTES})
        body = folder / "body"
        body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        clusters = [LocalCluster(folder / "etcd", "/usr/bin/etcd"),
                    LocalCluster(folder / "spine", options.bin / "spined")]
        for cluster in clusters:
            cluster.start()
            cluster.wait_serving()
            round_of_puts(cluster, body, options.puts // 10)  # warm
        print(f"{CLIENTS} clients, {VALUE_BYTES}-byte value, one key, {options.puts} puts a round")
        print(f"{'round':>5} {'server':>8} {'CPU/put':>9} {'puts/s':>8} {'mean':>9}")
        totals = {"etcd": [], "spined": []}
        for number in range(1, options.rounds + 1):
            for cluster in clusters:
                micros, rate, mean = round_of_puts(cluster, body, options.puts)
                totals[cluster.server.name].append(micros)
                print(f"{number:>5} {cluster.server.name:>8} {micros:>6.0f} µs {rate:>8.0f} "
                      f"{mean:>9}", flush=True)
        etcd_mean, own_mean = (sum(values) / len(values) for values in totals.values())
        print(f"mean: etcd {etcd_mean:.0f} µs, spined {own_mean:.0f} µs, "
              f"ratio {own_mean / etcd_mean:.2f}")
        for cluster in clusters:
            cluster.stop()


if __name__ == "__main__":
    main()
