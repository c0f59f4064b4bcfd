"""A cluster of servers on this machine: `spined`, or Debian's `etcd` to compare with."""

import json
import os
import secrets
import shutil
import signal
import socket
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from . import processes

HOST = "127.0.0.1"
SERVING_SECONDS = 90  # how long a cluster may take to elect a leader and answer on every node


class ClusterError(Exception):
    """One clear line for whoever runs the script."""


@dataclass
class Node:
    name: str
    zone: str
    client_port: int
    peer_port: int
    fhir_port: int
    folder: Path
    data: Path = None
    pid: int = None
    process: object = field(default=None, repr=False)

    @property
    def client(self):
        return f"http://{HOST}:{self.client_port}"

    @property
    def peer(self):
        return f"http://{HOST}:{self.peer_port}"

    @property
    def fhir(self):
        return f"http://{HOST}:{self.fhir_port}/fhir"

    @property
    def endpoint(self):
        return f"{HOST}:{self.client_port}"

    @property
    def ports(self):
        return {"client": self.client_port, "peer": self.peer_port, "FHIR": self.fhir_port}

    def running(self):
        if self.process is not None:
            return self.process.poll() is None
        return self.pid is not None and processes.is_running(self.pid, self.data)

    def log_tail(self, lines=5):
        try:
            return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


class LocalCluster:
    """Nodes n1… in zones z1…, each with a folder that holds its data, `log` and `pid`.

    owned: the processes end with this script; otherwise they stay until `down`.
    wrap: per node, words put before the server's command line (a tracer).
    data_root: per node, where its data goes when not in its folder (a mounted file system).
    """

    def __init__(self, folder, server, nodes=3, base_port=None, token=None, owned=True,
                 wrap=lambda node: [], data_root=lambda node: node.folder, flags=()):
        self.folder = Path(folder).resolve()
        self.server = Path(server)
        self.is_etcd = self.server.name == "etcd"
        self.token = token or f"local-{secrets.token_hex(8)}"
        self.owned = owned
        self.wrap = wrap
        self.flags = list(flags)
        base_port = base_port or free_base_port(nodes)
        self.nodes = []
        for i in range(nodes):
            node = Node(f"n{i + 1}", f"z{i + 1}", base_port + 10 * i, base_port + 10 * i + 1,
                        base_port + 10 * i + 2, self.folder / f"n{i + 1}")
            node.data = data_root(node) / "data"
            self.nodes.append(node)

    @property
    def endpoints(self):
        return [node.endpoint for node in self.nodes]

    def command(self, node):
        peers = ",".join(f"{n.name}={n.peer}" for n in self.nodes)
        words = [
            self.server, "--name", node.name, "--data-dir", node.data,
            "--listen-client-urls", node.client, "--advertise-client-urls", node.client,
            "--listen-peer-urls", node.peer, "--initial-advertise-peer-urls", node.peer,
            "--initial-cluster", peers, "--initial-cluster-state", "new",
            "--initial-cluster-token", self.token]
        if not self.is_etcd:
            words += ["--zone", node.zone, "--listen-fhir-urls", f"http://{HOST}:{node.fhir_port}"]
        return [*self.wrap(node), *words, *self.flags]

    def start(self, only=None):
        """Starts the nodes that are not running (or those of `only`); returns them."""
        chosen = [n for n in (only or self.nodes) if not n.running()]
        for node in chosen:
            for purpose, port in node.ports.items():
                if port_in_use(port):
                    raise ClusterError(
                        f"port {port} ({purpose} port of {node.name}) is in use: "
                        "stop what listens there or choose another --base-port")
        for node in chosen:
            node.folder.mkdir(parents=True, exist_ok=True)
            log = node.folder / "log"
            if self.owned:
                node.process = processes.start_owned(self.command(node), log)
            else:
                node.process = processes.start_detached(self.command(node), log)
            node.pid = node.process.pid
            (node.folder / "pid").write_text(f"{node.pid}\n")
        return chosen

    def wait_serving(self, only=None, seconds=SERVING_SECONDS):
        """Until every node answers a linearizable read (/health makes one) and serves FHIR."""
        deadline = time.monotonic() + seconds
        chosen = only or self.nodes
        for node in chosen:
            while not self.serves(node):
                for ended in (n for n in chosen if not n.running()):
                    raise ClusterError(f"{ended.name} ended; its log says:\n{ended.log_tail()}")
                if time.monotonic() > deadline:
                    raise ClusterError(f"{node.name} does not serve after {seconds} s; its log "
                                       f"({node.folder / 'log'}) ends:\n{node.log_tail()}")
                time.sleep(0.1)

    def serves(self, node):
        try:
            health = json.loads(http_get(f"{node.client}/health", 3))
            if str(health.get("health")).lower() != "true":
                return False
            return self.is_etcd or bool(http_get(f"{node.fhir}/metadata", 3))
        except (OSError, ValueError):
            return False

    def stop(self, only=None):
        """SIGTERM and wait; returns the names of those that had to be killed."""
        chosen = [n for n in (only or self.nodes) if n.running()]
        for node in chosen:
            signal_node(node, signal.SIGTERM)
        stubborn = []
        for node in chosen:
            try:
                processes.wait_until("stop", lambda: not node.running(), 20)
            except TimeoutError:
                stubborn.append(node.name)
                signal_node(node, signal.SIGKILL)
                processes.wait_until("kill", lambda: not node.running(), 10)
        for node in only or self.nodes:
            forget(node)
        return stubborn

    def kill(self, only=None):
        """kill -9, as a crash of the process."""
        for node in only or self.nodes:
            if node.running():
                signal_node(node, signal.SIGKILL)
        for node in only or self.nodes:
            processes.wait_until("kill", lambda: not node.running(), 10)
            forget(node)

    def delete(self):
        for node in self.nodes:
            shutil.rmtree(node.folder, ignore_errors=True)

    def write_endpoints(self):
        rows = [
            {"name": n.name, "zone": n.zone, "client": n.client, "peer": n.peer, "fhir": n.fhir,
             "metrics": f"{n.client}/metrics", "pid": n.pid if n.running() else None}
            for n in self.nodes]
        temporary = self.folder / "endpoints.json.new"
        temporary.write_text(json.dumps(rows, indent=2) + "\n")
        temporary.replace(self.folder / "endpoints.json")


def signal_node(node, number):
    try:
        os.kill(node.pid, number)
    except ProcessLookupError:
        pass


def forget(node):
    if node.process is not None:
        node.process.wait(10)
    node.process = None
    node.pid = None
    (node.folder / "pid").unlink(missing_ok=True)


def port_in_use(port):
    with socket.socket() as probe:
        # As servers do: a connection in TIME_WAIT does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            return False
        except OSError:
            return True


def free_base_port(nodes):
    """A base port below the ephemeral range whose node ports are all free now."""
    for _ in range(200):
        base = 12000 + secrets.randbelow(1800) * 10
        if not any(port_in_use(base + 10 * i + k) for i in range(nodes) for k in range(3)):
            return base
    raise ClusterError("no free ports between 12000 and 30000")


# A proxy in the environment is not for loopback.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http_get(url, timeout):
    with _direct.open(url, timeout=timeout) as response:
        return response.read()
