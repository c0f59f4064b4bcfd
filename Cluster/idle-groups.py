"""What idle Raft groups cost, and how soon they have a leader again when the node that leads dies.

    idle-groups.py --bin DIR [--groups N] [--seconds S] [--rounds N]

Three real processes with N groups beside the real ones (`spined --measure-idle-groups`). Once all
sleep: user and system time of each process over S seconds (proc(5)), messages, memory. Then, in
each round, one node is killed (SIGKILL), and the survivors' count of groups that they lead is
sampled until it is N again; the node is started again before the next round.

Exits with an error when a process costs more than 2% of a core, or a group is without a leader for
longer than two election timeouts.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lib import processes  # noqa: E402
from lib.cluster import LocalCluster, http_get  # noqa: E402

REAL_GROUPS = 3
ELECTION_TIMEOUT = 1.0  # seconds: spined's default
CORE_SHARE_MAX = 0.02
SAMPLE_SECONDS = 0.01
ASLEEP_SECONDS = 180  # how long all groups may take to fall asleep


def metric(node, *names):
    text = http_get(f"{node.client}/metrics", 5).decode()
    return [float(re.search(rf"^{name} (\S+)$", text, re.M)[1]) for name in names]


def wait_asleep(nodes, groups):
    """Until every group has a leader and sleeps on all of these nodes."""
    deadline = time.monotonic() + ASLEEP_SECONDS
    while True:
        states = [metric(n, "spine_groups_led", "spine_groups_asleep") for n in nodes]
        if (sum(led for led, _ in states) == groups
                and all(asleep == groups for _, asleep in states)):
            return
        if time.monotonic() > deadline:
            sys.exit(f"not all {groups} groups sleep after {ASLEEP_SECONDS} s: "
                     + ", ".join(f"{n.name} leads {led:.0f}, {asleep:.0f} asleep"
                                 for n, (led, asleep) in zip(nodes, states)))
        time.sleep(0.5)


def resident_megabytes(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def measure_idle(cluster, seconds):
    names = ("spine_peer_batches_total", "spine_raft_messages_total", "spine_group_ticks_total")
    before = [metric(n, *names) for n in cluster.nodes]
    used = [processes.cpu_seconds(n.pid) for n in cluster.nodes]
    time.sleep(seconds)
    shares = [(processes.cpu_seconds(n.pid) - u) / seconds for n, u in zip(cluster.nodes, used)]
    after = [metric(n, *names) for n in cluster.nodes]
    print(f"{'node':>6} {'core':>7} {'batches/s':>10} {'messages/s':>11} {'ticks/s':>8} "
          f"{'resident':>9}")
    for node, share, old, new in zip(cluster.nodes, shares, before, after):
        batches, messages, ticks = ((b - a) / seconds for a, b in zip(old, new))
        print(f"{node.name:>6} {share:>7.2%} {batches:>10.1f} {messages:>11.1f} {ticks:>8.1f} "
              f"{resident_megabytes(node.pid):>6.0f} MB", flush=True)
    return max(shares)


def kill_and_wait(cluster, victim, groups):
    """Seconds from the kill until half of the victim's groups, and all, have a leader."""
    survivors = [n for n in cluster.nodes if n is not victim]
    [led] = metric(victim, "spine_groups_led")
    had = sum(metric(n, "spine_groups_led")[0] for n in survivors)
    used = sum(processes.cpu_seconds(n.pid) for n in survivors)
    os.kill(victim.pid, signal.SIGKILL)
    killed = time.monotonic()
    half = None
    while True:
        now = sum(metric(n, "spine_groups_led")[0] for n in survivors)
        seconds = time.monotonic() - killed
        if half is None and now >= had + led / 2:
            half = seconds
        if now >= groups:
            break
        if seconds > 60 * ELECTION_TIMEOUT:
            sys.exit(f"{groups - now:.0f} groups have no leader {seconds:.0f} s after the kill")
        time.sleep(SAMPLE_SECONDS)
    used = sum(processes.cpu_seconds(n.pid) for n in survivors) - used
    victim.process.wait()
    print(f"{victim.name} led {led:.0f} groups: half of them had a leader after {half:.2f} s, the "
          f"last after {seconds:.2f} s ({seconds / ELECTION_TIMEOUT:.2f} election timeouts); the "
          f"survivors used {used:.1f} s of CPU", flush=True)
    return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--groups", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    processes.exit_on_signals()
    groups = options.groups + REAL_GROUPS
    with tempfile.TemporaryDirectory() as folder:
        cluster = LocalCluster(Path(folder) / "idle", options.bin / "spined",
                               flags=["--measure-idle-groups", str(options.groups)])
        try:
            cluster.start()
            begun = time.monotonic()
            cluster.wait_serving()
            wait_asleep(cluster.nodes, groups)
            print(f"{groups} groups sleep {time.monotonic() - begun:.0f} s after the start; "
                  f"{options.seconds:.0f} s of rest:", flush=True)
            share = measure_idle(cluster, options.seconds)
            longest = 0
            for number in range(options.rounds):
                victim = cluster.nodes[number % len(cluster.nodes)]
                longest = max(longest, kill_and_wait(cluster, victim, groups))
                if number + 1 < options.rounds:
                    cluster.start([victim])
                    cluster.wait_serving()
                    wait_asleep(cluster.nodes, groups)
        finally:
            cluster.stop()
    if share > CORE_SHARE_MAX:
        sys.exit(f"a process took {share:.2%} of a core; {CORE_SHARE_MAX:.0%} are allowed")
    if longest > 2 * ELECTION_TIMEOUT:
        sys.exit(f"a group had no leader for {longest:.2f} s; two election timeouts are allowed")


if __name__ == "__main__":
    main()
