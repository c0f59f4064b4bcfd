"""`Cluster/run up` and `Cluster/run down`: a local cluster that outlives the command."""

import argparse
import fcntl
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lib.cluster import ClusterError, LocalCluster  # noqa: E402

DEFAULT_DIR = Path(__file__).resolve().parent.parent / ".build" / "cluster"
DEFAULT_NODES = 3
DEFAULT_BASE_PORT = 2379
NODES_MAX = 9


def main():
    parser = argparse.ArgumentParser(prog="Cluster/run", add_help=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up")
    up.add_argument("--bin", type=Path, required=True)
    up.add_argument("--nodes", type=int)
    up.add_argument("--dir", type=Path, default=DEFAULT_DIR)
    up.add_argument("--base-port", type=int)
    down = verbs.add_parser("down")
    down.add_argument("--dir", type=Path, default=DEFAULT_DIR)
    down.add_argument("--delete", action="store_true")
    options = parser.parse_args()
    try:
        {"up": bring_up, "down": bring_down}[options.verb](options)
    except (ClusterError, TimeoutError, OSError) as error:
        sys.exit(f"Cluster/run {options.verb}: {error}")


def bring_up(options):
    cluster = reopen(options.dir, options.bin / "spined")
    if cluster is None:
        cluster = create(options)
    elif options.nodes not in (None, len(cluster.nodes)):
        raise ClusterError(f"{options.dir} holds a cluster of {len(cluster.nodes)} nodes: leave "
                           "--nodes out, or choose another --dir")
    elif options.base_port not in (None, cluster.nodes[0].client_port):
        raise ClusterError(f"{options.dir} holds a cluster with base port "
                           f"{cluster.nodes[0].client_port}: leave --base-port out, or choose "
                           "another --dir")
    with locked(options.dir):
        before = [n for n in cluster.nodes if n.running()]
        try:
            started = cluster.start()
            if started:
                print("Starting " + ", ".join(n.name for n in started), flush=True)
            cluster.write_endpoints()
            cluster.wait_serving()
        except BaseException:
            cluster.stop([n for n in cluster.nodes if n not in before])
            if any(n.folder.exists() for n in cluster.nodes):
                cluster.write_endpoints()
            raise
    for n in cluster.nodes:
        print(f"{n.name}  zone {n.zone}  client {n.client}  peer {n.peer}  FHIR {n.fhir}  "
              f"metrics {n.client}/metrics  pid {n.pid}")
    print(f"Serving. Also in {cluster.folder / 'endpoints.json'}")


def create(options):
    nodes = DEFAULT_NODES if options.nodes is None else options.nodes
    port = DEFAULT_BASE_PORT if options.base_port is None else options.base_port
    if not 1 <= nodes <= NODES_MAX:
        raise ClusterError(f"--nodes {nodes}: choose 1 to {NODES_MAX}")
    if not 1 <= port <= 65535 - 10 * nodes:
        raise ClusterError(f"--base-port {port}: choose 1 to {65535 - 10 * nodes}")
    if options.dir.exists() and any(
            p.name not in ("lock", "token") for p in options.dir.iterdir()):
        raise ClusterError(f"{options.dir} is not empty and holds no cluster: choose another --dir")
    cluster = LocalCluster(options.dir, options.bin / "spined", nodes, port, owned=False)
    cluster.folder.mkdir(parents=True, exist_ok=True)
    (cluster.folder / "token").write_text(cluster.token + "\n")
    return cluster


def reopen(folder, server):
    """The cluster that `folder` holds, with the pids of its nodes; None when it holds none."""
    if not (folder / "endpoints.json").exists():
        return None
    try:
        rows = json.loads((folder / "endpoints.json").read_text())
        base_port = urlsplit(rows[0]["client"]).port
        token = (folder / "token").read_text().strip()
    except (ValueError, LookupError, OSError) as error:
        raise ClusterError(f"{folder}/endpoints.json cannot be read ({error}): "
                           "choose another --dir") from error
    cluster = LocalCluster(folder, server, len(rows), base_port, token, owned=False)
    for node in cluster.nodes:
        try:
            node.pid = int((node.folder / "pid").read_text())
        except (OSError, ValueError):
            node.pid = None
    return cluster


def bring_down(options):
    cluster = reopen(options.dir, "spined")
    if cluster is None:
        print(f"{options.dir} holds no cluster: nothing to stop")
        return
    with locked(options.dir):
        running = [n.name for n in cluster.nodes if n.running()]
        stubborn = cluster.stop()
        if running:
            print("Stopped " + ", ".join(running))
        if stubborn:
            print("Killed after 20 s: " + ", ".join(stubborn))
        if options.delete:
            cluster.delete()
            for name in ("endpoints.json", "token", "lock"):
                (cluster.folder / name).unlink(missing_ok=True)
            try:
                cluster.folder.rmdir()
            except OSError:
                print(f"{cluster.folder} holds other files and was kept")
            print(f"Deleted the data in {cluster.folder}")
        else:
            cluster.write_endpoints()
            print(f"The data stays in {cluster.folder}")


class locked:
    """One `up` or `down` at a time in a directory."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = open(folder / "lock", "w")

    def __enter__(self):
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError("another up or down works on this directory: wait for it") from None

    def __exit__(self, *_):
        self.file.close()


if __name__ == "__main__":
    main()
