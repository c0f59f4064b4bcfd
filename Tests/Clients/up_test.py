"""`Cluster/run up` and `down`, and how spined refuses what it cannot do."""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "Cluster"))
from lib import etcd, processes  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.cluster import LocalCluster, free_base_port, http_get  # noqa: E402

KEYS = ["name", "zone", "client", "peer", "fhir", "metrics", "pid"]


def command(verb, *words, code=0):
    """Runs up.py as Cluster/run does, once it has built; returns what it printed."""
    result = subprocess.run(
        [sys.executable, ROOT / "Cluster" / "up.py", verb, *map(str, words)],
        capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL)
    assert result.returncode == code, f"{verb} {words}: {result}"
    return (result.stdout + result.stderr).strip()


def rows(folder):
    return json.loads((folder / "endpoints.json").read_text())


def check_life(checks, binaries, folder):
    port = free_base_port(3)
    with checks.check("up starts three zones and says where they are"):
        said = command("up", "--bin", binaries, "--dir", folder, "--base-port", port)
        found = rows(folder)
        assert [list(row) for row in found] == [KEYS] * 3, found
        assert [row["zone"] for row in found] == ["z1", "z2", "z3"], found
        for row in found:
            assert all(str(row[key]) in said for key in KEYS), said
            assert json.loads(http_get(f"{row['client']}/health", 5)) == {"health": "true"}
            assert http_get(f"{row['fhir']}/metadata", 5) and http_get(row["metrics"], 5)
            node = folder / row["name"]
            assert int((node / "pid").read_text()) == row["pid"] and (node / "log").exists()
            assert any((node / "data").iterdir())
        client = etcd.Client(f"127.0.0.1:{port}")
        client.put(b"kept", b"yes")
        client.close()
    with checks.check("up again starts only the node that was killed"):
        before = {row["name"]: row["pid"] for row in rows(folder)}
        os.kill(before["n2"], signal.SIGKILL)
        processes.wait_until("end", lambda: not processes.is_running(
            before["n2"], folder / "n2" / "data"), 10)
        said = command("up", "--bin", binaries, "--dir", folder)
        after = {row["name"]: row["pid"] for row in rows(folder)}
        assert "Starting n2\n" in said and after["n2"] != before["n2"], (said, before, after)
        assert all(after[name] == before[name] for name in ("n1", "n3")), (before, after)
    with checks.check("up refuses other --nodes or --base-port for a directory in use"):
        for words in (["--nodes", 5], ["--base-port", port + 1]):
            said = command("up", "--bin", binaries, "--dir", folder, *words, code=1)
            assert len(said.splitlines()) == 1 and words[0] in said, said
    with checks.check("a port in use is named in one line"):
        said = command("up", "--bin", binaries, "--dir", folder.with_name("other"), "--base-port",
                       port, code=1)
        assert len(said.splitlines()) == 1 and f"port {port} " in said, said
    with checks.check("down stops every node and leaves the data"):
        pids = [row["pid"] for row in rows(folder)]
        said = command("down", "--dir", folder)
        assert "Stopped n1, n2, n3" in said and "Killed" not in said, said
        assert not any(processes.command_line(pid) for pid in pids)
        assert all(row["pid"] is None for row in rows(folder))
        assert any((folder / "n1" / "data").iterdir())
    with checks.check("down does not touch a process that has got the number of a node"):
        other = subprocess.Popen(["sleep", "60"])
        (folder / "n1" / "pid").write_text(f"{other.pid}\n")
        command("down", "--dir", folder)
        assert other.poll() is None
        other.kill()
        other.wait()
    with checks.check("up after down serves what was written"):
        command("up", "--bin", binaries, "--dir", folder)
        client = etcd.Client(f"127.0.0.1:{port + 20}")
        assert client.get(b"kept")["kvs"][0]["value"] == b"yes"
        client.close()
    with checks.check("down --delete removes the data, and is content with nothing"):
        command("down", "--dir", folder, "--delete")
        assert not folder.exists()
        assert "nothing to stop" in command("down", "--dir", folder)


def check_words(checks):
    with checks.check("Cluster/run refuses unknown verbs and options with a line and the usage"):
        for words in (["fly"], [], ["up", "--nodez", "3"], ["down", "--force"], ["test", "x"],
                      ["demo", "--data"], ["up", "--dir"]):
            result = subprocess.run(["bash", ROOT / "Cluster" / "run", *words],
                                    capture_output=True, text=True, timeout=30,
                                    stdin=subprocess.DEVNULL)
            lines = result.stderr.splitlines()
            assert result.returncode == 2 and lines[1].startswith("usage:"), (words, result)
            assert lines[0].startswith("Cluster/run: "), lines


def refusal(words, mention):
    """spined has to end by itself with a code above 0 and a line that mentions something."""
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                            timeout=30, stdin=subprocess.DEVNULL)
    lines = [line for line in result.stderr.splitlines() if mention in line]
    assert result.returncode > 0 and lines, result
    assert len(result.stderr.splitlines()) <= 4, f"more than one clear line: {result.stderr}"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def check_refusals(checks, binaries, folder):
    cluster = LocalCluster(folder, binaries / "spined", nodes=1)
    node = cluster.nodes[0]
    with checks.check("spined serves alone"):
        cluster.start()
        cluster.wait_serving()
        client = etcd.Client(node.endpoint)
        client.put(b"kept", b"yes")
    with checks.check("an unknown flag is named"):
        refusal([*cluster.command(node), "--no-such-flag", "1"], "--no-such-flag")
    with checks.check("a second spined on the same directory or port is refused"):
        refusal(cluster.command(node), "")
        assert client.get(b"kept")["count"] == 1
        client.close()
    with checks.check("SIGTERM ends spined with 0"):
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(20) == 0
    with checks.check("a port in use is named"), socket.socket() as holder:
        # The node that stopped a moment ago may have left connections in TIME_WAIT.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", node.client_port))
        holder.listen()
        refusal(cluster.command(node), str(node.client_port))
    with checks.check("a data directory of another cluster is refused and left as it was"):
        before = contents(node.data)
        other = LocalCluster(folder, binaries / "spined", nodes=1, base_port=node.client_port)
        refusal(other.command(node), str(node.data))
        assert contents(node.data) == before
    with checks.check("a member that --initial-cluster does not name is refused"):
        words = [str(word) for word in cluster.command(node)]
        words[words.index("--name") + 1] = "stranger"
        refusal(words, "stranger")
    with checks.check("a URL that is none is refused"):
        words = [str(word) for word in cluster.command(node)]
        words[words.index("--listen-client-urls") + 1] = "nonsense"
        refusal(words, "--listen-client-urls")
    with checks.check("after all refusals it starts on its own data"):
        cluster.start()
        cluster.wait_serving()
        client = etcd.Client(node.endpoint)
        assert client.get(b"kept")["kvs"][0]["value"] == b"yes"
        client.close()
        cluster.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    options = parser.parse_args()
    processes.exit_on_signals()
    checks = Checks("local cluster commands")
    binaries = options.bin.resolve()
    check_words(checks)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder).resolve() / "local"
        try:
            check_life(checks, binaries, local)
        finally:
            command("down", "--dir", local, "--delete")
            shutil.rmtree(local, ignore_errors=True)
        check_refusals(checks, binaries, Path(folder).resolve() / "alone")
    checks.finish()


if __name__ == "__main__":
    main()
