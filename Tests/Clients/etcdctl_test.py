"""etcdctl against this store and against Debian's etcd: the same commands, the same answers.

Each command runs on both clusters, which began empty, so revisions have to agree too. Masked are
identities, terms, raft indexes, sizes, versions, durations and addresses. What is printed, what
goes to stderr (without the client's own log lines) and the exit code have to be equal.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import processes  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.cluster import LocalCluster  # noqa: E402

LONG = "v" * 5000


def txn(compares, success, failure):
    """The lines that `etcdctl txn` reads."""
    return "\n".join([*compares, "", *success, "", *failure, "", ""])


# (command line, what it reads from stdin)
COMMANDS = [
    # put
    (["put", "a", "1"], ""),
    (["put", "a", "2", "--prev-kv"], ""),
    (["put", "b", "with spaces and ünïcode"], ""),
    (["put", "from-stdin"], LONG),
    (["put", "empty", ""], ""),
    (["put", "", "x"], ""),
    (["put", "absent", "--ignore-value"], ""),
    (["put", "a", "--ignore-value", "--prev-kv"], ""),
    (["put", "a", "x", "--ignore-value"], ""),
    (["put", "a", "3", "--lease=1234"], ""),
    (["put", "k1", "z", "-w", "json"], ""),
    (["put", "k2", "y", "-w", "fields"], ""),
    (["put", "k3", "x", "-w", "json", "--prev-kv"], ""),
    (["put", "k3", "w", "-w", "json", "--prev-kv"], ""),
    (["put", "k/1", "a"], ""),
    (["put", "k/2", "b"], ""),
    (["put", "k/10", "c"], ""),
    # get
    (["get", "a"], ""),
    (["get", "a", "-w", "json"], ""),
    (["get", "a", "-w", "fields"], ""),
    (["get", "a", "--print-value-only"], ""),
    (["get", "a", "--hex"], ""),
    (["get", "absent"], ""),
    (["get", "absent", "-w", "json"], ""),
    (["get", ""], ""),
    (["get", "a", "--consistency=s"], ""),
    (["get", "a", "--consistency=x"], ""),
    (["get", "a", "k2"], ""),
    (["get", "k", "--prefix"], ""),
    (["get", "k", "--prefix", "--keys-only"], ""),
    (["get", "k", "--prefix", "--count-only", "-w", "fields"], ""),
    (["get", "k", "--prefix", "--count-only", "-w", "json"], ""),
    (["get", "", "--prefix", "--keys-only"], ""),
    (["get", "k", "--from-key", "--keys-only"], ""),
    (["get", "k", "--prefix", "--limit", "2", "-w", "json"], ""),
    (["get", "k", "--prefix", "--limit", "2", "--sort-by", "VALUE", "--order", "DESCEND"], ""),
    (["get", "k", "--prefix", "--sort-by", "VALUE", "--order", "ASCEND"], ""),
    (["get", "k", "--prefix", "--sort-by", "KEY", "--order", "DESCEND"], ""),
    (["get", "k", "--prefix", "--sort-by", "CREATE", "--order", "DESCEND"], ""),
    (["get", "k", "--prefix", "--sort-by", "MODIFY", "--order", "ASCEND"], ""),
    (["get", "", "--prefix", "--sort-by", "VERSION", "--order", "DESCEND", "--keys-only"], ""),
    (["get", "k", "--prefix", "--sort-by", "NOTHING"], ""),
    (["get", "a", "--rev", "2"], ""),
    (["get", "a", "--rev", "3", "-w", "json"], ""),
    (["get", "k", "--prefix", "--rev", "6", "-w", "json"], ""),
    (["get", "a", "--rev", "1"], ""),
    (["get", "a", "--rev", "100000"], ""),
    (["get", "z", "a"], ""),
    # txn: every target, every comparison
    *[([*"txn".split()], txn([f'{target}("a") {relation} "{operand}"'],
                             [f"put hit {target}{i}", "get a"], ["get hit", "put miss x"]))
      for target, operand in (("value", "2"), ("version", "3"), ("create", "2"), ("mod", "7"))
      for i, relation in enumerate(("=", "!=", "<", ">"))],
    (["txn", "-w", "json"],
     txn(['value("a") = "2"', 'version("absent") = "0"'],
         ["put t1 x", "get k --prefix", "del k/1", "get k --prefix --keys-only"], ["get a"])),
    (["txn"], txn(['create("absent") = "0"'], ["put created once"], ["get created"])),
    (["txn"], txn(['create("created") = "0"'], ["put created twice"], ["get created"])),
    (["txn"], txn([], ["put dup 1", "put dup 2"], [])),
    (["txn"], txn([], ["put over 1", "del over"], [])),
    (["txn"], txn([], ["put in/1 1", "del in/ --prefix"], [])),
    (["txn"], txn(['mod("absent") > "0"'], [], ["get a", "put f 1", "del f2"])),
    (["txn", "-w", "fields"], txn([], ["get a", "put g 1"], [])),
    (["txn"], txn(['nonsense("a") = "1"'], ["get a"], [])),
    (["txn"], txn([], [], [])),
    (["get", "", "--prefix", "-w", "json"], ""),
    # del
    (["del", "a"], ""),
    (["del", "a"], ""),
    (["del", "b", "--prev-kv"], ""),
    (["del", "k/2", "-w", "json"], ""),
    (["del", "k2", "-w", "fields", "--prev-kv"], ""),
    (["del", "k", "--prefix", "--prev-kv"], ""),
    (["del", ""], ""),
    (["del", "from", "--from-key", "--prev-kv"], ""),
    (["put", "a", "again", "-w", "json"], ""),
    (["get", "a", "-w", "json"], ""),
    (["get", "a", "--rev", "2", "-w", "json"], ""),
    (["del", "", "--prefix"], ""),
    (["get", "", "--prefix", "-w", "json"], ""),
    # compaction
    (["compact", "10"], ""),
    (["compact", "10"], ""),
    (["compact", "100000"], ""),
    (["get", "a", "--rev", "9"], ""),
    (["get", "k", "--prefix", "--rev", "10", "-w", "json"], ""),
    (["get", "a", "--rev", "11", "-w", "json"], ""),
    (["compact", "12", "--physical"], ""),
    (["compact", "12", "--physical"], ""),
    (["compact", "100000", "--physical"], ""),
    (["get", "", "--prefix", "--rev", "11"], ""),
    (["get", "", "--prefix", "--rev", "12", "-w", "json"], ""),
    (["put", "y", "1"], ""),
    (["put", "z", "1"], ""),
    (["del", "", "--from-key", "--prev-kv"], ""),
    (["get", "", "--from-key", "--count-only", "-w", "fields"], ""),
    # leases; LEASE is the one granted last
    (["lease", "grant", "0"], ""),
    (["lease", "grant", "1", "-w", "json"], ""),
    (["lease", "grant", "9000000001"], ""),
    (["lease", "grant", "x"], ""),
    (["lease", "grant", "1000"], ""),
    (["put", "leased/2", "a", "--lease=LEASE", "-w", "json"], ""),
    (["put", "leased/1", "b", "--lease=LEASE"], ""),
    (["put", "leased/2", "c", "--ignore-lease", "--prev-kv"], ""),
    (["put", "leased/1", "d", "--lease=1234"], ""),
    (["put", "leased/3", "d", "--ignore-lease"], ""),
    (["txn"], txn([], ["put in/txn 1 --lease=LEASE", "get in/txn"], [])),
    (["txn"], txn([], ["put leased/1 1 --lease=1234", "put leased/4 1"], [])),
    (["get", "leased/", "--prefix", "-w", "json"], ""),
    (["lease", "timetolive", "LEASE"], ""),
    (["lease", "timetolive", "LEASE", "--keys", "-w", "json"], ""),
    (["lease", "timetolive", "LEASE", "-w", "fields"], ""),
    (["lease", "timetolive", "1234"], ""),
    (["lease", "timetolive", "1234", "--keys", "-w", "json"], ""),
    (["lease", "keep-alive", "--once", "LEASE"], ""),
    (["lease", "keep-alive", "--once", "LEASE", "-w", "json"], ""),
    (["lease", "keep-alive", "--once", "1234"], ""),
    (["lease", "keep-alive", "1234"], ""),
    (["put", "leased/1", "e"], ""),
    (["del", "in/txn"], ""),
    (["lease", "revoke", "LEASE", "-w", "json"], ""),
    (["get", "leased/", "--prefix", "-w", "json"], ""),
    (["lease", "revoke", "LEASE"], ""),
    (["lease", "revoke", "LEASE", "-w", "fields"], ""),
    (["lease", "timetolive", "LEASE"], ""),
    (["put", "leased/1", "f", "--lease=LEASE"], ""),
    # maintenance and cluster
    (["endpoint", "health"], ""),
    (["endpoint", "health", "-w", "json"], ""),
    (["endpoint", "status"], ""),
    (["endpoint", "status", "-w", "json"], ""),
    (["endpoint", "status", "-w", "table"], ""),
    (["endpoint", "status", "-w", "fields"], ""),
    (["endpoint", "status", "--cluster", "-w", "json"], ""),
    (["member", "list"], ""),
    (["member", "list", "-w", "json"], ""),
    (["member", "list", "-w", "table"], ""),
]

# Not served yet: the client has to get an error, not silence or a false success.
NOT_YET = [["user", "list"]]

MASKED_JSON = {"cluster_id", "member_id", "raft_term", "leader", "dbSize", "dbSizeInUse", "raftIndex",
               "raftTerm", "raftAppliedIndex", "ID", "id", "took"}
MASKED_FIELDS = ("ClusterID", "MemberID", "RaftTerm", "Raft Term", "Leader", "DB size", "DBSize",
                 "RaftIndex", "Raft Index", "Raft Applied Index", "RaftAppliedIndex", "ID", "Took")


def masked_json(value):
    if isinstance(value, dict):
        out = {}
        for key, inner in value.items():
            if key in MASKED_JSON:
                assert inner, f"{key} is {inner}"
                out[key] = "masked"
            elif key in ("ttl", "lease") and inner > 0:
                out[key] = "masked"
            elif key == "keys" and inner:
                out[key] = sorted(inner)  # etcd has no order among the keys of a lease
            elif key == "version" and isinstance(inner, str):
                assert re.fullmatch(r"3\.\d+\.\d+", inner), f"version {inner}"
                out[key] = "masked"
            else:
                out[key] = masked_json(inner)
        return out
    if isinstance(value, list):
        inner = [masked_json(item) for item in value]
        if inner and isinstance(inner[0], dict) and ("Endpoint" in inner[0] or "name" in inner[0]
                                                     or "endpoint" in inner[0]):
            inner.sort(key=lambda item: json.dumps(item, sort_keys=True))
        return inner
    return value


def masked(words, text, cluster):
    """What two clusters have in common of an answer."""
    for node in cluster.nodes:
        text = text.replace(node.client, f"CLIENT-{node.name}").replace(
            node.peer, f"PEER-{node.name}").replace(node.endpoint, f"CLIENT-{node.name}")
    lines = [line for line in text.splitlines()
             if not line.startswith(('{"level":', "WARNING: "))]
    if "lease" in words or any("lease" in word for word in words):
        # Ids are chosen by the server, and what is left of a lease is timing.
        lines = [re.sub(r"remaining\(\d+s\)", "remaining(N)", re.sub(r"\b[0-9a-f]{16}\b", "ID", line))
                 for line in lines]
        lines = [re.sub(r'^"TTL" : [1-9]\d*$', '"TTL" : N', line) for line in lines]
    if "json" in words and lines and lines[0][:1] in "[{":
        return [json.dumps(masked_json(json.loads(line)), sort_keys=True) for line in lines]
    if words[:2] in (["endpoint", "status"], ["endpoint", "health"], ["member", "list"]):
        lines = sorted(squeeze(line) for line in lines)
    return [re.sub(rf'^"({"|".join(MASKED_FIELDS)})" : (?!0$|""$).+$|^"(Version)" : "3[.0-9]+"$',
                   r'"\1\2" : masked', line) for line in lines]


def squeeze(line):
    """A line of `endpoint` or `member list` with its identity, sizes, term, index and time masked,
    and table borders, whose width follows them, cut short."""
    line = re.sub(r"-{3,}", "--", line)
    line = re.sub(r"took = \S+", "took = T", line)
    line = re.sub(r" {2,}", " ", line)
    columns = re.split(r"(, | \| |\| )", line)
    for i, column in enumerate(columns):
        word = column.strip(" |,")
        if re.fullmatch(r"[0-9a-f]{12,16}", word):
            columns[i] = "ID"
        elif re.fullmatch(r"[\d.]+ [kMG]?B", word):
            columns[i] = "SIZE"
        elif re.fullmatch(r"3\.\d+\.\d+", word):
            columns[i] = "VERSION"
        elif re.fullmatch(r"\d+", word):
            columns[i] = "N"
    if "CLIENT-" in line and "VERSION" in columns:
        # The leader is another node in each cluster; one_leader looks at that.
        at = columns.index("SIZE") + 2
        assert columns[at] in ("true", "false"), line
        columns[at] = "LEADER"
    return "".join(columns)


def etcdctl(cluster, words, stdin):
    return subprocess.run(
        ["etcdctl", "--endpoints", ",".join(cluster.endpoints), "--command-timeout", "10s", *words],
        input=stdin, capture_output=True, text=True, timeout=30,
        env={**os.environ, "ETCDCTL_API": "3", "no_proxy": "127.0.0.1"})


def outcome(cluster, words, stdin):
    lease = getattr(cluster, "lease", "LEASE")
    result = etcdctl(cluster, [word.replace("LEASE", lease) for word in words],
                     stdin.replace("LEASE", lease))
    if words[:2] == ["lease", "grant"] and result.returncode == 0 and "json" not in words:
        cluster.lease = result.stdout.split()[1]
    return {"stdout": masked(words, result.stdout, cluster),
            "stderr": masked(words, result.stderr, cluster), "exit": result.returncode}


def one_leader(cluster):
    """Exactly one endpoint says that it leads, and all name the same leader."""
    rows = json.loads(etcdctl(cluster, ["endpoint", "status", "-w", "json"], "").stdout)
    leaders = {row["Status"]["leader"] for row in rows}
    members = [row["Status"]["header"]["member_id"] for row in rows]
    assert len(leaders) == 1 and leaders <= set(members), rows
    assert len(set(members)) == len(rows) == len(cluster.nodes), rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, help="the directory of spined")
    parser.add_argument("--server", type=Path, help="another server, to try this test itself")
    options = parser.parse_args()
    processes.exit_on_signals()
    checks = Checks("etcdctl beside etcd")
    missing = [tool for tool in ("etcd", "etcdctl") if not shutil.which(tool)]
    if missing:
        checks.skip("etcdctl beside etcd", f"{' and '.join(missing)} not installed "
                    "(packages etcd-client, etcd-server)", len(COMMANDS) + len(NOT_YET) + 1)
        checks.finish()
    with tempfile.TemporaryDirectory() as folder:
        ours = LocalCluster(Path(folder) / "ours", options.server or options.bin / "spined")
        theirs = LocalCluster(Path(folder) / "etcd", "/usr/bin/etcd")
        for cluster in (ours, theirs):
            cluster.start()
        for cluster in (ours, theirs):
            cluster.wait_serving()
        for words, stdin in COMMANDS:
            name = " ".join(w if len(w) < 60 else w[:57] + "..." for w in map(repr_word, words))
            if words[0] == "txn":
                name += " <<< " + "; ".join(line for line in stdin.splitlines() if line)
            with checks.check(f"etcdctl {name}"):
                expected, found = (outcome(cluster, words, stdin) for cluster in (theirs, ours))
                assert expected == found, (
                    f"etcd: {json.dumps(expected, ensure_ascii=False)[:1500]}\n"
                    f"ours: {json.dumps(found, ensure_ascii=False)[:1500]}")
        with checks.check("endpoint status shows one leader"):
            one_leader(ours)
        for words in NOT_YET:
            with checks.check(f"etcdctl {' '.join(words)} is refused, as it is not served yet"):
                result = etcdctl(ours, words, "")
                assert result.returncode != 0 and "Unimplemented" in result.stderr, result
        ours.stop()
        theirs.stop()
    checks.finish()


def repr_word(word):
    return word if word and " " not in word else f"'{word}'"


if __name__ == "__main__":
    main()
