"""Power loss of all nodes at once, under load: nothing acknowledged may be missing.

Each of three nodes keeps its data on a file system of its own that keeps only what was synced
(powerloss/lossyfs.c). Writers put, delete and transact through every node and note what was
acknowledged. At a random moment the power fails everywhere; the cluster restarts on what survived
and everything is read back through every node. In the last round the disks acknowledge syncs and do
nothing from the start of the load on, as if sync were switched off, and losses have to be found.

    power_loss.py --bin DIR [--seed N] [--rounds N]
    power_loss.py --etcd            the same on Debian's etcd, to try the test itself, on disks
                                    that sync names with files: etcd 3.4 leans on that
"""

import argparse
import collections
import json
import random
import secrets
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parent))
import lossyfs  # noqa: E402
from lib import etcd, fhir, processes  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.cluster import ClusterError, LocalCluster  # noqa: E402

WRITERS = 8
BULK_WRITERS = 1  # of them; its values fill memtables and log segments
KEYS_PER_WRITER = 40
SYNC_DELAY_US = 300  # about that of a good solid-state disk
LOAD_SECONDS = (1.5, 5.0)
PAGE = 100  # of values up to 100 KB


def value_of(key, number):
    """The value of the `number`th write of a key, the same each time: 100 bytes to 100 KB, or up to
    1 MB when the key says bulk."""
    chance = random.Random(f"{key}#{number}")
    size = 1_000_000 if b"bulk" in key else chance.choice(
        [100, 300, 1000, 1000, 4000, 16000, 100000])
    return b"%s#%d#" % (key, number) + chance.randbytes(chance.randrange(size // 2, size))


class Expected:
    """What may be read of each key: its last acknowledged state or, after an outcome that is not
    known, the attempted one. A key with such an outcome is not written again.

    A state is the number of a write; None stands for a key that is absent.
    """

    def __init__(self):
        self.acknowledged = {}
        self.unknown = {}
        self.pairs = []  # keys written together by a transaction
        self.count = 0
        self.lock = threading.Lock()

    def states(self, key):
        states = {self.acknowledged.get(key)}
        if key in self.unknown:
            states.add(self.unknown[key])
        return states

    def problems(self, found):
        """What is wrong with `found` (key → value), the first few in words."""
        wrong = []
        for key in sorted(self.acknowledged.keys() | self.unknown.keys()):
            allowed = {None if n is None else value_of(key, n) for n in self.states(key)}
            if found.get(key) not in allowed:
                wrong.append(f"{key.decode()}: read {brief(found.get(key))}, "
                             f"may be {sorted(map(brief, allowed))}")
        for key in found.keys() - self.acknowledged.keys() - self.unknown.keys():
            wrong.append(f"{key.decode()} was never written")
        for first, second in self.pairs:
            numbers = [None if found.get(key) is None else found[key].split(b"#")[1]
                       for key in (first, second)]
            if numbers[0] != numbers[1]:
                wrong.append(f"half a transaction: {first.decode()} and {second.decode()} "
                             f"hold writes {numbers}")
        return wrong


def brief(value):
    return "nothing" if value is None else f"write {value[:40].split(b'#')[1].decode()}"


class Writer(threading.Thread):
    """Writes keys of its own, one after the other, through one node, until told to stop."""

    def __init__(self, number, round_number, endpoint, expected, chance, stop):
        super().__init__(daemon=True)
        self.prefix = b"r%d/w%d" % (round_number, number)
        self.client = etcd.Client(endpoint)
        self.expected, self.chance, self.stop = expected, chance, stop
        self.names = [b"%d" % i for i in range(KEYS_PER_WRITER)]
        if number < BULK_WRITERS:
            self.names = [b"bulk"]
        self.number = 0

    def run(self):
        while not self.stop.is_set():
            self.number += 1
            name = self.chance.choice(self.names)
            kind = self.chance.choice(["put"] * 6 + ["pair"] * 2 + ["delete"])
            if kind == "pair":
                keys = [self.prefix + b"/pair/" + name + side for side in (b"a", b"b")]
                if keys not in self.expected.pairs:
                    with self.expected.lock:
                        self.expected.pairs.append(keys)
            else:
                keys = [self.prefix + b"/" + name]
            after = None if kind == "delete" else self.number
            try:
                if kind == "put":
                    self.client.put(keys[0], value_of(keys[0], self.number), timeout=3)
                elif kind == "delete":
                    self.client.delete(keys[0], timeout=3)
                else:
                    self.client.txn(success=[
                        {"request_put": {"key": key, "value": value_of(key, self.number)}}
                        for key in keys], timeout=3)
            except grpc.RpcError:
                with self.expected.lock:
                    for key in keys:
                        self.expected.unknown[key] = after
                self.names.remove(name)
                self.names.append(name + b"'")
                self.stop.wait(0.05)
                continue
            with self.expected.lock:
                self.expected.count += 1
                for key in keys:
                    self.expected.acknowledged[key] = after
        self.client.close()


class Records(threading.Thread):
    """Transactions of three FHIR patients each, with ids of its choice; all or none may be there."""

    def __init__(self, round_number, base, stop):
        super().__init__(daemon=True)
        self.prefix, self.stop = f"power-{round_number}", stop
        self.server = fhir.Server(base, timeout=3)
        self.acknowledged, self.attempted = [], 0

    def ids(self, number):
        return [f"{self.prefix}-{number}-{k}" for k in range(3)]

    @staticmethod
    def patient(name):
        return {"resourceType": "Patient", "id": name, "name": [{"family": name}],
                "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">'
                         + name * 40 + "</div>"}}

    def run(self):
        while not self.stop.is_set():
            number = self.attempted
            self.attempted += 1
            entries = [{"resource": self.patient(name),
                        "request": {"method": "PUT", "url": f"Patient/{name}"}}
                       for name in self.ids(number)]
            try:
                answer = self.server.post(
                    "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
                if answer.status == 200:
                    self.acknowledged.append(number)
            except OSError:
                self.stop.wait(0.05)

    def problems(self, base):
        wrong = []
        server = fhir.Server(base)
        for number in range(self.attempted):
            present = []
            for name in self.ids(number):
                answer = server.get(f"Patient/{name}")
                if answer.status == 200:
                    body = json.loads(answer.body)
                    body.pop("meta", None)
                    if body != self.patient(name):
                        wrong.append(f"Patient/{name} reads back changed")
                    present.append(name)
                elif answer.status != 404:
                    wrong.append(f"Patient/{name}: status {answer.status}")
            if len(present) != 3 and (present or number in self.acknowledged):
                wrong.append(f"FHIR transaction {self.prefix}-{number} "
                             f"({'ac' if number in self.acknowledged else 'not ac'}knowledged): "
                             f"{len(present)} of its 3 patients are there")
        return wrong


class Trial:
    """A cluster on three disks."""

    def __init__(self, folder, server, seed):
        self.chance = random.Random(seed)
        self.disks = {name: lossyfs.Disk(folder / name / "disk") for name in ("n1", "n2", "n3")}
        self.cluster = LocalCluster(
            folder, server, data_root=lambda node: self.disks[node.name].mount_point)
        self.expected = Expected()
        self.records = []

    def mount(self):
        for disk in self.disks.values():
            disk.mount(self.chance.randrange(1 << 32), sync_delay_us=SYNC_DELAY_US,
                       sync_names_too=self.cluster.is_etcd)

    def power_loss(self):
        """Of all nodes at once; returns what the disks say they kept and lost."""
        for disk in self.disks.values():
            disk.cut_power()
        self.cluster.kill()
        return [disk.unmount() for disk in self.disks.values()]

    def load(self, round_number, seconds):
        """Load for some seconds, ended by the loss of power."""
        stop = threading.Event()
        writers = [
            Writer(i, round_number, self.cluster.nodes[i % 3].endpoint, self.expected,
                   random.Random(self.chance.random()), stop) for i in range(WRITERS)]
        if not self.cluster.is_etcd:
            self.records.append(Records(round_number, self.cluster.nodes[round_number % 3].fhir,
                                        stop))
            writers.append(self.records[-1])
        before = self.expected.count
        for writer in writers:
            writer.start()
        time.sleep(seconds)
        said = self.power_loss()
        stop.set()
        for writer in writers:
            writer.join(30)
            if writer.is_alive():
                raise TimeoutError("a writer did not end")
        return self.expected.count - before, said

    def files(self):
        """How many files of each kind the nodes hold: shows that segments and tables came to be."""
        kinds = collections.Counter(
            path.suffix for disk in self.disks.values() for path in disk.mount_point.rglob("*.*"))
        return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))

    def problems(self):
        wrong = []
        for node in self.cluster.nodes:
            client = etcd.Client(node.endpoint)
            found = {kv["key"]: kv["value"] for kv in client.all(page=PAGE)}
            client.close()
            wrong += [f"through {node.name}: {line}" for line in self.expected.problems(found)]
        for i, records in enumerate(self.records):
            wrong += records.problems(self.cluster.nodes[i % 3].fhir)
        return wrong

    def end(self):
        self.cluster.kill()
        for disk in self.disks.values():
            disk.detach()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path)
    parser.add_argument("--etcd", action="store_true")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    processes.exit_on_signals()
    checks = Checks("power loss")
    reason = lossyfs.why_unusable()
    if reason:
        checks.skip("power loss of all nodes", reason, options.rounds + 1)
        checks.finish()
    server = Path("/usr/bin/etcd") if options.etcd else options.bin / "spined"
    print(f"seed {options.seed} (repeat: power_loss.py --seed {options.seed} "
          f"--rounds {options.rounds})", flush=True)
    with tempfile.TemporaryDirectory(prefix="power-loss-") as folder:
        trial = Trial(Path(folder), server, options.seed)
        try:
            run(trial, options.rounds, checks)
        finally:
            trial.end()
    checks.finish()


def run(trial, rounds, checks):
    for number in range(1, rounds + 2):
        lie = number > rounds
        name = f"round {number}: " + ("with sync switched off, losses are found" if lie
                                      else "nothing acknowledged is missing, nothing is half there")
        with checks.check(name):
            trial.mount()
            trial.cluster.start()
            trial.cluster.wait_serving()
            if lie:
                for disk in trial.disks.values():
                    disk.lie_about_sync()
            seconds = trial.chance.uniform(*LOAD_SECONDS)
            count, said = trial.load(number, seconds)
            print(f"        power lost after {seconds:.1f} s and {count} acknowledged writes")
            for line in said:
                print(f"        {line}")
            assert count, "no write was acknowledged: the round proves nothing"
            wrong = after_restart(trial, restart_twice=not lie and number % 2 == 0)
            if lie:
                assert wrong, f"{count} writes on disks that keep nothing, and none is missing"
                print(f"        found {len(wrong)}, as it should; the first: {wrong[0]}")
            else:
                assert not wrong, f"{len(wrong)} problems:\n" + "\n".join(wrong[:10])
                print(f"        on disk: {trial.files()}")
                trial.power_loss()  # idle, so that the next start replays the log again
        if checks.failed:
            for node in trial.cluster.nodes:
                print(f"        log of {node.name} ends:\n{node.log_tail(15)}")
            return


def after_restart(trial, restart_twice):
    """Restarts on what survived and compares; with `restart_twice` the power fails again before
    the cluster has come up."""
    trial.mount()
    trial.cluster.start()
    if restart_twice:
        time.sleep(trial.chance.uniform(0, 1.5))
        trial.power_loss()
        trial.mount()
        trial.cluster.start()
    try:
        trial.cluster.wait_serving()
    except ClusterError as error:
        return [f"the cluster does not come back: {error}"]
    return trial.problems()


if __name__ == "__main__":
    main()
